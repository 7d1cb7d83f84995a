package membership

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
)

// stranger writes packets as memberlist would, to a peer without a key.
type stranger struct {
	t  *testing.T
	tr *memberlist.MockTransport
	to string
}

// field is one of a MessagePack map: a text, bytes or a number.
type field struct {
	name  string
	value any
}

func (s stranger) send(kind byte, fields ...field) {
	s.t.Helper()
	raw := func(b []byte, text string) []byte {
		b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(len(text)))
		return append(b, text...)
	}
	b := []byte{kind, 0x80 | byte(len(fields))}
	for _, f := range fields {
		b = raw(b, f.name)
		switch v := f.value.(type) {
		case string:
			b = raw(b, v)
		case int:
			b = binary.BigEndian.AppendUint32(append(b, 0xce), uint32(v))
		}
	}
	s.packet(b)
}

func (s stranger) packet(b []byte) {
	s.t.Helper()
	if _, err := s.tr.WriteTo(b, s.to); err != nil {
		s.t.Fatal(err)
	}
	synctest.Wait()
}

func (s stranger) alive(name, addr string, port, incarnation int, meta string) {
	s.t.Helper()
	s.send(4, field{"Incarnation", incarnation}, field{"Node", name}, field{"Addr", addr},
		field{"Port", port}, field{"Meta", meta}, field{"Vsn", "\x01\x05\x02\x00\x00\x00"})
}

func (s stranger) dead(name string, incarnation int) {
	s.t.Helper()
	s.send(5, field{"Incarnation", incarnation}, field{"Node", name}, field{"From", "somebody"})
}

// withStranger runs test with a peer, its log, and a stranger that can reach it.
func withStranger(t *testing.T, o Options, test func(t *testing.T, m *Membership, log *bytes.Buffer, s stranger)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var network memberlist.MockNetwork
		var log bytes.Buffer
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		o.Events = event.NewLog("me", 100_000)
		conf := memberlist.DefaultLANConfig()
		conf.GossipInterval, conf.ProbeInterval, conf.PushPullInterval = 0, 0, 0
		o.Name, o.Config, o.Transport = "me", conf, network.NewTransport("me")
		m, err := Create(o)
		if err != nil {
			t.Fatal(err)
		}
		test(t, m, &log, stranger{t, network.NewTransport("stranger"), m.Addr()})
		if err := m.Shutdown(); err != nil {
			t.Error(err)
		}
	})
}

func count(m *Membership, kind event.Kind) int {
	events, _ := m.watch.log.Since(0)
	return len(slices.DeleteFunc(events, func(e event.Event) bool { return e.Kind != kind }))
}

const home = "\x0a\x00\x00\x01"

// However many names a stranger makes up, a peer takes in no more members
// than it is meant to, and serves those it has.
func TestMembersHaveABound(t *testing.T) {
	withStranger(t, Options{MaxMembers: 20}, func(t *testing.T, m *Membership, log *bytes.Buffer, s stranger) {
		s.alive("bob", home, 7946, 1, "")
		for i := range 500 {
			s.alive(fmt.Sprintf("x%d", i), home, i+1, 1, "")
		}
		if got := len(m.Members()); got != 20 {
			t.Errorf("%d members, the bound is 20", got)
		}
		if got := m.Refused(); got != 500-18 {
			t.Errorf("%d are counted as refused, want %d", got, 500-18)
		}
		if got := count(m, event.MemberJoin); got != 20 {
			t.Errorf("%d joins are told", got)
		}
		if got := strings.Count(log.String(), "ignoring alive message"); got != 1 {
			t.Errorf("the log tells %d times within a second:\n%s", got, log)
		}
		if !strings.Contains(log.String(), "20 members") || !strings.Contains(log.String(), "--max-members") {
			t.Errorf("the log does not say why and what to do:\n%s", log)
		}
		// A member that is known goes on, and when one is forgotten the next gets in.
		s.alive("bob", home, 7946, 2, `{"role":"db"}`)
		if got := count(m, event.MemberUpdate); got != 1 {
			t.Errorf("%d updates of a known member are told", got)
		}
		time.Sleep(2 * time.Second)
		s.alive("late", home, 7947, 1, "")
		if got := log.String(); !strings.Contains(got, "omitted=481") {
			t.Errorf("what was left out is not told:\n%s", got)
		}
	})
}

// A peer whose bound is not set takes in a thousand.
func TestTheBoundIsGenerous(t *testing.T) {
	withStranger(t, Options{}, func(t *testing.T, m *Membership, _ *bytes.Buffer, s stranger) {
		for i := range 1000 {
			s.alive(fmt.Sprintf("x%d", i), home, i+1, 1, "")
		}
		if got := len(m.Members()); got != 1001 || m.Refused() != 0 {
			t.Errorf("%d members, %d refused", got, m.Refused())
		}
	})
}

// Lengths that no memberlist sends are not believed.
func TestStrangeMembersAreRefused(t *testing.T) {
	for name, send := range map[string]func(s stranger){
		"no name":            func(s stranger) { s.alive("", home, 1, 1, "") },
		"a long name":        func(s stranger) { s.alive(strings.Repeat("x", 129), home, 1, 1, "") },
		"long metadata":      func(s stranger) { s.alive("bob", home, 1, 1, strings.Repeat("x", 513)) },
		"no address":         func(s stranger) { s.alive("bob", "", 1, 1, "") },
		"half an address":    func(s stranger) { s.alive("bob", "\x0a\x00", 1, 1, "") },
		"later long updates": func(s stranger) { s.alive("me", home, 1, 1<<30, strings.Repeat("x", 40_000)) },
	} {
		t.Run(name, func(t *testing.T) {
			withStranger(t, Options{}, func(t *testing.T, m *Membership, log *bytes.Buffer, s stranger) {
				send(s)
				if got := m.Members(); len(got) != 1 || got[0].Incarnation != 1 {
					t.Errorf("members %+v", got)
				}
				if m.Refused() != 1 || log.Len() > 2000 {
					t.Errorf("%d are counted as refused, %d bytes are logged", m.Refused(), log.Len())
				}
			})
		})
	}
	withStranger(t, Options{}, func(t *testing.T, m *Membership, _ *bytes.Buffer, s stranger) {
		s.alive(strings.Repeat("x", 128), "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", 1, 1, strings.Repeat("x", 512))
		if got := m.Members(); len(got) != 2 || m.Refused() != 0 {
			t.Errorf("members %+v, %d refused", got, m.Refused())
		}
	})
}

// Conflicts are told once a second for each name, in events and in the log,
// whatever addresses are claimed.
func TestAFloodOfConflicts(t *testing.T) {
	withStranger(t, Options{}, func(t *testing.T, m *Membership, log *bytes.Buffer, s stranger) {
		for _, name := range []string{"bob", "carol"} {
			s.alive(name, home, 7946, 1, "")
		}
		flood := func() {
			for i := range 1000 {
				for _, name := range []string{"bob", "carol"} {
					s.alive(name, home, 10_000+i, 2, "")
				}
			}
		}
		told := func() (events, lines int) {
			return count(m, event.MemberConflict), strings.Count(log.String(), "Conflicting address")
		}
		flood()
		if events, lines := told(); events != 2 || lines != 2 {
			t.Errorf("%d events and %d lines for two names, want 2 each", events, lines)
		}
		time.Sleep(1100 * time.Millisecond)
		flood()
		if events, lines := told(); events != 4 || lines != 4 {
			t.Errorf("a second later %d events and %d lines, want 4 each", events, lines)
		}
		if addr := m.watch.takeConflict("bob"); addr != "10.0.0.1:10999" {
			t.Errorf("the latest holder is at %q", addr)
		}
		// The same address goes on to be told once only.
		time.Sleep(10 * time.Second)
		for range 5 {
			s.alive("carol", home, 10_999, 2, "")
			time.Sleep(2 * time.Second)
		}
		if events, _ := told(); events > 5 {
			t.Errorf("%d events for one address", events)
		}
	})
}

// Of members that come and go by the thousand no more are remembered than
// there may be members.
func TestTheLostHaveABound(t *testing.T) {
	withStranger(t, Options{MaxMembers: 20}, func(t *testing.T, m *Membership, _ *bytes.Buffer, s stranger) {
		for i := range 100 {
			name := fmt.Sprintf("x%d", i)
			s.alive(name, home, i+1, 1, "")
			s.dead(name, 1)
			time.Sleep(time.Second)
			// As if memberlist had forgotten it.
			m.table.lock.Lock()
			delete(*m.table.nodes, name)
			m.table.lock.Unlock()
		}
		got := m.Missing()
		if len(got) > 20 || len(got) < 15 {
			t.Errorf("%d are missed: %q", len(got), got)
		}
		if !slices.Contains(got, "10.0.0.1:100") || slices.Contains(got, "10.0.0.1:1") {
			t.Errorf("not the latest are missed: %q", got)
		}
	})
}

// Whatever a packet is, a thousand of them are not a thousand lines.
func TestAFloodOfGarbageDoesNotFillTheLog(t *testing.T) {
	withStranger(t, Options{}, func(t *testing.T, _ *Membership, log *bytes.Buffer, s stranger) {
		for i := range 1000 {
			s.packet([]byte{200, byte(i)})
			s.packet([]byte{4, 0xc1, byte(i)})
		}
		if lines := strings.Count(log.String(), "\n"); lines == 0 || lines > 40 {
			t.Errorf("%d lines:\n%.3000s", lines, log)
		}
		for line := range strings.Lines(log.String()) {
			if len(line) > 2000 {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
	})
}
