package fabric

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Detect tries what the kernel can, in the network namespace of the process,
// where that needs NET_ADMIN and nothing is left: another namespace than the
// host's will do. It returns an error where it cannot find out.
func Detect() ([]Feature, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	defer handle.Close()
	return (&shaper{handle: handle}).detect("detect", 0)
}

// rulesOfFeature are links whose rules together are of each kind there is: sets and
// maps, sets that count, length and protocol, queues; and numbers at random and in
// turn.
var rulesOfFeature = func() map[string]Matrix {
	pair := func(n byte) Pair {
		return Pair{From: netip.AddrFrom4([4]byte{192, 0, 2, 1}), To: netip.AddrFrom4([4]byte{192, 0, 2, n})}
	}
	return map[string]Matrix{
		nfTables: {
			pair(2): {Drop: DropAll}, pair(3): {Drop: DropUDP, Over: 1000}, pair(4): {Drop: DropTCP}, pair(5): {Shape: Shape{Delay: time.Millisecond}},
		},
		nftNumgen: {pair(2): {Loss: 30}, pair(3): {Every: 3}},
	}
}()

// detect tries every kind of queue on a pair of devices, and of rule in a table,
// made for the purpose and removed again: asking the kernel is the only way to
// know, since what it lacks it may load as a module when first asked.
func (s *shaper) detect(lab string, namespace int) ([]Feature, error) {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(lab))
	name := fmt.Sprintf("plab%08x", sum.Sum32())
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name + "a", MTU: 1500}, PeerName: name + "b"}
	_ = s.handle.LinkDel(pair) // left by an agent that was killed here
	if err := s.handle.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("make devices to try queues on: %w", err)
	}
	defer func() { _ = s.handle.LinkDel(pair) }()
	link, err := s.handle.LinkByName(pair.Name)
	if err != nil {
		return nil, fmt.Errorf("find the devices to try queues on: %w", err)
	}
	root := attrs(link.Attrs().Index, netlink.MakeHandle(major, 0), netlink.HANDLE_ROOT)
	try := map[string]netlink.Qdisc{
		schHTB:   netlink.NewHtb(root),
		schTBF:   newTbf(root, 1_000_000),
		schNetem: newNetem(root, Shape{Delay: 1e6}),
	}
	features := purposes()
	for i, f := range features {
		qdisc, ok := try[f.Name]
		if !ok {
			continue
		}
		switch err := s.handle.QdiscAdd(qdisc); {
		case err == nil:
			if err := s.handle.QdiscDel(qdisc); err != nil {
				return nil, fmt.Errorf("remove the %s that was tried: %w", f.Name, err)
			}
		case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP):
			features[i].Missing = "it is neither built in nor to be had as a module; choose a kernel with CONFIG_NET_" + strings.ToUpper(f.Name)
		default:
			features[i].Missing = err.Error()
		}
	}
	table, err := openTable("peerlab-"+lab+"-try", namespace)
	if err != nil {
		features[0].Missing = err.Error()
		return features, nil
	}
	for i, f := range features {
		if rules := rulesOfFeature[f.Name]; rules != nil {
			if err := table.replace(rules, nil); err != nil {
				features[i].Missing = err.Error()
			}
		}
	}
	return features, table.close()
}
