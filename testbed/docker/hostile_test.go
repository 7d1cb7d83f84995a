package docker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockertest"
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
	stranger, err := daemon.api.ContainerCreate(ctx, client.ContainerCreateOptions{Config: &api.Config{Image: ref}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = daemon.removeContainer(context.WithoutCancel(ctx), stranger.ID) }()
	peers, err := c.Peers(ctx)
	if err != nil || len(peers) != 1+len(script) {
		t.Fatalf("the cluster has %v, %v", peers, err)
	}
	if agents, err := daemon.agents(ctx, "another"); err != nil || len(agents) > 0 {
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

	later, err := daemon.Find(ctx, c.Name())
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

// TestLongLines writes lines of any length in pieces and wants memory and time
// that do not grow with them: what is copied is counted.
func TestLongLines(t *testing.T) {
	const size = 96 << 20
	var before, after runtime.MemStats
	var lines []string
	w := lineWriter{line: func(line []byte) { lines = append(lines, string(line)) }}
	write := func(text string) {
		if n, err := io.WriteString(&w, text); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
	}
	piece := bytes.Repeat([]byte("x"), 16<<10)
	write("first\nsec")
	runtime.ReadMemStats(&before)
	write("ond\n")
	for range size / len(piece) {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	write("\nthird\n")
	runtime.ReadMemStats(&after)
	if want := []string{"first", "second", "third"}; !slices.Equal(lines, want) {
		t.Errorf("%d lines, want %q", len(lines), want)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("a line of %d MB took %d MB of memory", size>>20, took>>20)
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
	all, err := daemon.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", clusterLabel+"="+c.Name())})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, s := range all.Items {
		info, err := daemon.api.ContainerInspect(ctx, s.ID, client.ContainerInspectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		name := s.Labels[peerLabel] + s.Labels[helperLabel]
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
	for _, name := range []string{"alice", testbed.Bootstrap, agentHelper, probeHelper} {
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
		if _, err := daemon.api.ContainerUpdate(ctx, members[0].id, client.ContainerUpdateOptions{Resources: &r}); err != nil {
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
	if _, err := daemon.api.ContainerPause(ctx, members[0].id, client.ContainerPauseOptions{}); err != nil {
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

// reportedLine is an event line of a peer x: the seq-th of one of its lives.
func reportedLine(life, seq int) string {
	kind := event.MemberUpdate
	if seq == 1 {
		kind = event.PeerStarted
	}
	at := time.Date(2026, 1, 2, life, 0, seq, 0, time.UTC)
	return string(bytes.TrimSpace(event.Event{Time: at, Seq: uint64(seq), Peer: "x", Kind: kind}.Encode()))
}

// decoderOf decodes for a peer alice, and notes the numbers of its events and
// what is wrong.
func decoderOf(t *testing.T, got *[]string) *outputDecoder {
	t.Helper()
	d, err := newOutputDecoder(container{Peer: testbed.Peer{Name: "alice"}},
		func(e event.Event) {
			if e.Peer != "alice" || strings.HasPrefix(string(e.Kind), "lab.") {
				t.Errorf("an event of %s: %s", e.Peer, e.Kind)
			}
			*got = append(*got, fmt.Sprint(e.Seq))
		},
		func(err error) { *got = append(*got, err.Error()) })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// matches reports whether each of got contains what is wanted in its place.
func matches(got, want []string) bool {
	same := len(got) == len(want)
	for i := 0; same && i < len(got); i++ {
		same = strings.Contains(got[i], want[i])
	}
	return same
}

// TestOrderOfEvents hands a decoder what Docker has when it has dropped the
// beginning of a log, or tells a part of it twice.
func TestOrderOfEvents(t *testing.T) {
	line := reportedLine
	for _, test := range []struct {
		name  string
		lines []string
		want  []string // numbers of events, and what is wrong
	}{
		{"in order, two lives", []string{line(1, 1), line(1, 2), line(2, 1), line(2, 2)}, []string{"1", "2", "1", "2"}},
		{"the beginning is lost", []string{line(1, 635), line(1, 636)}, []string{"begins with event 635", "635", "636"}},
		{"some are lost", []string{line(1, 1), line(1, 5), line(1, 6)}, []string{"1", "event 5 came after 1", "5", "6"}},
		{
			"some come twice",
			[]string{line(1, 1), line(1, 2), line(1, 3), line(1, 1), line(1, 2), line(1, 3), line(1, 4)},
			[]string{"1", "2", "3", "event 1 came again", "refused, too: 2", "4"},
		},
		{"a life begins without its start", []string{line(1, 1), line(2, 7)}, []string{"1", "event 7 came after 1", "7"}},
	} {
		var got []string
		d := decoderOf(t, &got)
		for _, line := range test.lines {
			d.line([]byte(line))
		}
		d.endRefused()
		if !matches(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestReadAgain reads the output again after its reading broke off.
func TestReadAgain(t *testing.T) {
	line := reportedLine
	before := []string{line(1, 1), line(1, 2), line(2, 1), line(2, 2)}
	for _, test := range []struct {
		name        string
		again, want []string
	}{
		{"all is there still", append(slices.Clone(before), line(2, 3)), []string{"3"}},
		{"the end is there", []string{line(2, 2), line(2, 3), line(3, 1)}, []string{"3", "1"}},
		{"the last one was dropped", []string{line(2, 3)}, []string{"3"}},
		{"more was dropped", []string{line(2, 5), line(2, 6)}, []string{"event 5 came after 2", "5", "6"}},
		{"another life has begun", []string{line(3, 1), line(3, 2)}, []string{"1", "2"}},
		{"nothing new", before, nil},
		{"not to be understood", []string{"what", line(2, 2), "what", line(2, 3)}, []string{"parse event line", "3"}},
	} {
		var got []string
		d := decoderOf(t, &got)
		for _, line := range before {
			d.line([]byte(line))
		}
		if since := d.resume(); !since.Equal(time.Date(2026, 1, 2, 2, 0, 2, 0, time.UTC)) {
			t.Errorf("reads again since %s", since)
		}
		got = nil
		for _, line := range test.again {
			d.line([]byte(line))
		}
		d.endRefused()
		if !matches(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// FuzzOutput hands a decoder any bytes, in pieces of any size.
func FuzzOutput(f *testing.F) {
	f.Add([]byte(reportedLine(1, 1)+"\n"+reportedLine(1, 2)+"\nwhat\n"), uint16(7))
	f.Add([]byte(`{"t":"2026-01-02T03:04:05Z","seq":1,"peer":"lab","kind":"lab.kill","member":"bob"}`+"\n"), uint16(1))
	f.Fuzz(func(t *testing.T, output []byte, piece uint16) {
		var whole, inPieces []string
		for _, side := range []struct {
			got  *[]string
			size int
		}{{&whole, len(output)}, {&inPieces, int(piece)}} {
			d := decoderOf(t, side.got)
			w := lineWriter{line: d.line, long: d.long}
			for rest, size := output, max(side.size, 1); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				_, _ = w.Write(rest[:min(size, len(rest))])
			}
			d.endRefused()
		}
		if !slices.Equal(whole, inPieces) {
			t.Errorf("at once %q, in pieces %q", whole, inPieces)
		}
	})
}

// journal is a daemon that has the log of an agent.
type journal struct{ text string }

func (j journal) RoundTrip(r *http.Request) (*http.Response, error) {
	frame := make([]byte, 8, 8+len(j.text))
	frame[0] = 1 // standard output
	binary.BigEndian.PutUint32(frame[4:], uint32(len(j.text)))
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/octet-stream"}},
		Body: io.NopCloser(strings.NewReader(string(frame) + j.text)), Request: r,
	}, nil
}

// TestAgentTellsOfLinksOnly reads what an agent wrote, and more.
func TestAgentTellsOfLinksOnly(t *testing.T) {
	change := func(seq uint64, kind event.Kind, text string) string {
		return string(event.Event{Time: time.Unix(1, 0), Seq: seq, Peer: testbed.Lab, Kind: kind, Text: text}.Encode())
	}
	text := change(1, testbed.LabKill, "") + change(1, testbed.LabCut, "10.0.0.1 -> 10.0.0.2 drop=all") + "what\n" +
		strings.Repeat("x", maxChange+1) + "\n" + change(2, testbed.LabHeal, "") + change(9, testbed.LabHeal, "")
	names := func() map[netip.Addr]string { return nil }
	c := clusterOf(t, journal{text})
	var got []string
	err := c.daemon.changes(t.Context(), "1", false, names,
		func(links testbed.Links, _ time.Time) { got = append(got, string(links.Kind())) },
		func(err error) { got = append(got, err.Error()) })
	if err != nil || !matches(got, []string{"no change of links", "lab.cut", "lab.heal", "change 9 of links came after 2", "lab.heal"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestAgentTellsOfNoChange reads what an agent wrote of links that stayed as they
// were: they got a lease, a peer moved, and what was healthy was healed.
func TestAgentTellsOfNoChange(t *testing.T) {
	var text string
	for i, links := range []string{"", "10.0.0.1 -> 10.0.0.2 drop=all", "10.0.0.1 -> 10.0.0.2 drop=all", "10.0.0.1 -> 10.0.0.3 drop=all", "", ""} {
		parsed, err := testbed.ParseLinks(links)
		if err != nil {
			t.Fatal(err)
		}
		text += string(event.Event{Time: time.Unix(1, 0), Seq: uint64(i + 1), Peer: testbed.Lab, Kind: parsed.Kind(), Text: links}.Encode())
	}
	names := func() map[netip.Addr]string {
		return map[netip.Addr]string{
			netip.MustParseAddr("10.0.0.1"): "alice", netip.MustParseAddr("10.0.0.2"): "bob", netip.MustParseAddr("10.0.0.3"): "bob",
		}
	}
	var got []string
	err := clusterOf(t, journal{text}).daemon.changes(t.Context(), "1", false, names,
		func(links testbed.Links, _ time.Time) { got = append(got, links.String()) },
		func(err error) { got = append(got, err.Error()) })
	if err != nil || !slices.Equal(got, []string{"alice -> bob drop=all", ""}) {
		t.Errorf("%q, %v", got, err)
	}
}
