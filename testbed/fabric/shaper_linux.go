package fabric

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"peerlab/testbed"
)

// shaper keeps the queues of shaped links, on the port of the bridge behind
// which the destination lives. What leaves the host there is what the peer
// receives, so the queues act on packets towards that peer and on no others:
//
//	port of C ── htb 7ab:            unclassified packets pass at once
//	              ├─ 7ab:1 10 Gbit/s
//	              │    └─ netem      delay, jitter, reorder, duplicate, corrupt
//	              ├─ 7ab:2 10 Gbit/s
//	              │    └─ tbf 1002:  rate; see testbed.TokenBucket
//	              └─ 7ab:3 10 Gbit/s
//	                   └─ tbf 1003:  rate of what has been delayed
//	                        └─ netem 1003:1
//
// No filter chooses the class, which would cost more with each source: the
// rule that lets the packet pass has set its priority to the class, see
// [table]. Without the rules, nothing is shaped. Links with the same shape to
// the same destination share a class, but each has a rate to itself.
type shaper struct {
	handle *netlink.Handle
	ports  map[int]map[queueKey]uint16 // the minor number of each class, by port
}

// queueKey names a class of a port.
type queueKey struct {
	shape Shape
	from  netip.Addr // only if the shape has a rate
}

func queueOf(pair Pair, shape Shape) queueKey {
	key := queueKey{shape: shape}
	if shape.Rate != 0 {
		key.from = pair.From
	}
	return key
}

const (
	major      = 0x7ab
	tbfMajor   = 0x1000         // plus the minor number of the class
	fullSpeed  = 10_000_000_000 // the most that testbed.Link takes
	netemLimit = 100_000        // packets under way at a time; only what is sent takes memory
)

// ensure makes the class for key on port and returns its number as packets'
// priorities have it.
func (s *shaper) ensure(port int, key queueKey) (uint32, error) {
	classes := s.ports[port]
	if classes == nil {
		if err := s.plant(port); err != nil {
			return 0, err
		}
		classes = make(map[queueKey]uint16)
		s.ports[port] = classes
	}
	minor, ok := classes[key]
	if !ok {
		minor = unused(classes)
		if err := s.grow(port, minor, key.shape); err != nil {
			return 0, err
		}
		classes[key] = minor
	}
	return netlink.MakeHandle(major, minor), nil
}

// unused returns the least number that no class has.
func unused(classes map[queueKey]uint16) uint16 {
	taken := slices.Sorted(maps.Values(classes))
	for i, minor := range taken {
		if int(minor) != i+1 {
			return uint16(i + 1)
		}
	}
	return uint16(len(taken) + 1)
}

// plant makes the root of a port's tree.
func (s *shaper) plant(port int) error {
	root := netlink.NewHtb(attrs(port, netlink.MakeHandle(major, 0), netlink.HANDLE_ROOT))
	root.Defcls = 0
	waiting := uint32(1000) // Docker's ports have no queue from which to take a default
	root.DirectQlen = &waiting
	if err := s.handle.QdiscAdd(root); err != nil {
		return fmt.Errorf("queues of port %d: htb: %w", port, missing(err, "sch_htb"))
	}
	return nil
}

// grow adds a class and what is below it.
func (s *shaper) grow(port int, minor uint16, shape Shape) error {
	class := netlink.NewHtbClass(
		netlink.ClassAttrs{LinkIndex: port, Handle: netlink.MakeHandle(major, minor), Parent: netlink.MakeHandle(major, 0)},
		netlink.HtbClassAttrs{Rate: fullSpeed, Quantum: 64 << 10},
	)
	if err := s.handle.ClassAdd(class); err != nil {
		return fmt.Errorf("queues of port %d: class: %w", port, err)
	}
	parent := class.Handle
	err := func() error {
		if shape.Rate != 0 {
			tbf := newTbf(attrs(port, netlink.MakeHandle(tbfMajor+minor, 0), parent), shape.Rate)
			if err := s.handle.QdiscAdd(tbf); err != nil {
				return fmt.Errorf("queues of port %d: tbf: %w", port, missing(err, "sch_tbf"))
			}
			parent = netlink.MakeHandle(tbfMajor+minor, 1)
		}
		if netem(shape) {
			if err := s.handle.QdiscAdd(newNetem(attrs(port, 0, parent), shape)); err != nil {
				if errors.Is(err, unix.EINVAL) && s.duplicates(port, shape) {
					return errDuplicate
				}
				return fmt.Errorf("queues of port %d: netem: %w", port, missing(err, "sch_netem"))
			}
		}
		return nil
	}()
	if err != nil {
		return errors.Join(err, s.handle.ClassDel(class))
	}
	return nil
}

// duplicates reports whether the shape or one that the port has duplicates.
func (s *shaper) duplicates(port int, shape Shape) bool {
	for key := range s.ports[port] {
		if key.shape.Duplicate > 0 {
			return true
		}
	}
	return shape.Duplicate > 0
}

func newTbf(a netlink.QdiscAttrs, bits uint64) *netlink.Tbf {
	// A packet longer than the burst, left whole for the network card to cut,
	// tbf cuts itself.
	burst, queue := testbed.TokenBucket(bits)
	return &netlink.Tbf{
		QdiscAttrs: a,
		Rate:       bits / 8,
		Buffer:     netlink.Xmittime(bits/8, uint32(burst)),
		Limit:      uint32(queue),
	}
}

func newNetem(a netlink.QdiscAttrs, shape Shape) *netlink.Netem {
	limit := uint32(netemLimit)
	if shape.Rate != 0 {
		// Here netem is the queue, and counts packets: of 500 bytes, say.
		_, queue := testbed.TokenBucket(shape.Rate)
		delayed := float64(shape.Rate) / 8 * (shape.Delay + shape.Jitter).Seconds()
		limit = max(uint32((float64(queue)+delayed)/500), 64)
	}
	return netlink.NewNetem(a, netlink.NetemQdiscAttrs{
		Latency:     uint32(shape.Delay.Microseconds()),
		Jitter:      uint32(shape.Jitter.Microseconds()),
		ReorderProb: float32(shape.Reorder),
		Duplicate:   float32(shape.Duplicate),
		CorruptProb: float32(shape.Corrupt),
		Limit:       limit,
	})
}

// keep removes every class that is not wanted, and the tree of a port with no
// class left. A port that is gone took its tree along.
func (s *shaper) keep(wanted map[int]map[queueKey]bool) error {
	var errs []error
	for port, classes := range s.ports {
		if len(wanted[port]) == 0 {
			errs = append(errs, s.uproot(port))
			delete(s.ports, port)
			continue
		}
		for key, minor := range classes {
			if wanted[port][key] {
				continue
			}
			class := &netlink.GenericClass{ClassType: "htb", ClassAttrs: netlink.ClassAttrs{
				LinkIndex: port, Handle: netlink.MakeHandle(major, minor), Parent: netlink.MakeHandle(major, 0),
			}}
			errs = append(errs, unlessGone(s.handle.ClassDel(class)))
			delete(classes, key)
		}
	}
	return errors.Join(errs...)
}

// uproot removes the tree of a port.
func (s *shaper) uproot(port int) error {
	return unlessGone(s.handle.QdiscDel(netlink.NewHtb(attrs(port, netlink.MakeHandle(major, 0), netlink.HANDLE_ROOT))))
}

// clean removes the trees that a dead agent left on the ports of the bridge.
func (s *shaper) clean(bridge int) error {
	links, err := s.handle.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return fmt.Errorf("list the ports of the bridge: %w", err)
	}
	var errs []error
	for _, link := range links {
		if link.Attrs().MasterIndex != bridge {
			continue
		}
		qdiscs, err := s.handle.QdiscList(link)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			errs = append(errs, unlessGone(err))
			continue
		}
		for _, q := range qdiscs {
			if q.Attrs().Handle == netlink.MakeHandle(major, 0) {
				errs = append(errs, s.uproot(link.Attrs().Index))
			}
		}
	}
	return errors.Join(errs...)
}

func attrs(port int, handle, parent uint32) netlink.QdiscAttrs {
	return netlink.QdiscAttrs{LinkIndex: port, Handle: handle, Parent: parent}
}

// missing names the piece of the kernel that is not there.
func missing(err error, module string) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("the kernel lacks %s (%w)", module, err)
	}
	return err
}

// errDuplicate is the refusal of a netem that duplicates beside another on the
// same port.
var errDuplicate = errors.New("this kernel allows duplicate only where all links to the destination have the same shape")

// crowded reports whether m asks for what such kernels refuse. If not, what is
// in the way is the queues of the matrix before.
func (m Matrix) crowded() bool {
	queues := make(map[netip.Addr]map[queueKey]bool)
	doubles := make(map[netip.Addr]bool)
	for pair, link := range m {
		if link.IsCut() || !netem(link.Shape) {
			continue
		}
		if queues[pair.To] == nil {
			queues[pair.To] = make(map[queueKey]bool)
		}
		queues[pair.To][queueOf(pair, link.Shape)] = true
		doubles[pair.To] = doubles[pair.To] || link.Shape.Duplicate > 0
	}
	for to := range doubles {
		if doubles[to] && len(queues[to]) > 1 {
			return true
		}
	}
	return false
}

// unlessGone is nil for what fails because the device or its tree is no more.
func unlessGone(err error) error {
	for _, gone := range [...]error{unix.ENODEV, unix.ENOENT, unix.EINVAL} {
		if errors.Is(err, gone) {
			return nil
		}
	}
	return err
}
