package explore

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peerlab/observe"
	"peerlab/peer"
	"peerlab/peer/chat"
	chatapp "peerlab/peer/chat/app"
	"peerlab/scenarios"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// planted is the simulator with a bug in every peer.
func planted(change func(*peer.Config)) scenarios.Host {
	return func(ctx context.Context, seed uint64, do func(context.Context, testbed.Factory) error) error {
		return sim.RunChanged(ctx, seed, change, do)
	}
}

func flawed(f chat.Flaw) scenarios.Host {
	return planted(func(c *peer.Config) { c.App.(*chatapp.App).Config.Flaws = []chat.Flaw{f} })
}

// A planted bug is found, and what is left of the schedule is a scenario of at
// most six lines that fails again.
func TestPlantedBugsAreFound(t *testing.T) {
	for _, test := range []struct {
		name     string
		host     scenarios.Host
		settings []string
		want     string // in why it fails
	}{
		{"rejoin off", sim.Run, []string{"rejoin=0"}, "all see 2 alive"},
		{"chat without anti-entropy", flawed(chat.NoSync), nil, "chat"},
		{"chat that forgets to dedupe", flawed(chat.NoDedupe), nil, "twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			// What is found may have failed by a rare chance: then a search goes on
			// with the next seed, as a user would.
			f := found(t, test.host, test.settings, 1)
			for range 2 {
				if f.Failed == 0 || f.Lines > 6 {
					f = found(t, test.host, test.settings, f.Seed+1)
				}
			}
			if !strings.Contains(f.Why, test.want) {
				t.Errorf("it fails because of %q, want %q", f.Why, test.want)
			}
			if f.Lines > 6 || f.Lines != lines(f.Text) {
				t.Errorf("%d lines, said to be %d: want 6 at most", lines(f.Text), f.Lines)
			}
			if f.Failed == 0 {
				t.Error("it did not fail again")
			}
			again(t, test.host, f.Text, test.want, true)
			again(t, sim.Run, strings.ReplaceAll(f.Text, " rejoin=0", ""), test.want, false)
		})
	}
}

// found searches from a seed on.
func found(t *testing.T, host scenarios.Host, settings []string, seed uint64) *Finding {
	t.Helper()
	began := time.Now()
	sum, err := Search(t.Context(), Options{
		Shape: Shape{Peers: 8, For: 4 * time.Minute, Settings: settings},
		Host:  host, Seed: seed, Runs: 30, Workers: 2,
		Shrinking: 5 * time.Minute, // it ends by itself, before that
	})
	if err != nil {
		t.Fatal(err)
	}
	if sum.Finding == nil {
		t.Fatalf("not found by %d schedules", sum.Done)
	}
	t.Logf("after %s and %d schedules\n%s", time.Since(began).Round(time.Millisecond), sum.Done, sum.Finding.Text)
	return sum.Finding
}

// lines counts those that are no comments.
func lines(text string) (n int) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	return n
}

// again reads the file that was found, and wants it to fail so in one of a few
// runs, or, where the bug is not, in none.
func again(t *testing.T, host scenarios.Host, text, so string, want bool) {
	t.Helper()
	s, err := scenarios.Parse("found.txt", text)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.Title, "Found by search, seed") {
		t.Errorf("its title is %q", s.Title)
	}
	for seed := range uint64(8) {
		failed := false
		err := host(t.Context(), seed, func(ctx context.Context, factory testbed.Factory) error {
			plans, err := s.Plans(ctx, factory, "", nil)
			if err != nil {
				return err
			}
			res := plans[0].Run(ctx, factory, scenarios.Options{})
			failed = res.Verdict == observe.Fail && strings.Contains(res.Reason+res.Story, so)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if failed && !want {
			t.Error("without the bug it fails so, too")
		}
		if failed {
			return
		}
	}
	if want {
		t.Error("the file passes eight times")
	}
}

// A search that is interrupted while it shrinks says so of what it has, and not
// how often it failed: runs that were interrupted did not fail.
func TestInterruptedShrinking(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sum, err := Search(ctx, Options{
		Shape: Shape{Peers: 4, For: 2 * time.Minute, Settings: []string{"rejoin=0"}, Checks: []string{Views}},
		Host:  sim.Run, Seed: 1, Runs: 30, Workers: 2, Shrinking: 5 * time.Minute,
		Progress: func(p Progress) {
			if p.Shrunk > 0 {
				cancel()
			}
		},
	})
	if err != nil || sum.Finding == nil {
		t.Fatalf("%+v, %v", sum, err)
	}
	f := sum.Finding
	if !f.Interrupted || !strings.Contains(f.Text, "hrinking was interrupted") || strings.Contains(f.Text, "more runs") {
		t.Errorf("%+v", f)
	}
	if _, err := scenarios.Parse(name, f.Text); err != nil {
		t.Error(err)
	}
}
