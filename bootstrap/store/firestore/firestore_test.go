package firestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"peerlab/bootstrap/store"
	"peerlab/bootstrap/store/firestore/fake"
	"peerlab/bootstrap/store/storetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

var initial = store.State{MaxPeers: 2, MinRefillCandidates: 3}

// startFake starts a fake that ends with the test, and has the client use it.
func startFake(t *testing.T) *fake.Server {
	t.Helper()
	f, err := fake.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	t.Setenv("FIRESTORE_EMULATOR_HOST", f.Addr())
	return f
}

func open(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, initial)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFirestore runs against an emulator where FIRESTORE_EMULATOR_HOST names
// one, otherwise against the fake.
func TestFirestore(t *testing.T) {
	if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" {
		startFake(t)
	}
	run, n := rand.Uint32(), 0
	storetest.Conformance(t, func(t *testing.T, maxPeers, minRefillCandidates int) [2]store.Store {
		n++
		var both [2]store.Store
		for i := range both {
			s, err := Open(t.Context(), fmt.Sprintf("firestore://peerlab-test/test-%d/%d", run, n),
				store.State{MaxPeers: maxPeers, MinRefillCandidates: minRefillCandidates})
			if err != nil {
				t.Fatal(err)
			}
			both[i] = s
		}
		return both
	})
}

func TestAnswersOfTheService(t *testing.T) {
	f := startFake(t)
	s := open(t, "firestore://p")
	defer s.Close()
	add := func(ctx context.Context) error {
		_, err := s.Update(ctx, func(s *store.State) error { s.MinRefillCandidates++; return nil })
		return err
	}
	// What says that somebody was faster is tried again; the rest is an error.
	for code, again := range map[codes.Code]bool{
		codes.FailedPrecondition: true, codes.AlreadyExists: true, codes.Aborted: true,
		codes.PermissionDenied: false, codes.InvalidArgument: false,
	} {
		tries := 0
		f.BeforeCommit(func() error {
			if tries++; tries == 1 {
				return status.Error(code, "as the test wants")
			}
			return nil
		})
		if err := add(t.Context()); (err == nil) != again {
			t.Errorf("%v: %v after %d tries", code, err, tries)
		}
	}
	// One that never succeeds ends with its context.
	f.BeforeCommit(func() error { return status.Error(codes.FailedPrecondition, "never") })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := add(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended with %v, want its context's end", err)
	}
}

func TestDamagedDocument(t *testing.T) {
	startFake(t)
	s := open(t, "firestore://p")
	defer s.Close()
	for _, wrong := range []any{document{[]byte("x")}, map[string]any{"state": "text"}, map[string]any{}} {
		if _, err := s.doc.Set(t.Context(), wrong); err != nil {
			t.Fatal(err)
		}
		if state, err := s.View(t.Context()); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %+v, %v", wrong, state, err)
		}
	}
}

func TestParse(t *testing.T) {
	for raw, want := range map[string]string{
		"firestore://p": "p bootstrap/state", "firestore://p/": "p bootstrap/state", "firestore://p/a/b": "p a/b",
	} {
		if project, path, err := parse(raw); err != nil || project+" "+path != want {
			t.Errorf("%s: %s %s %v", raw, project, path, err)
		}
	}
	for _, raw := range []string{"", "firestore:", "firestore://", "firestore://p/a", "firestore://p/a/b/c", "http://p"} {
		if _, _, err := parse(raw); err == nil {
			t.Errorf("%q accepted", raw)
		}
	}
}
