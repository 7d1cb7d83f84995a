package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"peerlab/event"
	"peerlab/peer"
	"peerlab/testbed"
)

// TestDefaultsOfUp: a profile that somebody chose is memberlist's own.
func TestDefaultsOfUp(t *testing.T) {
	for _, test := range []struct {
		profile string
		set     []string
		adapter string
		peers   int
		want    string
		wantSet string
	}{
		{"", nil, "", 5, "local", "RetransmitMult=4"},
		{"", nil, "", 10, "local", "RetransmitMult=4"},
		{"", nil, "", 11, "lan", ""},
		{"", []string{"RetransmitMult=2"}, "", 5, "local", "RetransmitMult=4,RetransmitMult=2"},
		{"", []string{"SuspicionMult=2"}, "", 11, "lan", "SuspicionMult=2"},
		{"", nil, "serf", 5, "local", ""},
		{"local", nil, "", 5, "local", ""},
		{"local", nil, "", 50, "local", ""},
		{"wan", nil, "", 5, "wan", ""},
	} {
		f := upFlags{adapter: test.adapter}
		f.Profile, f.Set, f.Rejoin = test.profile, test.set, peer.DefaultRejoin
		o, err := f.options("", test.peers)
		if err != nil || o.Settings["profile"] != test.want || o.Settings["set"] != test.wantSet {
			t.Errorf("%+v: %v, %v", test, o.Settings, err)
		}
	}
}

// TestUpSaysForWhatItWaits when gossip has left somebody out.
func TestUpSaysForWhatItWaits(t *testing.T) {
	peers := []string{"alice", "bob", "charly", "dave", "erin"}
	for _, test := range []struct {
		name    string
		set     string
		missing string // whom alice does not know
		want    string
	}{
		{"one is missing", "", "dave", "alice has not heard of dave: gossip misses a member with a piece of news in 6.2 % of cases: with RetransmitMult=2"},
		{"with other settings", "RetransmitMult=4", "dave", "0.12 % of cases: with RetransmitMult=4"},
		{"nobody is missing", "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := testbed.NewHistory()
				for _, peer := range peers {
					h.Add(event.Event{Peer: peer, Kind: event.PeerStarted})
					for _, member := range peers {
						if peer != "alice" || member != test.missing {
							h.Add(event.Event{Peer: peer, Kind: event.MemberJoin, Member: member})
						}
					}
				}
				seen, said := newView(peers), []string(nil)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				go func() {
					time.Sleep(patientFor / 2) // what changes nothing is no progress
					h.Add(event.Event{Peer: "alice", Kind: event.PeerHealth})
				}()
				err := seen.wait(ctx, h, func(int) {}, func() {
					said = append(said, seen.why(map[string]string{"profile": "local", "set": test.set}))
				})
				switch {
				case test.missing == "":
					if err != nil || said != nil {
						t.Errorf("%v, said %q", err, said)
					}
				case !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute:
					t.Errorf("%v after %s", err, time.Since(began))
				case len(said) != 1 || !strings.Contains(said[0], test.want):
					t.Errorf("said %q, want %q", said, test.want)
				}
				time.Sleep(patientFor) // until the other goroutine has ended
				if behind := seen.behind(); test.missing != "" && !slices.Equal(behind, []string{"alice"}) {
					t.Errorf("behind: %v", behind)
				}
			})
		})
	}
}
