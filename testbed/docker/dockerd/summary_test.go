package dockerd

import (
	"testing"
	"time"

	"peerlab/testbed"
)

func TestSummarize(t *testing.T) {
	of := func(cluster, name string, state testbed.State, created int64) Member {
		return Member{Peer: testbed.Peer{Name: name, State: state}, Cluster: cluster, Created: created, Origin: ByCompose}
	}
	got := summarize([]Member{
		of("a", testbed.Bootstrap, testbed.Running, 12), of("a", "alice", testbed.Running, 10), of("a", "bob", testbed.Paused, 11), of("a", "charly", testbed.Stopped, 11),
		of("b", "alice", testbed.Running, 20),
	})
	want := []Summary{
		{Name: "a", Peers: 3, Running: 1, Paused: 1, Created: time.Unix(10, 0), Origin: ByCompose},
		{Name: "b", Peers: 1, Running: 1, Created: time.Unix(20, 0), Origin: ByCompose},
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
