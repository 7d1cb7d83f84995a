package probe

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/fabric"
)

func TestChanged(t *testing.T) {
	at := func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, i}) }
	pair := func(i, j byte) fabric.Pair { return fabric.Pair{From: at(i), To: at(j)} }
	cut := fabric.Link{Drop: fabric.DropAll}
	v := Verification{
		matrix: fabric.Matrix{pair(2, 1): cut, pair(1, 3): cut, pair(3, 4): cut, pair(2, 9): cut},
		peers:  map[netip.Addr]dockerd.Member{at(1): {}, at(2): {}, at(3): {}, at(4): {}},
	}
	got := v.changed(fabric.Matrix{pair(3, 4): cut, pair(4, 1): {Loss: 10}})
	want := []fabric.Pair{pair(1, 2), pair(2, 1), pair(1, 3), pair(3, 1), pair(1, 4), pair(4, 1)}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSample(t *testing.T) {
	const peers = 60
	var pairs []fabric.Pair
	cut, lossy := make(fabric.Matrix), make(fabric.Matrix)
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }
	for i := range peers {
		for j := i + 1; j < peers; j++ {
			pair := fabric.Pair{From: at(i), To: at(j)}
			pairs = append(pairs, pair, pair.Back())
			for _, p := range []fabric.Pair{pair, pair.Back()} {
				cut[p] = fabric.Link{Drop: fabric.DropAll}
				lossy[p] = fabric.Link{Loss: 1}
			}
		}
	}
	for name, m := range map[string]fabric.Matrix{"cut": cut, "lossy": lossy} {
		got := sample(m, pairs, datagrams)
		cost := 0
		in := make(map[netip.Addr]int)
		for i := 0; i < len(got); i += 2 {
			if got[i+1] != got[i].Back() {
				t.Errorf("%s: %s without its way back", name, got[i])
			}
			in[got[i].From]++
			in[got[i].To]++
			cost += m.Cost(got[i]) + m.Cost(got[i+1])
		}
		if cost > datagrams && len(got) > 2 || len(got) < 2 {
			t.Errorf("%s: %d datagrams for %d pairs", name, cost, len(got))
		}
		if name == "cut" && (len(in) != peers || len(got) < 150) {
			t.Errorf("of %d peers %d are in the sample of %d pairs", peers, len(in), len(got))
		}
		for addr, n := range in {
			if name == "cut" && n > peers-1 {
				t.Errorf("%s is in %d pairs", addr, n)
			}
		}
	}
	few := pairs[:20]
	if got := sample(cut, few, datagrams); len(got) != len(few) {
		t.Errorf("%d of %d pairs", len(got), len(few))
	}
	if got := sample(cut, nil, datagrams); len(got) != 0 {
		t.Errorf("of none: %v", got)
	}
	if got := sample(cut, few, 1); len(got) != 2 {
		t.Errorf("for next to nothing: %v", got)
	}
}

// allRunning is a daemon whose containers all run.
type allRunning struct{}

func (allRunning) RoundTrip(r *http.Request) (*http.Response, error) {
	body := io.NopCloser(strings.NewReader(`{"State": {"Running": true, "StartedAt": "2026-01-02T03:00:00Z"}}`))
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Request: r}, nil
}

// TestMeasuredInACrowd judges links that lose more than they should because the
// table of neighbors has overflowed: that is what is named, and a fault without
// effect is named all the same.
func TestMeasuredInACrowd(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("10.0.0.12")
	pair := fabric.Pair{From: a, To: b}
	peers := map[netip.Addr]dockerd.Member{a: {ID: "alice", Peer: testbed.Peer{Name: "alice"}}, b: {ID: "bob", Peer: testbed.Peer{Name: "bob"}}}
	for _, test := range []struct {
		name       string
		link       fabric.Link
		arrived    int
		overflowed bool
		noEffect   bool
		crowded    bool
	}{
		{"lost, and no overflow", fabric.Link{}, 0, false, true, false},
		{"lost, and an overflow", fabric.Link{}, 0, true, false, true},
		{"a cut that lets through, and an overflow", fabric.Link{Drop: fabric.DropAll}, 20, true, true, false},
		{"all well, and an overflow", fabric.Link{}, 20, true, false, false},
	} {
		api, err := client.New(client.WithHost("http://docker"), client.WithHTTPClient(&http.Client{Transport: allRunning{}}), client.WithAPIVersion(dockerd.MinAPI))
		if err != nil {
			t.Fatal(err)
		}
		s := NewSet(dockerd.New(api, ""), "lab", "", "")
		for _, m := range peers {
			s.probes[m.Name] = &probe{life: m.ID + " 2026-01-02T03:00:00Z"}
		}
		v := &Verification{set: s, history: testbed.NewHistory(), matrix: fabric.Matrix{pair: test.link}, peers: peers, pairs: []fabric.Pair{pair}}
		err = v.judge(t.Context(), []fabric.Measurement{{Pair: pair, Sent: 20, Arrived: test.arrived, TCP: test.arrived > 0}},
			map[netip.Addr]string{a: "alice", b: "bob"}, func() bool { return test.overflowed })
		if got := errors.As(err, new(*testbed.NoEffectError)); got != test.noEffect || errors.Is(err, dockerd.ErrNeighbors) != test.crowded {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
