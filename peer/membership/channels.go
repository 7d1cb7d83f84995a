package membership

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/memberlist"

	"peerlab/internal/suggest"
)

// Channel is one user of memberlist's single delegate: it sends messages along
// with gossip and exchanges a state with each push/pull.
//
// Every method is called from memberlist's own goroutines, several at once,
// from before Create returns until a moment after Shutdown has. None may
// block: Receive and Broadcasts run in the loops that also carry probes, so a
// slow one makes this peer look dead. None may call back into Membership,
// Online and Members excepted.
type Channel interface {
	// Broadcasts returns messages for one packet. Each costs its length plus
	// overhead bytes, together at most limit; what does not fit is dropped and
	// counted. The messages are copied before the next call.
	Broadcasts(overhead, limit int) [][]byte
	// Receive takes a message of another member's Broadcasts or SendTo. msg
	// belongs to memberlist: copy what is kept. It may be anything: a member
	// may run another version, or none of ours.
	Receive(msg []byte)
	// State returns what to hand to the other side of a push/pull, nil for
	// nothing; join says that one side is joining. It is copied at once.
	State(join bool) []byte
	// Merge takes the other side's State, under the same terms as Receive.
	Merge(state []byte, join bool)
}

// MaxState is the most that the states of all channels may take together, in
// bytes. memberlist refuses a push/pull of 20 MiB, and with it the join.
const MaxState = 16 << 20

// MaxMessage is the longest message SendTo takes, in bytes.
const MaxMessage = 16 << 20

// stateHeader is the tag and the length in front of each channel's state.
const stateHeader = 1 + 4

// delegate shares memberlist's one delegate among channels. A message is the
// channel's tag and its bytes; a state is, for each channel, tag, length (4
// bytes, big endian) and bytes.
type delegate struct {
	metadata
	channels map[byte]Channel
	tags     []byte // of channels, ascending
	turn     atomic.Uint32
	dropped  atomic.Uint64
}

var _ memberlist.Delegate = (*delegate)(nil)

func newDelegate(channels map[byte]Channel) (*delegate, error) {
	for tag, c := range channels {
		if c == nil {
			return nil, fmt.Errorf("membership channel %d is nil", tag)
		}
	}
	return &delegate{channels: maps.Clone(channels), tags: slices.Sorted(maps.Keys(channels))}, nil
}

// NotifyMsg implements memberlist.Delegate.
func (d *delegate) NotifyMsg(msg []byte) {
	if len(msg) > 0 {
		if c := d.channels[msg[0]]; c != nil {
			c.Receive(msg[1:])
			return
		}
	}
	d.dropped.Add(1)
}

// GetBroadcasts implements memberlist.Delegate. The channels take turns at
// being asked first, so that a busy one does not starve the others.
func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	if len(d.tags) == 0 {
		return nil
	}
	var packet [][]byte
	overhead++ // the tag
	first := int(d.turn.Add(1) % uint32(len(d.tags)))
	for i := range d.tags {
		tag := d.tags[(first+i)%len(d.tags)]
		if limit <= overhead {
			break
		}
		for _, msg := range d.channels[tag].Broadcasts(overhead, limit) {
			if overhead+len(msg) > limit {
				d.dropped.Add(1)
				continue
			}
			limit -= overhead + len(msg)
			packet = append(packet, append([]byte{tag}, msg...))
		}
	}
	return packet
}

// LocalState implements memberlist.Delegate.
func (d *delegate) LocalState(join bool) []byte {
	var all []byte
	for _, tag := range d.tags {
		state := d.channels[tag].State(join)
		if state == nil {
			continue
		}
		if len(all)+stateHeader+len(state) > MaxState {
			d.dropped.Add(1)
			continue
		}
		all = append(all, tag)
		all = binary.BigEndian.AppendUint32(all, uint32(len(state)))
		all = append(all, state...)
	}
	return all
}

// MergeRemoteState implements memberlist.Delegate.
func (d *delegate) MergeRemoteState(buf []byte, join bool) {
	states, ok := splitStates(buf)
	if !ok {
		d.dropped.Add(1)
		return
	}
	for _, s := range states {
		if c := d.channels[s.tag]; c != nil {
			c.Merge(s.state, join)
		} else {
			d.dropped.Add(1)
		}
	}
}

type taggedState struct {
	tag   byte
	state []byte // part of the buffer it was read from
}

// splitStates undoes LocalState. It takes all or nothing, because bytes that
// are wrong at one place are not ours from the start: tags ascend, and the
// last state ends where buf does.
func splitStates(buf []byte) ([]taggedState, bool) {
	var states []taggedState
	for len(buf) > 0 {
		if len(buf) < stateHeader {
			return nil, false
		}
		tag, size := buf[0], binary.BigEndian.Uint32(buf[1:])
		buf = buf[stateHeader:]
		if uint64(size) > uint64(len(buf)) || len(states) > 0 && tag <= states[len(states)-1].tag {
			return nil, false
		}
		states = append(states, taggedState{tag, buf[:size:size]})
		buf = buf[size:]
	}
	return states, true
}

// Dropped returns how many messages and states were dropped because no channel
// has their tag, they were malformed, or they were too large to send.
func (m *Membership) Dropped() uint64 { return m.delegate.dropped.Load() }

// SendTo hands msg over TCP to channel tag of the member name, which may be
// this peer itself. It returns once the message is handed to the network: the
// member may still die before it reads it. When ctx ends first, the message may
// yet arrive.
func (m *Membership) SendTo(ctx context.Context, name string, tag byte, msg []byte) error {
	if len(msg) > MaxMessage {
		return fmt.Errorf("send to %q: message of %d bytes is too long: the limit is %d", name, len(msg), MaxMessage)
	}
	to, err := m.online(name)
	if err != nil {
		return err
	}
	tagged := append([]byte{tag}, msg...)
	done := make(chan error, 1)
	if err := m.begin(func() { done <- m.list.SendReliable(to, tagged) }); err != nil {
		return fmt.Errorf("send to %q: %w", name, err)
	}
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("send to %q: %w", name, err)
	}
	return nil
}

// online returns a copy of the address of the online member name.
func (m *Membership) online(name string) (*memberlist.Node, error) {
	var found *memberlist.Node
	var names []string
	m.table.each(func(n *nodeState) {
		if n.State == memberlist.StateAlive || n.State == memberlist.StateSuspect {
			names = append(names, n.Name)
			if n.Name == name {
				found = &memberlist.Node{Name: n.Name, Addr: slices.Clone(n.Addr), Port: n.Port}
			}
		}
	})
	if found != nil {
		return found, nil
	}
	if near := suggest.Similar(name, names); len(near) > 0 {
		return nil, fmt.Errorf("no member %q is online: did you mean %s?", name, strings.Join(near, ", "))
	}
	return nil, fmt.Errorf("no member %q is online", name)
}
