package event_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"peerlab/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLine(t *testing.T) {
	e := event.Event{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600)), Seq: 7, Peer: "bob",
		Kind: event.ChatDelivered, Member: "alice", Message: "alice/1/2", Text: "a <b>\n\x1b[2J\u009b",
	}
	want := `{"t":"2026-01-02T02:04:05.6789Z","seq":7,"peer":"bob","kind":"chat.delivered","member":"alice",` +
		`"message":"alice/1/2","text":"a <b>\n\u001b[2J\u009b"}` + "\n"
	if got := string(e.Encode()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	back, err := event.Decode(e.Encode())
	if err != nil || back.Text != e.Text || !back.Time.Equal(e.Time) || back.Message != e.Message {
		t.Errorf("decoded %+v, %v", back, err)
	}
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	for line, want := range map[string]string{
		"":                               "parse event line",
		"{}":                             "no kind",
		`{"kind":"x"}`:                   "no time",
		`{"kind":"x","t":"yesterday"}`:   "parse event line",
		strings.Repeat(" ", 1<<20) + "1": "the limit is",
	} {
		if _, err := event.Decode([]byte(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Decode(%.20q): %v, want %q", line, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"t":"2026-01-02T02:04:05.6789Z","seq":7,"peer":"bob","kind":"chat.delivered"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := event.Decode(line)
		if err != nil {
			return
		}
		again, err := event.Decode(e.Encode())
		if err != nil {
			t.Fatalf("cannot read %q back: %v", e.Encode(), err)
		}
		if !bytes.Equal(e.Encode(), again.Encode()) {
			t.Fatalf("%s comes back as %s", e.Encode(), again.Encode())
		}
	})
}

func numbers(events []event.Event) []uint64 {
	var n []uint64
	for _, e := range events {
		n = append(n, e.Seq)
	}
	return n
}

func TestLogKeepsTheLatest(t *testing.T) {
	l := event.NewLog("p", 3)
	for range 5 {
		l.Emit(event.Event{Kind: event.ChatSent})
	}
	for _, tc := range []struct {
		after uint64
		want  []uint64
	}{
		{0, []uint64{3, 4, 5}}, {2, []uint64{3, 4, 5}}, {3, []uint64{4, 5}}, {5, nil}, {6, nil}, {^uint64(0), nil},
	} {
		if events, _ := l.Since(tc.after); !slices.Equal(numbers(events), tc.want) {
			t.Errorf("Since(%d) = %v, want %v", tc.after, numbers(events), tc.want)
		}
	}
	if l.Last() != 5 {
		t.Errorf("Last() = %d", l.Last())
	}
}

func TestReadersSeeEverything(t *testing.T) {
	const n = 2000
	l := event.NewLog("p", n)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			var out bytes.Buffer
			if err := l.Copy(context.Background(), &out, 0); err != nil {
				t.Error(err)
			}
			if lines := bytes.Count(out.Bytes(), []byte("\n")); lines != n {
				t.Errorf("a reader saw %d of %d", lines, n)
			}
		})
	}
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range n / 4 {
				l.Emit(event.Event{Kind: event.ChatSent})
			}
		})
	}
	writers.Wait()
	l.Close()
	readers.Wait()
	l.Emit(event.Event{Kind: event.ChatSent})
	if l.Last() != n {
		t.Error("a closed log takes events")
	}
}

func TestReadEnds(t *testing.T) {
	l := event.NewLog("p", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Read(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	l.Close()
	if _, err := l.Read(t.Context(), 0); !errors.Is(err, event.ErrClosed) {
		t.Errorf("error %v", err)
	}
}
