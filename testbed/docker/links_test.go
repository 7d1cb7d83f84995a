package docker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// links reads what testbed.ParseLinks reads.
func links(t testing.TB, text string) testbed.Links {
	t.Helper()
	l, err := testbed.ParseLinks(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func partition(t testing.TB, groups ...[]string) testbed.Links {
	t.Helper()
	l, err := testbed.Partition(groups...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// up starts a cluster and waits until alice sees all.
func up(t *testing.T, o Options) *Cluster {
	t.Helper()
	c := create(t, o)
	start(t, c)
	return c
}

func start(t *testing.T, c *Cluster) {
	t.Helper()
	peers := c.made.Peers
	for _, names := range [][]string{{testbed.Bootstrap}, peers} {
		if err := c.Start(t.Context(), names...); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range peers {
		for _, b := range peers {
			if a != b {
				await(t, c, 0, a+" sees "+b, about(a, event.MemberJoin, b))
			}
		}
	}
}

func of(kind event.Kind) func(event.Event) bool {
	return func(e event.Event) bool { return e.Kind == kind }
}

func TestLinks(t *testing.T) {
	t.Parallel()
	c := up(t, options("alice", "bob", "charly"))
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := c.Links(ctx); err != nil || len(got) != 0 {
		t.Errorf("at first: %v, %v", got, err)
	}
	cut := partition(t, []string{"alice", "bob"}, []string{"charly"})
	mark := c.History().Len()
	began := time.Now()
	must(c.SetLinks(ctx, cut))
	t.Logf("a first partition of three, with agent and probes: %s", time.Since(began))
	if got, err := c.Links(ctx); err != nil || got.String() != cut.String() {
		t.Errorf("in force: %s, %v, want %s", got, err, cut)
	}
	since := c.since(mark)
	at := slices.IndexFunc(since, of(testbed.LabCut))
	if at < 0 || since[at].Text != cut.String() || since[at].Time.Before(began) || since[at].Time.After(time.Now()) {
		t.Errorf("the history has %+v", since)
	}
	measured := make(map[string]string)
	for _, e := range since {
		if e.Kind == testbed.LabProbe {
			measured[e.Member+" "+e.Addr] = e.Text
			if e.Error != "" {
				t.Errorf("%+v", e)
			}
		}
	}
	if len(measured) != 4 || !strings.HasPrefix(measured["charly bob"], "drop=partition: 0 of 20 UDP packets arrived") {
		t.Errorf("measured %v", measured)
	}
	await(t, c, mark, "alice finds charly dead", about("alice", event.MemberDead, "charly"))
	await(t, c, mark, "charly finds bob dead", about("charly", event.MemberDead, "bob"))

	// Another process finds what runs.
	again, err := Find(ctx, daemon, c.Name())
	must(err)
	defer again.Close(context.Background())
	if got, err := again.Links(ctx); err != nil || got.String() != cut.String() {
		t.Errorf("another engine sees %s, %v", got, err)
	}

	mark = c.History().Len()
	began = time.Now()
	must(c.SetLinks(ctx, testbed.Links{}))
	t.Logf("healed, with probes that run: %s", time.Since(began))
	if !slices.ContainsFunc(c.since(mark), of(testbed.LabHeal)) {
		t.Error("the heal is not in the history")
	}
	await(t, c, mark, "alice sees charly again", about("alice", event.MemberJoin, "charly"))
	for _, e := range c.since(0) {
		if e.Kind == testbed.LabError {
			t.Errorf("%s", e.Error)
		}
	}
}

func TestLinksThatCannotBe(t *testing.T) {
	t.Parallel()
	c := up(t, options("alice", "bob"))
	ctx := t.Context()
	cut := links(t, "alice -> bootstrap drop=all")
	if err := c.SetLinks(ctx, cut); err != nil {
		t.Fatal(err)
	}
	pair := testbed.Pair{From: "alice", To: "bob"}
	mark := c.History().Len()
	for _, test := range []struct {
		links testbed.Links
		says  string
		is    error
	}{
		{testbed.Links{pair: {Loss: 120}}, "alice -> bob: loss: 120 % is not within 0 and 100", nil},
		{testbed.Links{pair: {Shape: testbed.Shape{Delay: -time.Millisecond}}}, "-1ms", nil},
		{testbed.Links{{From: "alice", To: "bbo"}: {Loss: 20}}, "did you mean bob?", testbed.ErrNoPeer},
		{testbed.Links{{From: "bob", To: "bob"}: {Loss: 20}}, "no link to itself", nil},
	} {
		err := c.SetLinks(ctx, test.links)
		if err == nil || !strings.Contains(err.Error(), test.says) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%v: %v, want %q", test.links, err, test.says)
		}
	}
	if err := c.SetLinks(ctx, links(t, "alice -> bob delay=50ms")); err != nil {
		if !errors.Is(err, testbed.ErrUnable) || !strings.Contains(err.Error(), "sch_netem") {
			t.Errorf("delay: %v", err)
		}
	} else {
		t.Log("this kernel has sch_netem")
		mark = c.History().Len()
		if err := c.SetLinks(ctx, cut); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := c.Links(ctx); err != nil || got.String() != cut.String() {
		t.Errorf("in force after all that failed: %s, %v", got, err)
	}
	for _, e := range c.since(mark) {
		if e.Peer == testbed.Lab && e.Kind != testbed.LabCut && e.Kind != testbed.LabProbe {
			t.Errorf("what failed is in the history: %+v", e)
		}
	}
}
