package bolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peerlab/bootstrap/store"
	"peerlab/bootstrap/store/bolt"
	"peerlab/bootstrap/store/storetest"
)

// asWriter makes the test binary a process that writes into the file it names
// until it is killed.
const asWriter = "PEERLAB_TEST_BOLT_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(asWriter); path != "" {
		write(path)
		return
	}
	goleak.VerifyTestMain(m)
}

var initial = store.State{MaxPeers: 2, MinRefillCandidates: 3}

func open(t *testing.T, path string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(path, initial)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBolt(t *testing.T) {
	storetest.Conformance(t, func(t *testing.T, maxPeers, minRefillCandidates int) [2]store.Store {
		s, err := bolt.Open(filepath.Join(t.TempDir(), "db"), store.State{MaxPeers: maxPeers, MinRefillCandidates: minRefillCandidates})
		if err != nil {
			t.Fatal(err)
		}
		return [2]store.Store{s, s}
	})
}

func TestKeepsOverReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path)
	want, err := s.Update(t.Context(), func(s *store.State) error {
		s.Configure(7, 8)
		s.Join(storetest.Entry("alice", "1"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(path, initial); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	defer s.Close()
	if got, err := s.View(t.Context()); err != nil || !got.Equal(want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// write counts in the file as fast as it can, and says each number once it is
// safe.
func write(path string) {
	s, err := bolt.Open(path, initial)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for {
		state, err := s.Update(context.Background(), func(s *store.State) error {
			s.MinRefillCandidates = (s.MinRefillCandidates + 1) % 1000
			e := storetest.Entry("n", strconv.Itoa(s.MinRefillCandidates))
			s.Peers["n"] = e
			return nil
		})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(state.MinRefillCandidates)
	}
}

// TestKill kills a writer at random instants: what it was told is written must
// be there, whole, at the next start.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kills := 40
	if testing.Short() {
		kills = 5
	}
	acknowledged, writes := initial.MinRefillCandidates, 0
	for range kills {
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = []string{asWriter + "=" + path, "GOCOVERDIR=" + t.TempDir()}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		kill := time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		for lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatalf("the writer says %s", lines.Text())
			}
			acknowledged = n
			writes++
		}
		_ = cmd.Wait() // killed
		kill.Stop()
		s := open(t, path)
		got, err := s.View(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// One more may have been written than could be said.
		n := got.MinRefillCandidates
		if n != acknowledged && n != (acknowledged+1)%1000 {
			t.Fatalf("%d was acknowledged, %d is there", acknowledged, n)
		}
		if e, ok := got.Peers["n"]; ok && e.Timestamp != strconv.Itoa(n) {
			t.Fatalf("half an update: %+v", got)
		}
		acknowledged = n
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d acknowledged writes", kills, writes)
}

func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	s := open(t, good)
	for i := range 20 {
		if _, err := s.Update(t.Context(), func(s *store.State) error {
			s.MaxPeers++
			s.Join(storetest.Entry(fmt.Sprint("peer", i), "1"))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(f func([]byte) []byte) []byte { return f([]byte(string(content))) }
	for name, b := range map[string][]byte{
		"text":          []byte(strings.Repeat("no database\n", 5000)),
		"a short file":  content[:100],
		"one page":      content[:4096],
		"cut after 2":   content[:2*4096],
		"cut after 3":   content[:3*4096],
		"zeros":         make([]byte, len(content)),
		"both metas":    changed(func(b []byte) []byte { copy(b, make([]byte, 8192)); return b }),
		"all but metas": changed(func(b []byte) []byte { clear(b[8192:]); return b }),
		"a changed value": changed(func(b []byte) []byte {
			return []byte(strings.ReplaceAll(string(b), `"ip":"192.0.2.1"`, `"ip":"192.0.2.7"`))
		}),
		"noise after the metas": changed(func(b []byte) []byte {
			r := rand.New(rand.NewPCG(1, 2))
			for i := 8192; i < len(b); i++ {
				b[i] = byte(r.Uint32())
			}
			return b
		}),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "bad")
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := bolt.Open(path, initial)
			if err == nil {
				_ = s.Close()
				t.Fatal("opened")
			}
			if !errors.Is(err, bolt.ErrCorrupt) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v", err)
			}
			aside, err := bolt.SetAside(path)
			if err != nil {
				t.Fatal(err)
			}
			if kept, err := os.ReadFile(aside); err != nil || string(kept) != string(b) {
				t.Errorf("the damaged file was not kept as it was: %v", err)
			}
			s = open(t, path)
			if got, err := s.View(t.Context()); err != nil || got.MaxPeers != 2 {
				t.Errorf("%+v, %v", got, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func FuzzDamagedFile(f *testing.F) {
	path := filepath.Join(f.TempDir(), "good")
	s, err := bolt.Open(path, initial)
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), []byte{1})
	f.Add(uint32(4096+16), []byte{255, 255})
	f.Add(uint32(3*4096), make([]byte, 64))
	f.Fuzz(func(t *testing.T, offset uint32, b []byte) {
		damaged := []byte(string(content))
		copy(damaged[int(offset)%len(damaged):], b)
		path := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := bolt.Open(path, initial)
		if err != nil {
			return // it says so and does not crash
		}
		if _, err := s.Update(t.Context(), func(s *store.State) error { s.MaxPeers++; return nil }); err != nil {
			t.Errorf("opened, but then: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
