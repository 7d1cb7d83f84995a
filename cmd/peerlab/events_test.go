package main

import (
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/scenarios"
	"peerlab/testbed"
)

func TestEventFilter(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	dead := event.Event{Time: now, Peer: "alice", Kind: event.MemberDead, Member: "bob"}
	kill := event.Event{Time: now, Peer: testbed.Lab, Kind: testbed.LabKill, Member: "bob"}
	ofKinds := func(kinds ...event.Kind) eventFilter { return eventFilter{Filter: event.Filter{Kinds: kinds}} }
	for _, tc := range []struct {
		name string
		f    eventFilter
		e    event.Event
		want bool
	}{
		{"all", eventFilter{}, dead, true},
		{"a kind", ofKinds(event.MemberDead), dead, true},
		{"another kind", ofKinds(event.MemberLeft), dead, false},
		{"of a peer", eventFilter{peers: []string{"alice"}}, dead, true},
		{"about a peer is not of it", eventFilter{peers: []string{"bob"}}, dead, false},
		{"done to a peer", eventFilter{peers: []string{"bob"}}, kill, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.f.shows(tc.e); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestKindsHelp(t *testing.T) {
	help := kindsHelp()
	for _, kind := range scenarios.EventKinds() {
		layer, name, _ := strings.Cut(string(kind), ".")
		if !strings.Contains(help, layer) || !strings.Contains(help, " "+name) {
			t.Errorf("the help does not have %s", kind)
		}
	}
	for line := range strings.Lines(help) {
		if len(line) > 81 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}
