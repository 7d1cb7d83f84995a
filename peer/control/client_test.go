package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/peer/command"
)

func TestClient(t *testing.T) {
	l, c := start(t)
	ctx := context.Background()
	l.log.Emit(event.Event{Kind: event.PeerStarted})

	var out strings.Builder
	if err := c.Exec(ctx, "echo hello", nil, &out); err != nil || out.String() != "hello\n" {
		t.Errorf("Exec: %q, %v", out.String(), err)
	}
	out.Reset()
	in := strings.Repeat("line of input\n", MaxStdin/14)
	if err := c.ExecWords(ctx, []string{"cat"}, strings.NewReader(in), &out); err != nil || out.String() != in {
		t.Errorf("ExecWords: %d bytes, %v", out.Len(), err)
	}
	candidates, word, err := c.Complete(ctx, "say b")
	if want := []string{"bert", "bob"}; err != nil || !slices.Equal(candidates, want) || word != "b" {
		t.Errorf("Complete: %q %q, %v", candidates, word, err)
	}
	st, err := c.Info(ctx)
	if err != nil || st.Name != "alice" || st.Version != "v1" || !st.Ready || st.Last != 1 || st.Started.IsZero() {
		t.Errorf("Info: %+v, %v", st, err)
	}
	if err := c.Health(ctx); err != nil {
		t.Errorf("Health: %v", err)
	}
}

func TestClientErrors(t *testing.T) {
	_, c := start(t)
	for _, tc := range []struct {
		name, line string
		in         io.Reader
		command    bool // the command's own failure
		want       string
	}{
		{"failing command", "fail", nil, true, "it failed; in two lines \ufffd[2J"},
		{"unknown command", "nope", nil, true, "unknown command"},
		{"unterminated quote", "echo 'a", nil, true, "unterminated quote"},
		{"1 MB line", "echo " + strings.Repeat("x", 1<<20), nil, true, "the limit is 65536"},
		{"6 MB line", "echo " + strings.Repeat("x", 6<<20), nil, false, "too long"},
		{"large stdin", "cat", strings.NewReader(strings.Repeat("x", MaxStdin+1)), false, "1048576"},
		{"binary stdin", "cat", strings.NewReader("\xff\x00"), false, "UTF-8"},
		{"broken stdin", "cat", io.MultiReader(strings.NewReader("x"), broken{}), false, "broken pipe dream"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := c.Exec(context.Background(), tc.line, tc.in, io.Discard)
			var failed *CommandError
			if errors.As(err, &failed) != tc.command || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q (command error: %v)", err, tc.want, tc.command)
			}
			if errors.Is(err, ErrNoPeer) {
				t.Error("the peer is there")
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken pipe dream") }

func TestHealthSaysWhyNot(t *testing.T) {
	l := newLab(t).serve(t, func() error { return errors.New("not joined yet") }, writeTimeout)
	c := l.dial(t)
	if err := c.Health(context.Background()); err == nil || err.Error() != "not joined yet" {
		t.Errorf("Health: %v", err)
	}
	if st, err := c.Info(context.Background()); err != nil || st.Ready || st.Problem != "not joined yet" {
		t.Errorf("Info: %+v, %v", st, err)
	}
}

// Output comes while the command runs, and the client's context ends it.
func TestCancelReachesTheCommand(t *testing.T) {
	l, c := start(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- c.Exec(ctx, "wait", nil, w) }()
	buf := make([]byte, 100)
	n, err := r.Read(buf)
	if err != nil || string(buf[:n]) != "waiting\n" {
		t.Fatalf("output while it runs: %q, %v", buf[:n], err)
	}
	cancel()
	if err := receive(t, l.ended, "end of the command"); !errors.Is(err, context.Canceled) {
		t.Errorf("the command saw %v", err)
	}
	if err := receive(t, done, "return of Exec"); !errors.Is(err, context.Canceled) {
		t.Errorf("Exec: %v", err)
	}
}

// Half a character waits for its other half, and does not hold up what follows.
func TestOutputInHalfCharacters(t *testing.T) {
	l, c := start(t)
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Exec(ctx, "halves", nil, w) }()
	buf := make([]byte, 100)
	for _, want := range []string{"a", "€b"} {
		n, err := io.ReadFull(r, buf[:len(want)])
		if err != nil || string(buf[:n]) != want {
			t.Fatalf("read %q, %v; want %q", buf[:n], err, want)
		}
		l.started <- struct{}{} // the command may go on
	}
	cancel()
	receive(t, done, "return of Exec")
}

func TestManyClients(t *testing.T) {
	l, _ := start(t)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			c, err := Dial(l.path)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for j := range 10 {
				want := fmt.Sprintf("client%d-%d\n", i, j)
				var out strings.Builder
				if err := c.Exec(context.Background(), "echo "+want, nil, &out); err != nil || out.String() != want {
					t.Errorf("%q, %v; want %q", out.String(), err, want)
				}
			}
		})
	}
	wg.Wait()
}

func TestEvents(t *testing.T) {
	l, c := start(t)
	ctx := context.Background()
	for range 3 {
		l.log.Emit(event.Event{Kind: event.MemberJoin, Member: "bob"})
	}
	var seqs []uint64
	err := c.Events(ctx, 1, false, func(e event.Event) error {
		seqs = append(seqs, e.Seq)
		return nil
	})
	if err != nil || !slices.Equal(seqs, []uint64{2, 3}) {
		t.Errorf("kept after 1: %v, %v", seqs, err)
	}

	got := make(chan uint64, 1)
	done := make(chan error, 1)
	go func() {
		done <- c.Events(ctx, 3, true, func(e event.Event) error {
			got <- e.Seq
			return nil
		})
	}()
	for want := range uint64(3) {
		l.log.Emit(event.Event{Kind: event.MemberDead, Member: "bob"})
		if seq := receive(t, got, "event"); seq != want+4 {
			t.Errorf("followed event %d, want %d", seq, want+4)
		}
	}
	l.log.Close()
	if err := receive(t, done, "end of the stream"); !errors.Is(err, ErrNoPeer) {
		t.Errorf("a log that ended: %v", err)
	}

	stop := errors.New("enough")
	if err := c.Events(ctx, 0, false, func(event.Event) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("fn's error: %v", err)
	}
}

// A client that stops reading loses its command and disturbs nobody else.
func TestClientThatStopsReading(t *testing.T) {
	l := newLab(t).serve(t, nil, 50*time.Millisecond)
	conn, err := net.Dial("unix", l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"line":"flood"}`
	fmt.Fprintf(conn, "POST /v1/exec HTTP/1.1\r\nHost: peer\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	receive(t, l.started, "start of the command")
	if err := l.dial(t).Exec(context.Background(), "echo hi", nil, io.Discard); err != nil {
		t.Errorf("another client: %v", err)
	}
	if err := receive(t, l.ended, "end of the command"); !errors.Is(err, context.Canceled) {
		t.Errorf("the command saw %v", err)
	}
}

func TestFollowerThatStopsReading(t *testing.T) {
	l := newLab(t).serve(t, nil, 50*time.Millisecond)
	conn, err := net.Dial("unix", l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /v1/events?follow=true HTTP/1.1\r\nHost: peer\r\n\r\n")
	// Emitting never waits: all of it goes through although nobody reads.
	text := strings.Repeat("x", 4<<10)
	for range 1000 {
		l.log.Emit(event.Event{Kind: event.ChatDelivered, Text: text})
	}
	if err := l.dial(t).Health(context.Background()); err != nil {
		t.Errorf("another client: %v", err)
	}
}

// A paused peer accepts connections, for the kernel does, and never answers.
func TestPausedPeer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = c.Info(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "paused?") || errors.Is(err, ErrNoPeer) {
		t.Errorf("Info: %v", err)
	}
	began := time.Now()
	err = c.Health(context.Background()) // without a deadline of ours
	if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > 2*answerTimeout {
		t.Errorf("Health: %v after %v", err, took)
	}
}

func TestPeerThatDies(t *testing.T) {
	l, c := start(t)
	exec, events := make(chan error, 1), make(chan error, 1)
	go func() { exec <- c.Exec(context.Background(), "wait", nil, io.Discard) }()
	go func() {
		events <- c.Events(context.Background(), 0, true, func(event.Event) error { return nil })
	}()
	receive(t, l.started, "start of the command")
	l.stop()
	// Its command is canceled first: either end is a clear one.
	var failed *CommandError
	if err := receive(t, exec, "end of Exec"); !errors.Is(err, ErrNoPeer) && !errors.As(err, &failed) {
		t.Errorf("Exec: %v", err)
	}
	if err := receive(t, events, "end of Events"); !errors.Is(err, ErrNoPeer) {
		t.Errorf("Events: %v", err)
	}
	<-l.served
	if err := c.Health(context.Background()); !errors.Is(err, ErrNoPeer) || !strings.Contains(err.Error(), l.path) {
		t.Errorf("Health: %v", err)
	}
	if _, err := Dial(l.path); !errors.Is(err, ErrNoPeer) || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("Dial: %v", err)
	}
}

func TestBinaryJunk(t *testing.T) {
	l, c := start(t)
	junk := make([]byte, 256)
	for i := range junk {
		junk[i] = byte(i)
	}
	for _, tc := range []struct{ name, request, want string }{
		{"bytes", string(junk) + "\r\n\r\n", "400 Bad Request"},
		{"huge header", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "431"},
		{"junk body", "POST /v1/exec HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 256\r\n\r\n" + string(junk), "400 Bad Request"},
		{"bad chunk", "POST /v1/exec HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400 Bad Request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := l.raw(t, tc.request); !strings.Contains(got, tc.want) {
				t.Errorf("answer %.200q does not say %q", got, tc.want)
			}
			if err := c.Health(context.Background()); err != nil {
				t.Errorf("the peer suffered: %v", err)
			}
		})
	}
}

func TestStatusIsReadable(t *testing.T) {
	b, err := json.Marshal(Status{Name: "alice", Ready: true})
	if err != nil || strings.Contains(string(b), "problem") {
		t.Errorf("%s, %v", b, err)
	}
}

// A command that is interrupted still tells what it has to tell.
func TestInterruptedCommandHasTheLastWord(t *testing.T) {
	l, c := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-l.started
		cancel()
	}()
	var out strings.Builder
	if err := c.Exec(ctx, "farewell", nil, &out); !errors.Is(err, context.Canceled) || out.String() != "so far\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	// One that has ended, or never was, is no error.
	if err := c.ask(t.Context(), "POST", "/v1/interrupt", interruptRequest{"nobody"}, nil); err != nil {
		t.Error(err)
	}
}

// What a command is told of who runs it.
func TestCaller(t *testing.T) {
	_, c := start(t)
	var out strings.Builder
	ctx := command.WithCaller(t.Context(), command.Caller{Color: true, Columns: 72, Shell: "one"})
	if err := c.Exec(ctx, "caller", nil, &out); err != nil || out.String() != "{true 72 one} one\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	ctx = command.WithCaller(t.Context(), command.Caller{Shell: strings.Repeat("x", 65)})
	if err := c.Exec(ctx, "caller", nil, &out); err == nil {
		t.Error("a long name is taken")
	}
}
