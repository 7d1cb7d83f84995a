package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/dockertest"
	"peerlab/testbed/docker/record"
)

// TestHostilePeers runs peers that mean harm, each in its way, and looks at what
// two readers of their cluster believe: one that follows and one that comes
// later.
func TestHostilePeers(t *testing.T) {
	needDocker(t)
	t.Parallel()
	ref, err := dockertest.BuildHostile(t.Context(), "../..", guard.Labels())
	if err != nil {
		t.Fatal(err)
	}
	say := func(seq int, peer string, kind event.Kind, member string) string {
		return fmt.Sprintf(`say {"t":"2026-01-02T03:04:0%dZ","seq":%d,"peer":%q,"kind":%q,"member":%q}`, seq, seq, peer, kind, member)
	}
	script := map[string][]string{
		// Two call themselves victim, and one of them the lab.
		"mallory": {
			say(1, "victim", event.PeerStarted, ""),
			say(2, testbed.Lab, testbed.LabKill, "victim"),
			say(2, testbed.Lab, "lab.pause", "victim"),
			"say not an event",
			say(2, "victim", event.MemberDead, "greedy"),
		},
		"victim": {say(1, "victim", event.PeerStarted, ""), say(2, "victim", event.MemberJoin, "noisy")},
		"noisy": {
			say(1, "noisy", event.PeerStarted, ""), "flood 100663296", "say", say(2, "noisy", event.MemberJoin, "victim"),
		},
		"greedy": {say(1, "greedy", event.PeerStarted, ""), "allocate 536870912"},
		"forker": {say(1, "forker", event.PeerStarted, ""), "fork 300"},
	}
	o := Options{PeerImage: ref, BootstrapImage: images.Bootstrap, FabricImage: images.Fabric, Own: make(map[string]map[string]string)}
	for name, lines := range script {
		o.Peers = append(o.Peers, name)
		o.Own[name] = map[string]string{"HOSTILE": strings.Join(lines, "\n")}
	}
	slices.Sort(o.Peers)
	c := create(t, o)
	ctx := t.Context()

	// The labels of an image are not those of a container that the lab made, nor
	// do they make an agent of one that somebody else starts.
	stranger, err := daemon.API.ContainerCreate(ctx, client.ContainerCreateOptions{Config: &api.Config{Image: ref}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = daemon.RemoveContainer(context.WithoutCancel(ctx), stranger.ID) }()
	peers, err := c.Peers(ctx)
	if err != nil || len(peers) != 1+len(script) {
		t.Fatalf("the cluster has %v, %v", peers, err)
	}
	if agents, err := record.NewRecorder(ctx, daemon, "another", testbed.NewHistory()).AgentIDs(ctx); err != nil || len(agents) > 0 {
		t.Errorf("agents of another cluster: %q, %v", agents, err)
	}

	c.History()
	if err := c.Start(ctx, o.Peers...); err != nil {
		t.Fatal(err)
	}
	await(t, c, 0, "the last word of mallory", about("mallory", event.MemberDead, "greedy"))
	await(t, c, 0, "what noisy says after the flood", about("noisy", event.MemberJoin, "victim"))
	await(t, c, 0, "the end of greedy", about(testbed.Lab, testbed.LabExit, "greedy"))
	await(t, c, 0, "what forker says", about(testbed.Lab, testbed.LabError, "forker"))

	// A line that takes too much ends, and not the peer it runs in.
	err = c.Exec(ctx, "victim", "allocate 536870912", testbed.Input{}, io.Discard)
	if !errors.As(err, new(*testbed.CommandError)) || !strings.Contains(err.Error(), "killed") {
		t.Errorf("a line that takes too much: %v", err)
	}
	for name, want := range map[string]testbed.Peer{
		"victim": {State: testbed.Running}, "greedy": {State: testbed.Stopped, Exit: 137, Reason: testbed.OutOfMemory},
	} {
		got := peerOf(t, c, name)
		if want.Name, want.Addr = name, got.Addr; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}

	later, err := Find(ctx, daemon, c.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close(ctx)
	reported, err := later.Reported(ctx)
	if err != nil {
		t.Errorf("one that comes later: %v", err)
	}
	want := map[string][]string{
		"mallory": {"peer.started ", "member.dead greedy"},
		"victim":  {"peer.started ", "member.join noisy"},
		"noisy":   {"peer.started ", "member.join victim"},
		"greedy":  {"peer.started "},
		"forker":  {"peer.started "},
	}
	for who, events := range map[string][]event.Event{"one that follows": c.since(0), "one that comes later": reported} {
		said := make(map[string][]string)
		errs := make(map[string][]string)
		for _, e := range events {
			switch {
			case e.Peer != testbed.Lab:
				said[e.Peer] = append(said[e.Peer], string(e.Kind)+" "+e.Member)
			case e.Kind == testbed.LabError:
				errs[e.Member] = append(errs[e.Member], e.Error)
			case e.Kind == testbed.LabKill || e.Kind == testbed.LabPause:
				t.Errorf("%s believes that %s was done to %s", who, e.Kind, e.Member)
			case e.Kind == testbed.LabExit && (e.Member != "greedy" || e.Text != "137" || e.Reason != "killed: out of memory"):
				t.Errorf("%s is told of the end of %s: %q %q", who, e.Member, e.Text, e.Reason)
			}
		}
		for name := range want {
			if !slices.Equal(said[name], want[name]) {
				t.Errorf("%s has of %s %q, want %q", who, name, said[name], want[name])
			}
		}
		for name, words := range map[string][]string{"mallory": {"lab.kill", "refused, too: 2"}, "noisy": {"1 MiB"}, "forker": {"parse event line"}} {
			for i, word := range words {
				if len(errs[name]) != len(words) || !strings.Contains(errs[name][i], word) {
					t.Errorf("%s is told of %s: %q, want one with %q", who, name, errs[name], words)
					break
				}
			}
		}
		if len(errs["victim"]) > 0 {
			t.Errorf("%s is told of the victim: %q", who, errs["victim"])
		}
	}
	var out, errs bytes.Buffer
	if err := c.Logs(ctx, "forker", false, &out, &errs); err != nil {
		t.Error(err)
	}
	var processes int
	if _, text, _ := strings.Cut(out.String(), "processes: "); true {
		_, _ = fmt.Sscan(text, &processes)
	}
	if processes == 0 || processes > 128 {
		t.Errorf("forker has %d processes", processes)
	}
}

// TestLimits looks at what Docker has been told of every container of a cluster.
func TestLimits(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c := up(t, options("alice"))
	ctx := t.Context()
	if err := c.SetLinks(ctx, links(t, "alice -> bootstrap drop=udp")); err != nil {
		t.Fatal(err)
	}
	all, err := daemon.API.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", dockerd.ClusterLabel+"="+c.Name())})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, s := range all.Items {
		info, err := daemon.API.ContainerInspect(ctx, s.ID, client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		name := s.Labels[dockerd.PeerLabel] + s.Labels[dockerd.HelperLabel]
		seen[name] = true
		h := info.Container.HostConfig
		if h.Memory < 64<<20 || h.MemorySwap != h.Memory || h.PidsLimit == nil || *h.PidsLimit < 32 {
			t.Errorf("%s may take %d bytes (%d with swap) and %v processes", name, h.Memory, h.MemorySwap, h.PidsLimit)
		}
		if h.LogConfig.Type == "none" {
			continue
		}
		// Of the daemon's own options none is left to chance.
		for _, key := range []string{"max-size", "max-file", "mode", "compress"} {
			if h.LogConfig.Config[key] == "" {
				t.Errorf("the log of %s: %v", name, h.LogConfig)
			}
		}
		if name == "alice" && (h.Memory != 256<<20 || *h.PidsLimit != 128 || h.LogConfig.Config["max-size"] == "10m") {
			t.Errorf("alice: %d bytes, %d processes, log %v", h.Memory, *h.PidsLimit, h.LogConfig)
		}
	}
	for _, name := range []string{"alice", testbed.Bootstrap, dockerd.AgentHelper, dockerd.ProbeHelper} {
		if !seen[name] {
			t.Errorf("there is no container of %s", name)
		}
	}
}

// TestThrottleIsOfTheProcessor has others change the limits of a container: only
// a change of its processors is a throttle.
func TestThrottleIsOfTheProcessor(t *testing.T) {
	t.Parallel()
	c := create(t, options("alice"))
	ctx := t.Context()
	c.History()
	members, err := c.pick(ctx, []string{"alice"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, c, 0, "the start", func() func(event.Event) bool {
		if err := c.Start(ctx, "alice"); err != nil {
			t.Fatal(err)
		}
		return about(testbed.Lab, testbed.LabStart, "alice")
	}())
	change := func(r api.Resources) {
		t.Helper()
		if _, err := daemon.API.ContainerUpdate(ctx, members[0].ID, client.ContainerUpdateOptions{Resources: &r}); err != nil {
			t.Fatal(err)
		}
	}
	told := func(events []event.Event) (texts []string) {
		for _, e := range events {
			if e.Kind == testbed.LabThrottle {
				texts = append(texts, e.Text)
			}
		}
		return texts
	}
	reported := func() []event.Event {
		t.Helper()
		events, err := c.Reported(ctx)
		if err != nil {
			t.Error(err)
		}
		return events
	}
	change(api.Resources{Memory: 300 << 20, MemorySwap: 300 << 20})
	if got := told(reported()); len(got) > 0 {
		t.Errorf("one that comes later is told of throttles to %q", got)
	}
	change(api.Resources{NanoCPUs: 5e8})
	await(t, c, 0, "the throttle", about(testbed.Lab, testbed.LabThrottle, "alice"))
	change(api.Resources{Memory: 320 << 20, MemorySwap: 320 << 20})
	if _, err := daemon.API.ContainerPause(ctx, members[0].ID, client.ContainerPauseOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, c, 0, "the pause", about(testbed.Lab, testbed.LabPause, "alice"))
	if got := told(c.since(0)); !slices.Equal(got, []string{"0.5"}) {
		t.Errorf("throttles to %q", got)
	}
	if got := told(reported()); len(got) == 0 {
		t.Error("one that comes later is told of no throttle")
	}
}
