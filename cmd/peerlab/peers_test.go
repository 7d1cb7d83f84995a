package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/testbed"
)

func TestStopped(t *testing.T) {
	peers := []testbed.Peer{{Name: "alice", State: testbed.Stopped}, {Name: "bob", State: testbed.Running}, {Name: "charly", State: testbed.Stopped}}
	if got := stopped(peers, []string{"alice", "bob"}); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("%v", got)
	}
}

// A change without an end says so where there was one.
func TestEndless(t *testing.T) {
	until := time.Now().Add(time.Minute)
	if got := endless(until, 0, 2); !strings.Contains(got, "at "+until.Format("15:04:05")+" now stay") {
		t.Errorf("%q", got)
	}
	for _, got := range []string{endless(time.Time{}, 0, 2), endless(until, time.Second, 2), endless(until, 0, 0)} {
		if got != "" {
			t.Errorf("%q", got)
		}
	}
}
