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
	traffic := event.Event{Time: now, Peer: "alice", Kind: event.PeerTraffic}
	for _, tc := range []struct {
		name string
		f    eventFilter
		e    event.Event
		want bool
	}{
		{"all", eventFilter{}, dead, true},
		{"no traffic unless asked", eventFilter{}, traffic, false},
		{"traffic by its kind", eventFilter{kinds: []event.Kind{event.PeerTraffic}}, traffic, true},
		{"no traffic by its layer", eventFilter{kinds: []event.Kind{"peer"}}, traffic, false},
		{"traffic of all", eventFilter{traffic: true}, traffic, true},
		{"traffic of all is not of a kind", eventFilter{traffic: true, kinds: []event.Kind{"member"}}, traffic, false},
		{"a layer", eventFilter{kinds: []event.Kind{"member"}}, dead, true},
		{"another layer", eventFilter{kinds: []event.Kind{"chat"}}, dead, false},
		{"a kind", eventFilter{kinds: []event.Kind{event.MemberLeft, event.MemberDead}}, dead, true},
		{"of a peer", eventFilter{peers: []string{"alice"}}, dead, true},
		{"about a peer is not of it", eventFilter{peers: []string{"bob"}}, dead, false},
		{"done to a peer", eventFilter{peers: []string{"bob"}}, kill, true},
		{"since then", eventFilter{since: now}, dead, true},
		{"before", eventFilter{since: now.Add(time.Second)}, dead, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.f.shows(tc.e); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestParseKinds(t *testing.T) {
	for words, want := range map[string]string{
		"member.dead": "", "member lab.kill": "", "ping.sent": "", // an application's own
		"member.daed": "did you mean member.dead", "memeber": "did you mean member", "nonsense": "no such kind",
	} {
		_, err := parseKinds(strings.Fields(words))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", words, err, want)
		}
	}
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

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "5m": now.Add(-5 * time.Minute), "0s": now, "15:04": now.Add(-5 * time.Second), "15:04:05": now,
		"23:00":                time.Date(2026, 1, 1, 23, 0, 0, 0, time.UTC), // yesterday
		"2025-12-31T23:00:00Z": time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC),
	} {
		if got, err := parseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "-5m", "25:00", "5"} {
		if got, err := parseSince(text, now); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func FuzzParseSince(f *testing.F) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for _, text := range []string{"5m", "15:04", "2025-12-31T23:00:00Z", "1e9h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseSince(text, now)
		if err == nil && (text == "") != got.IsZero() && !strings.HasPrefix(text, "0001-") {
			t.Errorf("%q: %s", text, got)
		}
	})
}
