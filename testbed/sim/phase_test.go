package sim

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
	"peerlab/peer"
	"peerlab/testbed"
)

// probes notes when each peer sends a probe.
type probes struct {
	mu sync.Mutex
	at map[string][]time.Time
}

// pingSender tells of the probes that a memberlist sends.
type pingSender struct {
	memberlist.NodeAwareTransport
	sent func()
}

func (s pingSender) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if isPing(b) {
		s.sent()
	}
	return s.NodeAwareTransport.WriteToAddress(b, a)
}

// isPing reports whether a packet of memberlist is a probe, alone or in front of
// what goes along with it.
func isPing(b []byte) bool {
	const ping, compound, checksum = 0, 7, 12
	if len(b) > 5 && b[0] == checksum {
		b = b[5:]
	}
	if len(b) > 2 && b[0] == compound {
		if header := 2 + 2*int(b[1]); len(b) > header {
			b = b[header:]
		}
	}
	return len(b) > 0 && b[0] == ping
}

// record is a change of peers' configurations that has their probes noted.
func (p *probes) record(conf *peer.Config) {
	open := conf.Network.Transport
	conf.Network.Transport = func() (memberlist.NodeAwareTransport, error) {
		t, err := open()
		return pingSender{t, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.at[conf.Name] = append(p.at[conf.Name], time.Now())
		}}, err
	}
}

// phases returns when within a second each peer probes, in 30 s of an idle
// cluster of n peers, of which the last has been killed and started again.
func phases(t *testing.T, seed uint64, n int, settings map[string]string) map[string]time.Duration {
	t.Helper()
	p := &probes{at: make(map[string][]time.Time)}
	err := RunChanged(t.Context(), seed, p.record, func(ctx context.Context, f testbed.Factory) error {
		l := &lab{t: t, ctx: ctx, names: testbed.Names(n)}
		var err error
		l.Engine, err = f.Create(ctx, testbed.Spec{Peers: l.names, Settings: settings})
		l.must(err)
		l.up()
		last := l.names[n-1]
		l.must(l.Kill(ctx, last))
		l.must(l.Start(ctx, last))
		time.Sleep(2 * time.Minute)
		p.mu.Lock()
		clear(p.at)
		p.mu.Unlock()
		time.Sleep(30 * time.Second)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	within := make(map[string]time.Duration)
	for name, at := range p.at {
		within[name] = at[0].Sub(at[0].Truncate(time.Second))
		for _, a := range at {
			if got := a.Sub(a.Truncate(time.Second)); got != within[name] {
				t.Errorf("%s probes %s and %s after a whole second", name, within[name], got)
			}
		}
	}
	if len(within) != n {
		t.Fatalf("%d of %d peers probe", len(within), n)
	}
	return within
}

// TestNoTwoPeersProbeInStep, whether they were started together or again.
func TestNoTwoPeersProbeInStep(t *testing.T) {
	const n = 8
	got := phases(t, 1, n, map[string]string{"profile": "lan"})
	together := make(map[time.Duration][]string)
	for name, phase := range got {
		ms := phase.Truncate(time.Millisecond)
		together[ms] = append(together[ms], name)
	}
	if len(together) != n {
		t.Errorf("some probe in the same millisecond: %v", together)
	}
	for name, phase := range phases(t, 1, n, map[string]string{"profile": "lan"}) {
		if name != testbed.Names(n)[n-1] && got[name] != phase { // when the last one comes back the seed does not decide
			t.Errorf("with the same seed %s probes after %s and then after %s", name, got[name], phase)
		}
	}
	if other := phases(t, 2, n, map[string]string{"profile": "lan"}); other["alice"] == got["alice"] {
		t.Errorf("another seed has the same phase: %s", other["alice"])
	}
}

// TestAligned has peers probe in step that were started in one instant.
func TestAligned(t *testing.T) {
	got := phases(t, 1, 4, map[string]string{"profile": "lan", "phase": "aligned"})
	delete(got, testbed.Names(4)[3]) // it was started again, when the others knew each other
	for name, phase := range got {
		if phase != got["alice"] {
			t.Errorf("%s probes after %s, alice after %s", name, phase, got["alice"])
		}
	}
}

// TestTheLabActsExactly when it says, whatever the phases of the peers.
func TestTheLabActsExactly(t *testing.T) {
	simulate(t, 3, nil, func(l *lab) {
		began := time.Now()
		l.must(l.Start(l.ctx, l.names...))
		time.Sleep(3 * time.Second)
		l.must(l.Kill(l.ctx, "bob"))
		time.Sleep(time.Second)
		l.must(l.Start(l.ctx, "bob"))
		want := map[event.Kind][]time.Duration{testbed.LabStart: {0, 0, 0, 4 * time.Second}, testbed.LabKill: {3 * time.Second}}
		for kind, want := range want {
			var got []time.Duration
			for _, e := range l.since(0, kind) {
				got = append(got, e.Time.Sub(began))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s after %v, want %v", kind, got, want)
			}
		}
	})
}

// TestBeforeThePeerBegins what can be done to a peer can be done to one whose
// process has not begun yet.
func TestBeforeThePeerBegins(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(l *lab)
		// begins is how many processes of alice's there were.
		begins, exit int
	}{
		{"a line waits for it", func(l *lab) {
			var out strings.Builder
			l.must(l.Exec(l.ctx, "alice", "echo hello", testbed.Input{}, &out))
			if out.String() != "hello\n" {
				l.t.Errorf("%q", out.String())
			}
			l.must(l.Kill(l.ctx, "alice"))
		}, 1, exitKilled},
		{"killed", func(l *lab) {
			l.must(l.Kill(l.ctx, "alice"))
			time.Sleep(startSpread)
		}, 0, exitKilled},
		{"killed, and started again", func(l *lab) {
			l.must(l.Kill(l.ctx, "alice"))
			l.must(l.Start(l.ctx, "alice"))
			l.must(l.Exec(l.ctx, "alice", "members", testbed.Input{}, io.Discard))
			l.must(l.Kill(l.ctx, "alice"))
		}, 1, exitKilled},
		{"killed while a line waits", func(l *lab) {
			failed := make(chan error, 1)
			go func() { failed <- l.Exec(l.ctx, "alice", "members", testbed.Input{}, io.Discard) }()
			time.Sleep(time.Nanosecond)
			l.must(l.Kill(l.ctx, "alice"))
			if err := <-failed; err == nil || !strings.Contains(err.Error(), "alice does not run") {
				l.t.Errorf("%v", err)
			}
		}, 0, exitKilled},
		{"asked to leave", func(l *lab) { l.must(l.Stop(l.ctx, "alice")) }, 1, 0},
		{"paused for a while", func(l *lab) {
			l.must(l.Pause(l.ctx, "alice"))
			time.Sleep(startSpread)
			l.must(l.Resume(l.ctx, "alice"))
			l.must(l.Exec(l.ctx, "alice", "members", testbed.Input{}, io.Discard))
			l.must(l.Stop(l.ctx, "alice"))
		}, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			simulate(t, 1, nil, func(l *lab) {
				l.t = t
				l.must(l.Start(l.ctx, testbed.Bootstrap, "alice"))
				test.do(l)
				peers, err := l.Peers(l.ctx)
				l.must(err)
				if p := peers[1]; p.State != testbed.Stopped || p.Exit != test.exit {
					t.Errorf("in the end %+v", p)
				}
				if got := len(l.since(0, event.PeerStarted)); got != test.begins {
					t.Errorf("it began %d times, want %d", got, test.begins)
				}
			})
		})
	}
}
