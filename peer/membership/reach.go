package membership

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/memberlist"
)

// ErrNoAnswer says that a member did not answer a ping in time.
var ErrNoAnswer = errors.New("no answer")

// lookUp returns the entry for a member.
func (m *Membership) lookUp(name string) (Member, error) {
	for _, member := range m.Members() {
		if member.Name == name {
			return member, nil
		}
	}
	return Member{}, fmt.Errorf("this peer knows no %q", name)
}

// Ping sends one probe to a member over UDP, by its address in the table,
// whatever state it is held in, and returns the round trip. It waits
// ProbeTimeout for the answer, which may be ErrNoAnswer.
func (m *Membership) Ping(ctx context.Context, name string) (time.Duration, error) {
	member, err := m.lookUp(name)
	if err != nil {
		return 0, err
	}
	addr, err := net.ResolveUDPAddr("udp", member.Addr)
	if err != nil {
		return 0, err
	}
	type pong struct {
		rtt time.Duration
		err error
	}
	done := make(chan pong, 1)
	err = m.begin(func() {
		began := time.Now()
		rtt, err := m.list.Ping(name, addr)
		if err == nil && rtt <= 0 {
			// memberlist looks at the clock after it has sent: on a busy host the
			// answer is there before.
			rtt = time.Since(began)
		}
		done <- pong{rtt, err}
	})
	if err != nil {
		return 0, fmt.Errorf("ping %q: %w", name, err)
	}
	select {
	case p := <-done:
		if errors.As(p.err, new(memberlist.NoPingResponseError)) {
			return 0, ErrNoAnswer
		}
		return p.rtt, p.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Dial opens and closes a TCP connection to a member's membership address and
// returns how long the opening took, up to TCPTimeout.
func (m *Membership) Dial(ctx context.Context, name string) (time.Duration, error) {
	member, err := m.lookUp(name)
	if err != nil {
		return 0, err
	}
	transport, ok := m.conf.Transport.(memberlist.NodeAwareTransport)
	if !ok {
		return 0, errors.New("the transport cannot dial by name")
	}
	type opened struct {
		took time.Duration
		err  error
	}
	done := make(chan opened, 1)
	err = m.begin(func() {
		start := time.Now()
		conn, err := transport.DialAddressTimeout(memberlist.Address{Addr: member.Addr, Name: name}, m.conf.TCPTimeout)
		if err == nil {
			_ = conn.Close()
		}
		done <- opened{time.Since(start), err}
	})
	if err != nil {
		return 0, fmt.Errorf("dial %q: %w", name, err)
	}
	select {
	case o := <-done:
		return o.took, o.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
