package chat_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/encoding/protowire"

	"peerlab/peer/chat"
	"peerlab/peer/chat/chatpb"
)

// caller is a program of somebody else's that speaks the protocol.
type caller struct {
	net.Conn
	in *bytesReader
}

type bytesReader struct {
	net.Conn
}

func (r *bytesReader) ReadByte() (byte, error) {
	b := make([]byte, 1)
	_, err := r.Conn.Read(b)
	return b[0], err
}

// call says hello to r as somebody, from an address of this host.
func call(t *testing.T, r *room, from, name string, incarnation uint64) (*caller, error) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.DialContext(t.Context(), "tcp", r.here.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	c := &caller{conn, &bytesReader{conn}}
	c.say(t, &chatpb.Frame{Kind: &chatpb.Frame_Hello{Hello: &chatpb.Hello{From: name, To: r.here.Name, Incarnation: incarnation}}})
	_, err = c.hear()
	return c, err
}

func (c *caller) say(t *testing.T, f *chatpb.Frame) {
	t.Helper()
	var b bytes.Buffer
	if _, err := protodelim.MarshalTo(&b, f); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
}

func (c *caller) hear() (*chatpb.Frame, error) {
	f := new(chatpb.Frame)
	return f, protodelim.UnmarshalFrom(c.in, f)
}

func (r *bytesReader) Read(b []byte) (int, error) { return r.Conn.Read(b) }

// One frame under a member's name silences nobody, nor does it make anybody seem
// to have what it lacks.
func TestOneFrameSilencesNobody(t *testing.T) {
	a, b, c := join(t, "alice", 1), join(t, "bob", 1), join(t, "carol", 1)
	meet(a, b, c)
	for _, r := range []*room{a, b, c} {
		if d, err := r.SendAndWait(wait(t), "hello of "+r.here.Name); err != nil || len(d.Missing) > 0 {
			t.Fatalf("%+v, %v", d, err)
		}
	}
	conn, err := call(t, a, "127.0.0.1", "bob", 1)
	if err != nil {
		t.Fatal(err)
	}
	lie := []*chatpb.Mark{{Author: "carol", Incarnation: 1, Seq: 1 << 63}, {Author: "alice", Incarnation: 1, Seq: 1 << 63}}
	conn.say(t, &chatpb.Frame{Kind: &chatpb.Frame_Sync{Sync: &chatpb.Sync{Have: lie, Floor: lie, Settled: true}}})
	conn.say(t, &chatpb.Frame{Kind: &chatpb.Frame_Ping{Ping: &chatpb.Ping{Id: 7}}})
	for heard := false; !heard; { // which is answered after the sync is taken in
		f, err := conn.hear()
		if err != nil {
			t.Fatal(err)
		}
		heard = f.GetPong().GetId() == 7
	}
	d, err := c.SendAndWait(wait(t), "is anybody there?")
	if err != nil || len(d.Missing) > 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, r := range []*room{a, b} {
		if got := r.await(3); got[2] != "is anybody there?" {
			t.Errorf("%s shows %q", r.here.Name, got)
		}
		if s := r.Stats(); s.Skipped != 0 {
			t.Errorf("%s gave up %d messages", r.here.Name, s.Skipped)
		}
	}
}

// A hello under a member's name is taken from where membership knows it to be.
func TestHelloFromElsewhere(t *testing.T) {
	a, b := join(t, "alice", 1), join(t, "bob", 1)
	meet(a, b)
	if _, err := call(t, a, "127.0.0.2", "bob", 1); err == nil {
		t.Error("bob was answered at another address than its own")
	}
	if _, err := call(t, a, "127.0.0.2", "bob", 2); err == nil {
		t.Error("another life of bob was answered at another address than its own")
	}
	if s := a.Stats(); s.Forged != 2 {
		t.Errorf("%d are counted", s.Forged)
	}
	if _, err := call(t, a, "127.0.0.1", "bob", 1); err != nil {
		t.Errorf("bob at its own address: %v", err)
	}
	if _, err := call(t, a, "127.0.0.2", "newcomer", 1); err != nil {
		t.Errorf("one whom membership does not know yet: %v", err)
	}
	a.Update(nil) // found dead
	if _, err := call(t, a, "127.0.0.2", "bob", 1); err == nil {
		t.Error("bob, found dead, was answered at another address than its own")
	}
	if _, err := call(t, a, "127.0.0.1", "new\x1b[2J", 1); err == nil {
		t.Error("a name with control characters was answered")
	}
}

// Frames of callers that membership does not know are short: a thousand that are
// begun and never ended fit into the memory.
func TestStrangersBeginNoLongFrames(t *testing.T) {
	a := join(t, "alice", 1)
	begin := func(c net.Conn, size uint64) {
		t.Helper()
		if _, err := c.Write(append(protowire.AppendVarint(nil, size), make([]byte, 100)...)); err != nil {
			t.Fatal(err)
		}
	}
	ended := func(c *caller) bool {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err := io.Copy(io.Discard, c.Conn)
		return !errors.Is(err, os.ErrDeadlineExceeded)
	}
	stranger, err := call(t, a, "127.0.0.1", "mallory", 1)
	if err != nil {
		t.Fatal(err)
	}
	begin(stranger, 1<<20-1)
	if !ended(stranger) {
		t.Error("a frame of 1 MiB is waited for")
	}
	d := net.Dialer{}
	conn, err := d.DialContext(t.Context(), "tcp", a.here.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	nobody := &caller{conn, &bytesReader{conn}}
	begin(nobody, 4<<10)
	if !ended(nobody) {
		t.Error("a first frame of 4 KiB is waited for")
	}
	if s := a.Stats(); s.Oversized != 2 {
		t.Errorf("%d are counted", s.Oversized)
	}
}

// warnings collects what is logged.
type warnings struct {
	mu sync.Mutex
	bytes.Buffer
}

func (w *warnings) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Buffer.Write(b)
}

func (w *warnings) has(s string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.String(), s)
}

// setMark writes a mark into a state directory, as a version before would have
// on another's word.
func setMark(t *testing.T, state, bucket, author string, incarnation, seq uint64) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(state, "chat.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		key := binary.BigEndian.AppendUint64(append([]byte(author), 0), incarnation)
		return tx.Bucket([]byte(bucket)).Put(key, binary.BigEndian.AppendUint64(nil, seq))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A state directory in which an author is silenced for good is repaired: what
// can be told is, at start, and the rest when the author says what it has written.
func TestPoisonedStateIsRepaired(t *testing.T) {
	for name, test := range map[string]struct {
		bucket string
		spoke  int    // before, messages that are kept
		mark   uint64 // on disk
		logged string
	}{
		"a floor far beyond what is kept":             {"floor", 3, 1 << 63, "is not believed"},
		"a floor a bit beyond what is kept":           {"floor", 3, 40, "is not believed"},
		"an absurd floor of one of whom nothing is":   {"floor", 0, 1<<64 - 1, "is not believed"},
		"a floor of one of whom nothing is kept":      {"floor", 0, 40, "more was given up of a member than it has written"},
		"a beginning that will never come":            {"begin", 3, 1 << 63, "is not believed"},
		"a beginning beyond what the author has said": {"begin", 3, 40, ""},
	} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			carol, a := join(t, "carol", 1), joinWith(t, "alice", 1, chat.Options{State: state})
			meet(carol, a)
			for i := range test.spoke {
				if d, err := carol.SendAndWait(wait(t), fmt.Sprint("before ", i)); err != nil || len(d.Missing) > 0 {
					t.Fatalf("%+v, %v", d, err)
				}
			}
			if _, err := a.SendKept(wait(t), "this is on disk"); err != nil {
				t.Fatal(err)
			}
			carol.await(1)
			a.leave()
			setMark(t, state, test.bucket, "carol", 1, test.mark)
			log := new(warnings)
			a = joinWith(t, "alice", 2, chat.Options{State: state, Log: slog.New(slog.NewTextHandler(log, nil))})
			meet(carol, a)
			for i := range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				_, err := carol.SendAndWait(ctx, fmt.Sprint("after ", i))
				cancel()
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.Join(a.await(3), ", "); got != "after 0, after 1, after 2" {
				t.Errorf("shown: %q", got)
			}
			if !log.has(test.logged) {
				t.Errorf("the log says %q", log.String())
			}
			a.leave()
			log = new(warnings)
			a = joinWith(t, "alice", 3, chat.Options{State: state, Log: slog.New(slog.NewTextHandler(log, nil))})
			if log.has("is not believed") {
				t.Errorf("it is repaired again: %q", log.String())
			}
			if s := a.Stats().State; s != filepath.Join(state, "chat.db") {
				t.Errorf("kept in %s", s)
			}
		})
	}
}

// A message that names more bytes of writers than fits, or a member whose name
// cannot be written, keeps nobody from talking.
func TestAMemberThatCannotBeNamed(t *testing.T) {
	a, b := join(t, "alice", 1), join(t, "bob", 1)
	all := []chat.Presence{a.here, b.here}
	for _, name := range []string{strings.Repeat("x", 300), "not utf-8 \xff", "x/1/1"} {
		all = append(all, chat.Presence{Name: name, Addr: "127.0.0.1:1", Incarnation: 1})
	}
	a.Update(all)
	b.Update(all)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if d, err := a.SendAndWait(ctx, "hello"); err != nil || len(d.Acked) != 1 || len(d.Missing) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}
