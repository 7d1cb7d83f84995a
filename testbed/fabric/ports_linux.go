package fabric

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	mdlayher "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ports finds the port of the bridge behind which each address lives: the
// host's end of a veth pair whose other end, in some container's namespace,
// has that address. It asks the kernel for the addresses in that namespace,
// which NET_ADMIN allows and which, unlike the bridge's own memory, knows a
// peer before it has sent anything.
func ports(handle *netlink.Handle, bridge, namespace int) (map[netip.Addr]int, error) {
	links, err := handle.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list the ports of the bridge: %w", err)
	}
	// Strict checking makes the kernel heed the namespace that is asked for,
	// rather than answer for this one.
	conn, err := mdlayher.Dial(unix.NETLINK_ROUTE, &mdlayher.Config{NetNS: namespace, Strict: true})
	if err != nil {
		return nil, fmt.Errorf("ask for the peers' addresses: %w", err)
	}
	defer func() { _ = conn.Close() }()

	found := make(map[netip.Addr]int)
	for _, link := range links {
		veth, ok := link.(*netlink.Veth)
		if !ok || veth.MasterIndex != bridge || veth.NetNsID < 0 {
			continue
		}
		addrs, err := addresses(conn, veth.NetNsID, veth.ParentIndex)
		if err != nil {
			// The container ends as it is looked at: its port goes, too.
			continue
		}
		for _, addr := range addrs {
			found[addr] = veth.Index
		}
	}
	return found, nil
}

// addresses asks for the IPv4 addresses of one device in another namespace.
func addresses(conn *mdlayher.Conn, namespace, device int) ([]netip.Addr, error) {
	const targetNamespace = 10 // IFA_TARGET_NETNSID
	attributes, err := mdlayher.MarshalAttributes([]mdlayher.Attribute{
		{Type: targetNamespace, Data: binary.NativeEndian.AppendUint32(nil, uint32(namespace))},
	})
	if err != nil {
		return nil, err
	}
	header := make([]byte, unix.SizeofIfAddrmsg)
	header[0] = unix.AF_INET
	replies, err := conn.Execute(mdlayher.Message{
		Header: mdlayher.Header{Type: unix.RTM_GETADDR, Flags: mdlayher.Request | mdlayher.Dump},
		Data:   append(header, attributes...),
	})
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, reply := range replies {
		if len(reply.Data) < unix.SizeofIfAddrmsg || binary.NativeEndian.Uint32(reply.Data[4:]) != uint32(device) {
			continue
		}
		decoder, err := mdlayher.NewAttributeDecoder(reply.Data[unix.SizeofIfAddrmsg:])
		if err != nil {
			return nil, err
		}
		for decoder.Next() {
			if addr, ok := netip.AddrFromSlice(decoder.Bytes()); ok && decoder.Type() == unix.IFA_LOCAL {
				addrs = append(addrs, addr)
			}
		}
		if err := decoder.Err(); err != nil {
			return nil, err
		}
	}
	return addrs, nil
}

// watchLinks sends to changed when a device has come, gone or changed. It ends
// when the connection is closed.
func watchLinks(conn *mdlayher.Conn, changed chan<- struct{}) {
	for {
		_, err := conn.Receive()
		// With more news than the socket holds, some are lost: a change it is
		// all the same.
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}
