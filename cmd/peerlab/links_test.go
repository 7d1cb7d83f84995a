package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/dockertest"
)

// inForceAfter is what a command on links tells.
func (p process) inForceAfter(args ...string) inForce {
	p.t.Helper()
	var told inForce
	if err := json.Unmarshal([]byte(p.must(append(args, "--format", "json")...)), &told); err != nil {
		p.t.Fatal(err)
	}
	return told
}

// changeLinks takes the links of a cluster of alice, bob and charly through
// all commands, and leaves them healthy.
func changeLinks(t *testing.T, p process) {
	if out := p.must("links"); out != "all links are healthy\n" {
		t.Errorf("at first: %q", out)
	}
	if out, status, errs := p.call("partition", "alice", "/", "rest"); status != 0 || !strings.Contains(errs, "changing 4 links") ||
		!strings.Contains(out, "0 of 20 UDP packets arrived") || !strings.Contains(out, "alice             cut  cut") || !strings.Contains(out, "until peerlab heal") {
		t.Errorf("partition: %d %q\n%s", status, errs, out)
	}
	// What another process finds in force.
	if told := p.inForceAfter("links"); told.Text != "alice -> bob,charly drop=partition; bob,charly -> alice drop=partition" || len(told.Links) != 4 || !told.Until.IsZero() {
		t.Errorf("links: %+v", told)
	}
	for _, step := range []struct{ command, text string }{
		{"link alice bob loss=30%", "alice -> bob drop=partition loss=30%; alice -> charly drop=partition; bob,charly -> alice drop=partition"},
		// One partition at a time; what link did stays.
		{"partition bob / charly", "alice -> bob loss=30%; bob -> charly drop=partition; charly -> bob drop=partition"},
		{"cut alice charly drop=udp", "alice -> bob loss=30%; alice -> charly drop=udp; bob -> charly drop=partition; charly -> bob drop=partition"},
		{"link alice rest loss=0", "alice -> charly drop=udp; bob -> charly drop=partition; charly -> bob drop=partition"},
		{"heal bob", "alice -> charly drop=udp"},
		{"cut alice:bob", "alice -> bob drop=all; alice -> charly drop=udp"},
	} {
		if told := p.inForceAfter(strings.Fields(step.command)...); told.Text != step.text || len(told.Measured) == 0 {
			t.Errorf("%s: %+v, want %s", step.command, told, step.text)
		}
	}
	if told := p.inForceAfter("link", "alice <-> bob", "over=1000", "--for", "1h"); told.Until.IsZero() || !strings.Contains(told.Text, "bob -> alice over=1000") {
		t.Errorf("for an hour: %+v", told)
	}
	if out := p.must("links"); !strings.Contains(out, "until ") || !strings.Contains(out, ", in 59m") && !strings.Contains(out, ", in 1h0m0s") {
		t.Errorf("for an hour: %s", out)
	}
	before := p.inForceAfter("links").Text
	p.fails(1, "did you mean alice?", "cut", "alcie", "bob")
	p.fails(1, "did you mean charly?", "partition", "alice", "/", "chalry")
	p.fails(1, "did you mean bob?", "heal", "bbo")
	p.fails(2, "two groups", "partition", "alice,bob", "/", "bob")
	p.fails(2, "takes drop=udp", "cut", "alice", "bob", "loss=5%")
	if after := p.inForceAfter("links").Text; after != before {
		t.Errorf("commands that failed changed %q to %q", before, after)
	}
	if told := p.inForceAfter("heal"); told.Text != "" || len(told.Measured) == 0 {
		t.Errorf("heal: %+v", told)
	}
	var cuts, heals int
	for line := range strings.Lines(p.must("events", "--format", "json")) {
		e, err := event.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		switch e.Kind {
		case testbed.LabCut:
			cuts++
		case testbed.LabHeal:
			heals++
		}
	}
	if cuts < 6 || heals != 1 {
		t.Errorf("events tell of %d cuts and %d heals", cuts, heals)
	}
	for args, want := range map[string]string{
		"partition|":              "alice\n",
		"partition|alice,":        "alice,charly\n",
		"partition|alice|":        "/\n",
		"partition|alice|/|":      "rest\teverybody else\n",
		"cut|":                    "all\tevery peer\n",
		"cut|alice|":              "bob\n",
		"link|alice|bob|":         "delay=\n",
		"link|alice|bob|loss=5%|": "over=\n",
		"heal|alice|":             "bob\trunning\n",
	} {
		words := append([]string{"__complete"}, strings.Split(args, "|")...)
		if out := p.must(words...); !strings.Contains("\n"+out, "\n"+want) {
			t.Errorf("completion of %s: %q lacks %q", args, out, want)
		}
	}
}

// TestCompletionScripts has each shell there is here read the script for it.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		status, script, errs := call(nil, "completion", shell)
		if status != 0 || !strings.Contains(script, "peerlab") {
			t.Errorf("%s: %d %s", shell, status, errs)
			continue
		}
		if _, err := exec.LookPath(shell); err != nil {
			continue
		}
		file := filepath.Join(t.TempDir(), "peerlab")
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(shell, "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", shell, err, out)
		}
	}
}

// awaitEvents waits until a cluster has told of something n times: who, what, about
// whom.
func awaitEvents(t *testing.T, d *dockerd.Daemon, cluster string, n int, what string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := docker.Find(ctx, d, cluster)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	for read := 0; n > 0; {
		events, err := c.History().Read(ctx, read)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		read += len(events)
		for _, e := range events {
			if strings.TrimSpace(e.Peer+" "+string(e.Kind)+" "+e.Member) == what {
				n--
			}
		}
	}
}

// TestSerfCluster uses a cluster of another program as a user does.
func TestSerfCluster(t *testing.T) {
	p, d, labels := newProcess(t, "serf")
	ref, err := dockertest.BuildSerf(t.Context(), "../..", labels)
	if err != nil {
		t.Fatal(err)
	}
	if _, status, errs := p.call("up", "2", "--adapter", "serf", "--image", ref); status != 0 || !strings.Contains(errs, "exec alice --cluster "+p.cluster+" -- LINE") {
		t.Fatalf("up: %d %s", status, errs)
	}
	if states := p.states("ps"); len(states) != 2 || states["bob"].State != testbed.Running {
		t.Errorf("ps: %v", states)
	}
	if out := p.must("exec", "alice", "--", "members", "-format=json"); !strings.Contains(out, `"bob"`) {
		t.Errorf("members: %s", out)
	}
	p.fails(1, "Usage: serf", "exec", "alice", "--", "membres")
	p.must("exec", "alice", "--", "event", "deploy", "two words")
	p.must("kill", "bob")
	p.must("start", "bob")
	// Serf listens to signals at the end of its start, when it tries to join: one
	// that comes before ends it without a word.
	awaitEvents(t, d, p.cluster, 2, "bob member.join alice")
	p.must("stop", "bob")
	told := make(map[string]int)
	for line := range strings.Lines(p.must("events", "--format", "json")) {
		e, err := event.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		told[strings.TrimSpace(e.Peer+" "+string(e.Kind)+" "+e.Member)]++
	}
	for _, want := range []string{"bob peer.started", "bob peer.stopping", "alice member.join bob", "lab lab.kill bob", "lab lab.stop bob", "lab lab.start alice"} {
		if told[want] == 0 {
			t.Errorf("events lack %q: %v", want, told)
		}
	}
	if told["bob peer.started"] != 2 {
		t.Errorf("bob's lives: %d", told["bob peer.started"])
	}
}

func TestDoing(t *testing.T) {
	link := func(loss string, pairs ...testbed.Pair) testbed.Links {
		change, err := testbed.ParseLinkChange([]string{"loss=" + loss})
		if err != nil {
			t.Fatal(err)
		}
		links, err := testbed.Links(nil).Set(pairs, change)
		if err != nil {
			t.Fatal(err)
		}
		return links
	}
	there, back := testbed.Pair{From: "alice", To: "bob"}, testbed.Pair{From: "bob", To: "alice"}
	one, two := link("30%", there), link("30%", there, back)
	for _, tc := range []struct {
		name      string
		now, want testbed.Links
		all       bool
		says      string
	}{
		{"heal", two, nil, true, "healing all links"},
		{"heal alice, who has the last", two, nil, false, "healing 2 links: then all are healthy"},
		{"heal the last link", one, nil, false, "healing one link: then all are healthy"},
		{"heal of healthy links", nil, nil, true, "nothing changes: all links are already healthy"},
		{"the same again", one, one, false, "nothing changes: the links already are like that"},
		{"a new one", one, two, false, "changing one link and measuring the effect"},
		{"two new ones", nil, two, false, "changing 2 links and measuring the effect"},
	} {
		if got := doing(tc.now, tc.want, tc.all); got != tc.says {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.says)
		}
	}
}

func TestLinksThatCannotBeMeasured(t *testing.T) {
	cut, err := testbed.ParseLinkChange([]string{"loss=100%"})
	if err != nil {
		t.Fatal(err)
	}
	want, err := testbed.Links(nil).Set([]testbed.Pair{{From: "alice", To: "bob"}}, cut)
	if err != nil {
		t.Fatal(err)
	}
	peers := []testbed.Peer{{Name: "alice", State: testbed.Running}, {Name: "bob", State: testbed.Stopped}, {Name: "charly", State: testbed.Stopped}}
	if got := unmeasured(nil, want, peers); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("%q, want bob, who does not run", got)
	}
	if got := unmeasured(want, want, peers); len(got) > 0 {
		t.Errorf("nothing changes, but of %q it cannot be measured", got)
	}
}

// TestLinksListContainersOnce counts how often Docker is asked for all its containers
// by one command: on a host with many that is what takes its time.
func TestLinksListContainersOnce(t *testing.T) {
	for _, words := range []string{"links", "partition alice / rest", "cut alice bob", "heal"} {
		d := startFakeDaemon(t, true, "alice", "bob")
		_, _, errs := call(nil, strings.Fields(words)...)
		if n := d.times("/containers/json"); n != 1 {
			t.Errorf("%s: listed %d times, want once\n%s", words, n, errs)
		}
	}
}
