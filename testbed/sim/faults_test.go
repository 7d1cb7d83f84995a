package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/observe/theory"
	"peerlab/peer/membership/memberlistconfig"
	"peerlab/testbed"
)

var local = map[string]string{"profile": "local"}

// since returns the events after the first n whose kind is one of these.
func (l *lab) since(n int, kinds ...event.Kind) []event.Event {
	events, _ := l.History().Since(n)
	return slices.DeleteFunc(slices.Clone(events), func(e event.Event) bool { return !slices.Contains(kinds, e.Kind) })
}

// see waits until observers hold the members for that.
func (l *lab) see(d time.Duration, observers []string, state string, members ...string) time.Duration {
	l.t.Helper()
	return l.await(d, fmt.Sprintf("%v see %v %s", observers, members, state), func(v view) bool { return v.all(observers, state, members) })
}

// calm holds for d that nobody is found dead.
func (l *lab) calm(d time.Duration) {
	l.t.Helper()
	n := l.History().Len()
	time.Sleep(d)
	if dead := l.since(n, event.MemberDead); len(dead) > 0 {
		l.t.Errorf("found dead: %v", dead)
	}
}

func (l *lab) exec(name, line string) string {
	l.t.Helper()
	var out bytes.Buffer
	l.must(l.Exec(l.ctx, name, line, testbed.Input{}, &out))
	return out.String()
}

// TestFaults shows each fault to five real peers.
func TestFaults(t *testing.T) {
	drop := func(what testbed.Drop, pairs ...testbed.Pair) testbed.Links {
		links := make(testbed.Links)
		for _, p := range pairs {
			links[p] = testbed.Link{Drop: what}
		}
		return links
	}
	around := func(name string, names []string) (pairs []testbed.Pair) {
		for _, other := range names {
			if other != name {
				p := testbed.Pair{From: name, To: other}
				pairs = append(pairs, p, p.Back())
			}
		}
		return pairs
	}
	for _, test := range []struct {
		name string
		do   func(l *lab, victim string, others []string)
	}{
		{"killed, and back", func(l *lab, victim string, others []string) {
			l.must(l.Kill(l.ctx, victim))
			l.see(time.Minute, others, "dead", victim)
			n := l.History().Len()
			l.must(l.Start(l.ctx, victim))
			l.see(time.Minute, l.names, "alive", l.names...)
			if started := l.since(n, testbed.LabStart, event.PeerStarted); len(started) != 2 {
				l.t.Errorf("%v", started)
			}
		}},
		{"stopped", func(l *lab, victim string, others []string) {
			l.must(l.Stop(l.ctx, victim))
			// memberlist tells of a leave as often as its retransmit limit says,
			// which now and then misses one: that one finds the victim dead.
			l.await(time.Minute, "left", func(v view) bool {
				left := 0
				for _, o := range others {
					switch v[o][victim] {
					case "left":
						left++
					case "dead":
					default:
						return false
					}
				}
				return left >= len(others)-1
			})
			if p := l.peer(victim); p.State != testbed.Stopped || p.Exit != 0 {
				l.t.Errorf("%+v", p)
			}
		}},
		{"paused for a moment", func(l *lab, victim string, others []string) {
			l.must(l.Pause(l.ctx, victim))
			l.await(time.Minute, "suspected", func(v view) bool { return v[others[0]][victim] == "suspect" })
			l.must(l.Resume(l.ctx, victim))
			l.see(time.Minute, l.names, "alive", l.names...)
		}},
		{"paused for long", func(l *lab, victim string, others []string) {
			l.must(l.Pause(l.ctx, victim))
			l.see(time.Minute, others, "dead", victim)
			l.must(l.Resume(l.ctx, victim))
			l.see(time.Minute, l.names, "alive", l.names...)
		}},
		{"stopped while paused", func(l *lab, victim string, others []string) {
			l.must(l.Pause(l.ctx, victim))
			start := time.Now()
			l.must(l.Stop(l.ctx, victim))
			if p := l.peer(victim); p.Exit != 0 || time.Since(start) > 5*time.Second {
				l.t.Errorf("%+v after %s", p, time.Since(start))
			}
			l.await(time.Minute, "left", func(v view) bool { return v[others[0]][victim] != "alive" && v[others[0]][victim] != "suspect" })
		}},
		{"killed while paused", func(l *lab, victim string, others []string) {
			l.must(l.Pause(l.ctx, victim))
			l.must(l.Kill(l.ctx, victim))
			l.see(time.Minute, others, "dead", victim)
		}},
		{"moved", func(l *lab, victim string, others []string) {
			was := l.peer(victim).Addr
			if _, err := l.Move(l.ctx, victim); !errors.Is(err, testbed.ErrRunning) {
				l.t.Errorf("moved while it runs: %v", err)
			}
			l.must(l.Kill(l.ctx, victim))
			addr, err := l.Move(l.ctx, victim)
			l.must(err)
			l.must(l.Start(l.ctx, victim))
			l.await(5*time.Minute, "seen at the new address", func(view) bool {
				at := make(map[string]bool)
				for _, e := range l.since(0, event.MemberJoin) {
					if e.Member == victim && strings.HasPrefix(e.Addr, addr.String()+":") {
						at[e.Peer] = true
					}
				}
				return len(at) == len(l.names)
			})
			if addr == was || l.peer(victim).Addr != addr {
				l.t.Errorf("moved from %s to %s", was, addr)
			}
		}},
		{"cut one way from one", func(l *lab, victim string, others []string) {
			// The others ask it in this one's place, and it answers.
			l.must(l.SetLinks(l.ctx, drop(testbed.DropAll, testbed.Pair{From: victim, To: others[0]})))
			l.calm(2 * time.Minute)
		}},
		{"sends nothing", func(l *lab, victim string, others []string) {
			links := make(testbed.Links)
			for _, o := range others {
				links[testbed.Pair{From: victim, To: o}] = testbed.Link{Drop: testbed.DropAll}
			}
			l.must(l.SetLinks(l.ctx, links))
			l.see(time.Minute, others, "dead", victim)
		}},
		{"partial", func(l *lab, victim string, others []string) {
			p := testbed.Pair{From: victim, To: others[0]}
			l.must(l.SetLinks(l.ctx, drop(testbed.DropAll, p, p.Back())))
			l.calm(2 * time.Minute)
		}},
		{"without udp", func(l *lab, victim string, others []string) {
			l.must(l.SetLinks(l.ctx, drop(testbed.DropUDP, around(victim, l.names)...)))
			l.calm(2 * time.Minute)
		}},
		{"partition", func(l *lab, victim string, others []string) {
			links, err := testbed.Partition([]string{victim, others[0]}, others[1:])
			l.must(err)
			l.must(l.SetLinks(l.ctx, links))
			l.see(2*time.Minute, l.names[2:4], "dead", victim)
			l.see(2*time.Minute, []string{victim}, "dead", others[1:]...)
			l.must(l.SetLinks(l.ctx, nil))
			l.see(time.Minute, l.names, "alive", l.names...)
		}},
		{"bootstrap outage", func(l *lab, victim string, others []string) {
			l.must(l.Kill(l.ctx, victim, testbed.Bootstrap))
			l.see(time.Minute, others, "dead", victim)
			n := l.History().Len()
			l.must(l.Start(l.ctx, victim))
			time.Sleep(20 * time.Second)
			if len(l.since(n, event.BootstrapError)) == 0 {
				l.t.Error("no error of the bootstrap service")
			}
			l.must(l.Start(l.ctx, testbed.Bootstrap))
			l.see(time.Minute, l.names, "alive", l.names...)
		}},
		{"throttled", func(l *lab, victim string, others []string) {
			l.must(l.Throttle(l.ctx, testbed.MinCPUs, victim))
			time.Sleep(10 * time.Second)
			// 10 ms for a ping, as much for each message that came before it, and
			// what is left of the one that is being handled.
			if row := l.exec(others[0], "members "+victim); !regexp.MustCompile(`\s[1-9]\d+(\.\d+)?ms\s`).MatchString(row) {
				l.t.Errorf("round trip of a throttled peer: %s", row)
			}
			if e := l.since(0, testbed.LabThrottle); len(e) != 1 || e[0].Text != "0.01" {
				l.t.Errorf("%v", e)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			simulate(t, 5, local, func(l *lab) {
				l.up()
				test.do(l, l.names[4], l.names[:4])
			})
		})
	}
}

func (l *lab) peer(name string) testbed.Peer {
	peers, err := l.Peers(l.ctx)
	l.must(err)
	return peers[slices.IndexFunc(peers, func(p testbed.Peer) bool { return p.Name == name })]
}

// TestLinksBeforeTheStart hold from a peer's first packet on, and after its
// return.
func TestLinksBeforeTheStart(t *testing.T) {
	simulate(t, 4, local, func(l *lab) {
		links, err := testbed.Partition(l.names[:2], append(l.names[2:4:4], testbed.Bootstrap))
		l.must(err)
		l.must(l.SetLinks(l.ctx, links))
		l.must(l.Start(l.ctx, append(l.names, testbed.Bootstrap)...))
		l.see(time.Minute, l.names[2:], "alive", l.names[2:]...)
		l.must(l.Kill(l.ctx, "charly"))
		l.must(l.Start(l.ctx, "charly"))
		time.Sleep(time.Minute)
		for _, e := range l.since(0, event.MemberJoin) {
			if slices.Contains(l.names[:2], e.Peer) && e.Member != e.Peer {
				l.t.Errorf("across the cut: %v", e)
			}
		}
		if got, err := l.Links(l.ctx); err != nil || got.String() != links.String() {
			l.t.Errorf("%v, %v", got, err)
		}
		l.must(l.SetLinks(l.ctx, testbed.Links{{From: "alice", To: "bob"}: {Loss: 1}}))
		l.see(time.Minute, l.names, "alive", l.names...)
		l.must(l.SetLinks(l.ctx, nil))
		var kinds []event.Kind
		for _, e := range l.since(0, testbed.LabCut, testbed.LabLink, testbed.LabHeal) {
			kinds = append(kinds, e.Kind)
		}
		if !slices.Equal(kinds, []event.Kind{testbed.LabCut, testbed.LabLink, testbed.LabHeal}) {
			l.t.Errorf("%v", kinds)
		}
	})
}

// TestTheDeadReportNothing kills a peer that holds others suspect: what its
// memberlist does after that nobody hears.
func TestTheDeadReportNothing(t *testing.T) {
	simulate(t, 3, nil, func(l *lab) {
		l.up()
		links, err := testbed.Partition([]string{"alice"}, []string{"bob", "charly"})
		l.must(err)
		l.must(l.SetLinks(l.ctx, links))
		l.await(time.Minute, "alice suspects", func(v view) bool { return v["alice"]["bob"] == "suspect" || v["alice"]["charly"] == "suspect" })
		l.must(l.Kill(l.ctx, "alice"))
		n := l.History().Len()
		l.must(l.Kill(l.ctx, "bob"))
		time.Sleep(10 * time.Minute)
		events, _ := l.History().Since(n)
		for _, e := range events {
			if e.Peer == "alice" || e.Peer == "bob" {
				l.t.Errorf("reported by a dead peer: %v", e)
			}
		}
	})
}

func TestExec(t *testing.T) {
	simulate(t, 2, local, func(l *lab) {
		l.up()
		l.await(time.Minute, "in the chat", func(view) bool { return len(l.since(0, event.ChatJoin)) == 2 })
		if out := l.exec("alice", "msg -wait hello"); !strings.Contains(out, "has it") {
			l.t.Errorf("%s", out)
		}
		l.await(time.Minute, "delivered", func(view) bool { return len(l.since(0, event.ChatDelivered)) > 0 })
		var failed *testbed.CommandError
		if err := l.Exec(l.ctx, "alice", "nonsense", testbed.Input{}, nil); !errors.As(err, &failed) || failed.Peer != "alice" || !strings.Contains(failed.Message, "unknown command") {
			l.t.Errorf("%v", err)
		}
		for name, want := range map[string]error{"nobody": testbed.ErrNoPeer, "bootstrap": nil} {
			if err := l.Exec(l.ctx, name, "members", testbed.Input{}, nil); err == nil || want != nil && !errors.Is(err, want) {
				l.t.Errorf("%s: %v", name, err)
			}
		}
		// A line that runs while its peer is paused, killed, or no longer waited for.
		for what, test := range map[string]struct {
			do   func()
			want error
		}{
			"paused": {func() { l.must(l.Pause(l.ctx, "bob")) }, testbed.ErrPaused},
			"killed": {func() { l.must(l.Kill(l.ctx, "bob")) }, testbed.ErrStopped},
			"gone":   {func() {}, context.DeadlineExceeded},
		} {
			l.must(l.Start(l.ctx, "bob"))
			ctx, cancel := context.WithTimeout(l.ctx, time.Minute)
			start := time.Now()
			time.AfterFunc(time.Second, test.do)
			err := l.Exec(ctx, "bob", "sleep 3600", testbed.Input{}, nil)
			cancel()
			if took := time.Since(start); !errors.Is(err, test.want) || what != "gone" && took > 2*time.Second {
				l.t.Errorf("%s: %v after %s", what, err, took)
			}
			if what == "paused" {
				if err := l.Exec(l.ctx, "bob", "members", testbed.Input{}, nil); !errors.Is(err, testbed.ErrPaused) {
					l.t.Errorf("%v", err)
				}
				l.must(l.Resume(l.ctx, "bob"))
			}
			l.must(ignore(l.Kill(l.ctx, "bob"), testbed.ErrStopped))
		}
		if err := l.Exec(l.ctx, "bob", "members", testbed.Input{}, nil); !errors.Is(err, testbed.ErrStopped) {
			l.t.Errorf("%v", err)
		}
		l.must(l.Exec(l.ctx, "alice", "quit", testbed.Input{}, new(bytes.Buffer)))
		time.Sleep(10 * time.Second)
		if p := l.peer("alice"); p.State != testbed.Stopped || p.Exit != 0 {
			l.t.Errorf("after quit: %+v", p)
		}
	})
}

func TestWithoutTheChat(t *testing.T) {
	simulate(t, 2, map[string]string{"profile": "local", "no-chat": "true"}, func(l *lab) {
		l.up()
		time.Sleep(10 * time.Second)
		if joined := l.since(0, event.ChatJoin); len(joined) > 0 {
			l.t.Errorf("%v", joined)
		}
		var failed *testbed.CommandError
		if err := l.Exec(l.ctx, "alice", "msg hello", testbed.Input{}, nil); !errors.As(err, &failed) || !strings.Contains(failed.Message, "chat join") {
			l.t.Errorf("%v", err)
		}
		l.exec("alice", "chat join")
		l.exec("bob", "chat join")
		l.await(time.Minute, "in the chat", func(view) bool { return len(l.since(0, event.ChatJoin)) == 2 })
	})
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

func TestBadInput(t *testing.T) {
	simulate(t, 2, nil, func(l *lab) {
		for what, err := range map[string]error{
			"did you mean alice":   l.Start(l.ctx, "alcie"),
			"does not run":         errors.Join(l.Kill(l.ctx, "alice"), l.Pause(l.ctx, "bob"), l.Resume(l.ctx, "bob")),
			"want 0.01 to 1024":    l.Throttle(l.ctx, -1, "alice"),
			"loss: 120 %":          l.SetLinks(l.ctx, testbed.Links{{From: "alice", To: "bob"}: {Loss: 120}}),
			"there are bootstrap,": l.SetLinks(l.ctx, testbed.Links{{From: "alice", To: "xyzzy"}: {Loss: 1}}),
		} {
			if err == nil || !strings.Contains(err.Error(), what) {
				l.t.Errorf("want %q: %v", what, err)
			}
		}
		if _, err := l.Move(l.ctx, testbed.Bootstrap); err == nil {
			l.t.Error("bootstrap moved")
		}
		l.must(l.Start(l.ctx, "alice"))
		l.must(l.Start(l.ctx, "alice"))
		l.must(l.Close(l.ctx))
		if err := l.Start(l.ctx, "bob"); err == nil {
			l.t.Error("started in a closed cluster")
		}
	})
	for what, spec := range map[string]testbed.Spec{
		"is taken":              {Peers: []string{"a", "a"}},
		"is no name":            {Peers: []string{"A"}},
		"did you mean profile?": {Peers: []string{"a"}, Settings: map[string]string{"profil": "lan"}},
		"unknown profile":       {Peers: []string{"a"}, Settings: map[string]string{"profile": "moon"}},
		"SuspicionMult":         {Peers: []string{"a", "b"}, Own: map[string]map[string]string{"b": {"set": "SuspicionMult=x"}}},
		"no such peer":          {Peers: []string{"a"}, Own: map[string]map[string]string{"b": {}}},
		"bind cannot be set":    {Peers: []string{"a"}, Settings: map[string]string{"bind": "0.0.0.0:1"}},
	} {
		err := Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
			_, err := f.Create(ctx, spec)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q: %v", what, err)
		}
	}
}

// TestDetection is as fast as memberlist's formulas say.
func TestDetection(t *testing.T) {
	for _, n := range []int{3, 5, 10, 32} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			simulate(t, n, nil, func(l *lab) {
				l.up()
				time.Sleep(time.Minute)
				conf, err := memberlistconfig.Configure("lan", nil)
				l.must(err)
				victim := l.names[n-1]
				at := l.History().Len()
				start := time.Now()
				l.must(l.Kill(l.ctx, victim))
				l.see(5*time.Minute, l.names[:n-1], "dead", victim)
				dead := l.since(at, event.MemberDead)
				first, all := dead[0].Time.Sub(start), dead[len(dead)-1].Time.Sub(start)
				model := theory.Of(conf, n)
				// A probe may have been under way. A host that is not busy: nothing on top but the gathering of
				// confirmations, as far as theory leaves it out.
				const grace = 1500 * time.Millisecond
				l.t.Logf("first after %s (theory %s), all after %s (theory %s)", first, model.FirstDead().Expected, all, model.AllDead().Expected)
				if !model.FirstDead().Contains(first+4*latency, grace) || !model.AllDead().Contains(all, grace) || len(dead) != n-1 {
					l.t.Errorf("first %s not in %v, or all %s not in %v; %d deaths", first, model.FirstDead(), all, model.AllDead(), len(dead))
				}
			})
		})
	}
}
