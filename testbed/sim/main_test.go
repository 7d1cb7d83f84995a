package sim

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peerlab/event"
	"peerlab/testbed"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// What TestBlocked leaves, and the one that waits for it.
		goleak.IgnoreAnyFunction("peerlab/testbed/sim.forEver"),
		goleak.IgnoreAnyFunction("testing/synctest.testingSynctestTest"))
}

// lab is a cluster under test, within a simulation.
type lab struct {
	t   *testing.T
	ctx context.Context
	testbed.Engine
	names []string
}

// simulate runs f on a cluster of n peers that have not been started.
func simulate(t *testing.T, n int, settings map[string]string, f func(l *lab)) {
	t.Helper()
	err := Run(t.Context(), 1, func(ctx context.Context, factory testbed.Factory) error {
		names := testbed.Names(n)
		e, err := factory.Create(ctx, testbed.Spec{Peers: names, Settings: settings})
		if err != nil {
			return err
		}
		f(&lab{t, ctx, e, names})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// must fails the test at the first error.
func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Error(err)
		panic("the test ends here") // FailNow would end a goroutine of another test
	}
}

// up starts the bootstrap service and all peers and waits until they see each
// other: of a hundred, gossip misses one now and then, who is told by a push/pull.
func (l *lab) up() {
	l.t.Helper()
	l.must(l.Start(l.ctx, testbed.Bootstrap))
	l.must(l.Start(l.ctx, l.names...))
	l.await(5*time.Minute, "all see all", func(v view) bool { return v.all(l.names, "alive", l.names) })
}

// view is who holds whom for what, as the events tell.
type view map[string]map[string]string

func (v view) all(observers []string, state string, members []string) bool {
	for _, o := range observers {
		for _, m := range members {
			if v[o][m] != state {
				return false
			}
		}
	}
	return true
}

func (v view) apply(e event.Event) {
	if v[e.Peer] == nil {
		v[e.Peer] = make(map[string]string)
	}
	switch e.Kind {
	case event.MemberJoin, event.MemberRefute:
		v[e.Peer][e.Member] = "alive"
	case event.MemberSuspect:
		v[e.Peer][e.Member] = "suspect"
	case event.MemberDead:
		v[e.Peer][e.Member] = "dead"
	case event.MemberLeft:
		v[e.Peer][e.Member] = "left"
	case event.PeerStarted:
		clear(v[e.Peer])
	}
}

// await waits in virtual time until ok, and returns how long that took.
func (l *lab) await(d time.Duration, what string, ok func(view) bool) time.Duration {
	l.t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(l.ctx, d)
	defer cancel()
	v := make(view)
	for n := 0; ; {
		events, err := l.History().Read(ctx, n)
		if err != nil {
			l.must(fmt.Errorf("after %s: not %s: %w; %v", time.Since(start), what, err, v))
		}
		for _, e := range events {
			v.apply(e)
		}
		n += len(events)
		if n == l.History().Len() && ok(v) {
			return time.Since(start)
		}
	}
}
