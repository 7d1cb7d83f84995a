package fabric

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// openTable creates the table, removing what a dead agent left under that
// name. The table goes with the socket, and so with the process, where the
// kernel knows how (5.12). A namespace of 0 is the caller's.
func openTable(name string, namespace int) (*table, error) {
	var socket *netlink.Conn
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithNetNSFd(namespace),
		nftables.WithSockOptions(func(c *netlink.Conn) error {
			socket = c
			// A whole matrix goes out in one write; the default takes 200 KiB.
			return errors.Join(c.SetWriteBuffer(16<<20), c.SetReadBuffer(4<<20))
		}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	t := &table{conn: conn, table: &nftables.Table{Name: name, Family: nftables.TableFamilyBridge}}
	conn.AddTable(t.table)
	conn.DelTable(t.table)
	if err := conn.Flush(); err != nil {
		_ = conn.CloseLasting()
		return nil, fmt.Errorf("table bridge %s: %w", name, explain(err))
	}
	if err := addOwned(socket, t.table); err != nil {
		conn.AddTable(t.table)
		if err := conn.Flush(); err != nil {
			_ = conn.CloseLasting()
			return nil, fmt.Errorf("table bridge %s: %w", name, explain(err))
		}
	}
	return t, nil
}

// addOwned adds a table that belongs to the socket. The library knows no flags
// of tables.
func addOwned(socket *netlink.Conn, t *nftables.Table) error {
	const owner = 2 // NFT_TABLE_F_OWNER
	attributes, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: unix.NFTA_TABLE_NAME, Data: append([]byte(t.Name), 0)},
		{Type: unix.NFTA_TABLE_FLAGS, Data: binary.BigEndian.AppendUint32(nil, owner)},
	})
	if err != nil {
		return err
	}
	message := func(kind int, flags netlink.HeaderFlags, family byte, resource uint16, data []byte) netlink.Message {
		return netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | flags},
			Data:   append(binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource), data...),
		}
	}
	if _, err := socket.SendMessages([]netlink.Message{
		message(unix.NFNL_MSG_BATCH_BEGIN, 0, 0, unix.NFNL_SUBSYS_NFTABLES, nil),
		message(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWTABLE, netlink.Create|netlink.Acknowledge,
			byte(t.Family), 0, attributes),
		message(unix.NFNL_MSG_BATCH_END, 0, 0, unix.NFNL_SUBSYS_NFTABLES, nil),
	}); err != nil {
		return err
	}
	_, err = socket.Receive()
	return err
}

// explain says what the kernel's refusal means.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: the agent needs CAP_NET_ADMIN and the host's network, and only one agent can hold a lab", err)
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EPROTONOSUPPORT):
		return fmt.Errorf("%w: the kernel lacks nf_tables for bridges (nf_tables, CONFIG_NF_TABLES_BRIDGE)", err)
	}
	return err
}
