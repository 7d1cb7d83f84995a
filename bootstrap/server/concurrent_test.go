package server

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"peerlab/bootstrap"
	"peerlab/bootstrap/store"
)

// TestConcurrent is the fault that killed the old server: its process died of
// a map written by several requests at once.
func TestConcurrent(t *testing.T) {
	const clients, maxPeers = 64, 5
	h := NewHandler(store.NewMemory(maxPeers, 2), quiet)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 0))
			id := "id" + strconv.Itoa(i)
			offer := fmt.Sprintf("%s peer%d 127.0.0.1 7946 tcp 0 %d", id, i, i)
			for range 20 {
				path, body := "/join", offer
				switch random.IntN(4) {
				case 0:
					path, body = "/leave", id
				case 1:
					path = "/refill"
				case 2:
					path = "/list"
				}
				w := ask(h, http.MethodPost, path, body)
				d, err := bootstrap.Decode(w.Body.Bytes())
				if w.Code != http.StatusOK || err != nil {
					t.Errorf("%s: status %d, %v", path, w.Code, err)
					return
				}
				if len(d.Peers) > maxPeers || d.Config.NumPeers != len(d.Peers) {
					t.Errorf("%s: %d peers, numpeers %d, maximum %d", path, len(d.Peers), d.Config.NumPeers, maxPeers)
				}
				if _, there := d.Peers[id]; path == "/leave" && there {
					t.Errorf("%s is there after it left", id)
				}
				for id, p := range d.Peers {
					if p.ID != id || p.Validate() != nil {
						t.Errorf("%s holds %+v", id, p)
					}
				}
			}
			// In the end everyone offers itself: the oldest must have won.
			ask(h, http.MethodPost, "/refill", offer)
		})
	}
	all.Wait()
	for i := range clients {
		ask(h, http.MethodPost, "/refill", fmt.Sprintf("id%d peer%d 127.0.0.1 7946 tcp 0 %d", i, i, i))
	}
	d, err := bootstrap.Decode(ask(h, http.MethodPost, "/list", "").Body.Bytes())
	if err != nil || len(d.Peers) != maxPeers {
		t.Fatalf("in the end %d peers, %v, want %d", len(d.Peers), err, maxPeers)
	}
	for i := range maxPeers {
		if _, ok := d.Peers["id"+strconv.Itoa(i)]; !ok {
			t.Errorf("id%d, one of the %d oldest, is not in the list", i, maxPeers)
		}
	}
}

// TestTenThousandJoinsAndLeaves ends with a list that holds exactly those that
// joined last and did not leave. With -short it is two thousand of them.
func TestTenThousandJoinsAndLeaves(t *testing.T) {
	const clients, stay = 100, 2
	each := 50
	if testing.Short() {
		each = 10
	}
	h := NewHandler(store.NewMemory(bootstrap.Limit, 2), quiet)
	// A request that an overloaded service gave up is made again, as a peer does.
	demand := func(path, body string) {
		for {
			switch w := ask(h, http.MethodPost, path, body); w.Code {
			case http.StatusOK:
				return
			case http.StatusServiceUnavailable:
			default:
				t.Errorf("%s %s: %d %s", path, body, w.Code, w.Body)
				return
			}
		}
	}
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for n := range each { // two requests each
				id := fmt.Sprintf("id%d-%d", i, n)
				demand("/join", fmt.Sprintf("%s peer%d 127.0.0.1 7946 tcp 0 %d", id, i, n))
				if n < each-stay {
					demand("/leave", id)
				} else {
					demand("/leave", "unknown")
				}
			}
		})
	}
	all.Wait()
	d, err := bootstrap.Decode(ask(h, http.MethodPost, "/list", "").Body.Bytes())
	if err != nil || len(d.Peers) != clients*stay || d.Config.NumPeers != len(d.Peers) {
		t.Fatalf("%d peers, numpeers %d, %v, want %d", len(d.Peers), d.Config.NumPeers, err, clients*stay)
	}
	for i := range clients {
		for n := each - stay; n < each; n++ {
			if _, ok := d.Peers[fmt.Sprintf("id%d-%d", i, n)]; !ok {
				t.Errorf("id%d-%d is missing", i, n)
			}
		}
	}
}
