package main

import (
	"encoding/json"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker"
	"peerlab/testbed/docker/dockerd"
)

func peersForTables(now time.Time) []peerRow {
	sees := 3
	return []peerRow{
		{Status: docker.Status{Peer: testbed.Peer{Name: "alice", State: testbed.Running, Addr: netip.MustParseAddr("172.29.100.11")}, Since: now.Add(-3 * time.Hour), CPUs: 0.05, Image: "peerlab-peer", Profile: "lan"}, Sees: &sees, Cut: 12, Degraded: 4},
		{Status: docker.Status{Peer: testbed.Peer{Name: "bob", State: testbed.Stopped, Exit: 137, Reason: testbed.OutOfMemory}, Since: now.Add(-5 * time.Second), Image: "peerlab-peer"}},
		{Status: docker.Status{Peer: testbed.Peer{Name: "charly", State: testbed.Stopped, Exit: 1}, Image: "peerlab-peer"}},
	}
}

func TestPeerTable(t *testing.T) {
	now := time.Now()
	rows := peersForTables(now)
	got := (&lab{format: formatText}).peerTable(io.Discard, rows, now)
	want := `PEER    STATE          SINCE  SEES  CPUS  LINKS               ADDRESS
alice   running        3h     3     0.05  12 cut, 4 degraded  172.29.100.11
bob     out of memory  5s     -     -     -                   -
charly  stopped (1)    -      -     -     -                   -
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for line := range strings.Lines(got) {
		if len(line) > 81 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
	if wide := (&lab{format: formatWide}).peerTable(io.Discard, rows, now); !strings.Contains(wide, "lan      peerlab-peer") {
		t.Errorf("wide:\n%s", wide)
	}
}

func TestPrintPeers(t *testing.T) {
	var out strings.Builder
	cmd := new(cobra.Command)
	cmd.SetOut(&out)
	var peers []docker.Status
	for _, r := range peersForTables(time.Now()) {
		peers = append(peers, r.Status)
	}
	for _, tc := range []struct {
		name, want string
		peers      []docker.Status
	}{
		{"how they have ended", "PEER    STATE                  ADDRESS\nbob     killed: out of memory  -\ncharly  stopped (1)            -\n", peers[1:]},
		{"one is throttled", "PEER   STATE    CPUS  ADDRESS\nalice  running  0.05  172.29.100.11\n", peers[:1]},
	} {
		out.Reset()
		if err := (&lab{}).printPeers(cmd, tc.peers); err != nil || out.String() != tc.want {
			t.Errorf("%s: %v\n%s", tc.name, err, &out)
		}
	}
}

// TestWatchPrintsWhatChanged is ps --watch into a pipe.
func TestWatchPrintsWhatChanged(t *testing.T) {
	for _, tc := range []struct {
		name, format string
		want         []string // of each of three drawings: first, unchanged, bob starts
	}{
		{"text", formatText, []string{"PEER ", "", "bob "}},
		{"json", formatJSON, []string{"[", "", "["}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			cmd := new(cobra.Command)
			cmd.SetOut(&out)
			l := &lab{format: tc.format}
			cmd.Flags().StringVar(&l.format, "format", tc.format, "")
			show := l.watcher(cmd)
			now := time.Now()
			rows := peersForTables(now)
			later := peersForTables(now)
			later[1].State, later[1].Reason = testbed.Running, ""
			for i, rows := range [][]peerRow{rows, peersForTables(now), later} {
				out.Reset()
				if err := show(rows); err != nil {
					t.Fatal(err)
				}
				got := out.String()
				if (got == "") != (tc.want[i] == "") || !strings.HasPrefix(got, tc.want[i]) || tc.format == formatJSON && got != "" && !json.Valid([]byte(got)) {
					t.Errorf("drawing %d: %q, want %q", i, got, tc.want[i])
				}
				if i == 2 && tc.format == formatText && strings.Count(got, "\n") != 1 {
					t.Errorf("more than what changed: %q", got)
				}
			}
		})
	}
}

// TestRedraw draws a list over the one before.
func TestRedraw(t *testing.T) {
	var out strings.Builder
	now := time.Now()
	draw := (&lab{format: formatText}).redraw(&out)
	for _, rows := range [][]peerRow{peersForTables(now), peersForTables(now)[:1]} {
		if err := draw(rows); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.String(); strings.Count(got, "\x1b[4A") != 1 || strings.Count(got, "\x1b[J") != 2 || strings.Count(got, "\n") != 6 {
		t.Errorf("%q", got)
	}
}

func TestClusterViewTellsNews(t *testing.T) {
	at := time.Now()
	v := newClusterView()
	if v.add(event.Event{Time: at, Peer: "alice", Kind: event.PeerTraffic}) {
		t.Error("traffic is no news")
	}
	if !v.add(event.Event{Time: at, Peer: testbed.Lab, Kind: testbed.LabPause, Member: "alice"}) {
		t.Error("a pause is news")
	}
}

func TestPrintClusters(t *testing.T) {
	now := time.Now()
	all := []dockerd.Summary{
		{Name: "big", Peers: 20, Running: 18, Paused: 1, Created: now.Add(-26 * time.Hour), Origin: dockerd.ByPeerlab},
		{Name: "lab-1", Peers: 3, Running: 3, Created: now.Add(-90 * time.Second), Origin: dockerd.ByRun},
	}
	var out strings.Builder
	cmd := new(cobra.Command)
	cmd.SetOut(&out)
	want := "CLUSTER  PEERS  RUNNING       AGE  STARTED BY\nbig      20     18, 1 paused  1d   peerlab up\nlab-1    3      3             1m   a run or a test\n"
	if err := (&lab{}).printClusters(cmd, all, false, now); err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, &out)
	}
	out.Reset()
	if err := (&lab{}).printClusters(cmd, all, true, now); err != nil || out.String() != "big\nlab-1\n" {
		t.Errorf("names only: %v %q", err, &out)
	}
}
