// Package bench measures the bootstrap service under load from a second
// process: make bench-bootstrap.
package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerlab/bootstrap"
	"peerlab/bootstrap/server"
	"peerlab/bootstrap/store/etcd/etcdtest"
	"peerlab/bootstrap/store/firestore/fake"
	"peerlab/bootstrap/store/open"
)

const (
	// asServer makes the test binary the server over the store it names.
	asServer = "PEERLAB_BENCH_STORE"
	// enabled is set by make bench-bootstrap: a minute of full load is nothing
	// to do in every run of the tests.
	enabled = "PEERLAB_BENCH"

	rounds   = 7
	interval = 300 * time.Millisecond // of one measurement
	warmUp   = 100 * time.Millisecond

	maxPeers = 3 // as in production
)

func TestMain(m *testing.M) {
	if url := os.Getenv(asServer); url != "" {
		if err := serve(url); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve is the server's process. As cmd/bootstrap it logs every request; the
// log goes to /dev/null.
func serve(url string) error {
	debug.SetGCPercent(server.GCPercent)
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var h http.Handler
	if url == "constant" {
		body := []byte(os.Getenv("PEERLAB_BENCH_BODY"))
		h = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body) // a client gone is nobody's loss
		})
	} else {
		s, err := open.URL(context.Background(), url, open.Options{MaxPeers: maxPeers, MinRefillCandidates: 10, Log: log})
		if err != nil {
			return err
		}
		h = server.New(s, server.Options{Log: log, TTL: time.Hour})
	}
	fmt.Println(l.Addr())
	return server.Serve(context.Background(), l, h, log)
}

// start starts a server's process and returns its address.
func start(t *testing.T, url string, env ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(append(os.Environ(), asServer+"="+url), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "127.0.0.1:") {
		t.Fatalf("%s: the server says %q, %v", url, line, err)
	}
	return strings.TrimSpace(line)
}

// operation is one kind of request. n tells the clients apart.
type operation struct {
	name, method string
	path         func(n int) string
	body         func(n int) []byte // nil for none
}

func offer(n int, started string) []byte {
	id := fmt.Sprintf("00000000-0000-0000-0000-%012d", n)
	b, err := json.Marshal(bootstrap.Offer{View: "alice", Peer: bootstrap.Peer{
		ID: id, Name: fmt.Sprint("peer", n), IP: "192.0.2.1", Port: fmt.Sprint(n + 1),
		Protocol: "tcp", Status: "0", Timestamp: started,
	}})
	if err != nil {
		panic(err)
	}
	return b
}

// Each join renews one of those registered, so that each is a write; each
// refill comes from one too new to get a place, which is what the service has
// to do for all candidates but few.
var operations = []operation{
	{"list", "GET", func(int) string { return "/v1/peers" }, nil},
	{
		"join", "PUT",
		func(n int) string { return fmt.Sprintf("/v1/peers/00000000-0000-0000-0000-%012d", n%maxPeers) },
		func(n int) []byte { return offer(n%maxPeers, "1557509977") },
	},
	{
		"refill", "POST", func(int) string { return "/v1/refill" },
		func(n int) []byte { return offer(maxPeers+n, "1557509999") },
	},
}

// result is what one measurement gave.
type result struct {
	rate float64 // requests a second
	p99  time.Duration
}

// load runs one operation over conns connections for the interval.
func load(t *testing.T, addr string, o operation, conns int) result {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: conns, MaxConnsPerHost: conns, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	begin := time.Now().Add(warmUp)
	end := begin.Add(interval)
	took := make([][]time.Duration, conns)
	var all sync.WaitGroup
	for n := range conns {
		all.Go(func() {
			url := "http://" + addr + o.path(n)
			var body []byte
			if o.body != nil {
				body = o.body(n)
			}
			for {
				sent := time.Now()
				if sent.After(end) {
					return
				}
				req, err := http.NewRequestWithContext(t.Context(), o.method, url, bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Content-Type", "application/json")
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close() // read to its end
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("%s %s: %s, %v", o.method, url, resp.Status, err)
					return
				}
				if sent.After(begin) {
					took[n] = append(took[n], time.Since(sent))
				}
			}
		})
	}
	all.Wait()
	each := slices.Concat(took...)
	if len(each) == 0 {
		return result{}
	}
	slices.Sort(each)
	return result{float64(len(each)) / interval.Seconds(), each[len(each)*99/100]}
}

// median returns the result with the median rate.
func median(rs []result) result {
	slices.SortFunc(rs, func(a, b result) int { return cmp.Compare(a.rate, b.rate) })
	return rs[len(rs)/2]
}

// TestTable prints the table and fails where the memory store is slower than
// required, beside a handler that only returns a body of the same size.
func TestTable(t *testing.T) {
	if os.Getenv(enabled) == "" {
		t.Skip("make bench-bootstrap runs it")
	}
	emulator, err := fake.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer emulator.Stop()
	type backend struct{ name, addr string }
	backends := []backend{
		{"memory", start(t, "memory:")},
		{"bolt", start(t, "bolt:"+filepath.Join(t.TempDir(), "db"))},
		{"etcd", start(t, "etcd://"+etcdtest.Start(t))},
		{"firestore (fake)", start(t, "firestore://bench", "FIRESTORE_EMULATOR_HOST="+emulator.Addr())},
	}
	if only := os.Getenv("PEERLAB_BENCH_ONLY"); only != "" {
		backends = slices.DeleteFunc(backends, func(b backend) bool { return b.name != only })
	}
	for _, b := range backends {
		for n := range maxPeers {
			load(t, b.addr, operation{"", "PUT", func(int) string { return operations[1].path(n) }, func(int) []byte { return operations[1].body(n) }}, 1)
		}
	}
	resp, err := http.Get("http://" + backends[0].addr + "/v1/peers")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // read to its end
	if err != nil {
		t.Fatal(err)
	}
	constant := start(t, "constant", "PEERLAB_BENCH_BODY="+string(body))

	fmt.Printf("\n%-8s %5s  %-18s %10s %12s %10s\n", "request", "conns", "store", "req/s", "x constant", "p99")
	for _, o := range operations {
		for _, conns := range []int{1, 16, 256} {
			line := func(name string, r result, ratio float64) {
				fmt.Printf("%-8s %5d  %-18s %10.0f %12.2f %10s\n", o.name, conns, name, r.rate, ratio, r.p99.Round(time.Microsecond))
			}
			for _, b := range backends {
				// Right after each other, so that a busy moment of the host
				// hits both; the median, so that it counts once.
				var plain, served []result
				var ratios []float64
				for range rounds {
					p, r := load(t, constant, o, conns), load(t, b.addr, o, conns)
					plain, served, ratios = append(plain, p), append(served, r), append(ratios, r.rate/p.rate)
				}
				if b == backends[0] {
					line("constant", median(plain), 1)
				}
				slices.Sort(ratios)
				ratio := ratios[rounds/2]
				line(b.name, median(served), ratio)
				want := map[string]float64{"list": 0.8, "join": 0.6}[o.name]
				if b.name == "memory" && ratio < want {
					t.Errorf("%s at %d connections: %.2f of the constant handler, want %.1f", o.name, conns, ratio, want)
				}
			}
		}
	}
}
