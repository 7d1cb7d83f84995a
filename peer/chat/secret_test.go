package chat_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/peer/chat"
	"peerlab/peer/chat/encryption"
)

const (
	// As openssl rand -base64 32 makes them.
	oldSecret = "q0E8iNvSxzJm2TtK4v7bY1uWcRHgLd5PfAoZ3nXkVwM="
	newSecret = "7hGkPzB1cXr9TqYwU4sJvN0aMfE6LdR2oKiWtC8xHbQ="
	// Long enough for a former version, and to be accepted until it is replaced.
	shortSecret = "correct horse battery"
)

func secret(t *testing.T, secrets ...string) *encryption.Secret {
	t.Helper()
	all, err := encryption.ParseSecrets([]byte(strings.Join(secrets, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	s, err := encryption.NewSecret(all...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSecretKeepsStrangersOut(t *testing.T) {
	a := joinWith(t, "a", 1, chat.Options{Secret: secret(t, oldSecret)})
	b := joinWith(t, "b", 1, chat.Options{Secret: secret(t, oldSecret)})
	none := joinWith(t, "none", 1, chat.Options{})
	other := joinWith(t, "other", 1, chat.Options{Secret: secret(t, newSecret)})
	meet(a, b, none, other)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	d, err := a.SendAndWait(ctx, "among us")
	if _, ok := d.Acked["b"]; err != nil || !ok || len(d.Acked) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, r := range []*room{none, other} {
		_, _ = r.Send(t.Context(), "from outside")
		events, _ := r.events.Since(0)
		for _, e := range events {
			if e.Kind == event.ChatDelivered {
				t.Errorf("%s learned %q", r.here.Name, e.Text)
			}
		}
	}
	if _, err := b.SendAndWait(ctx, "undisturbed"); err != nil {
		t.Fatal(err)
	}
	if got := a.await(1); got[0] != "undisturbed" {
		t.Errorf("a shows %q", got)
	}
	deadline := time.Now().Add(20 * time.Second)
	for a.Stats().Strangers == 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if a.Stats().Strangers == 0 {
		t.Error("nobody was refused")
	}
}

// Who knows the secret is known by name: it cannot say hello as another.
func TestNameIsBoundToTheKey(t *testing.T) {
	a := joinWith(t, "a", 1, chat.Options{Secret: secret(t, oldSecret)})
	mallory := joinWith(t, "mallory", 1, chat.Options{Secret: secret(t, oldSecret)})
	// At the address of b, mallory answers.
	a.Update([]chat.Presence{{Name: "b", Addr: mallory.here.Addr, Incarnation: 1}})
	if _, err := a.Ping(wait(t), "b"); err == nil || !strings.Contains(err.Error(), "mallory answers") {
		t.Errorf("ping: %v", err)
	}
}

// What passes the wire says nothing of what is said, nor by whom.
func TestNothingInTheClear(t *testing.T) {
	a := joinWith(t, "alice", 1, chat.Options{Secret: secret(t, oldSecret)})
	b := joinWith(t, "bob-the-reader", 1, chat.Options{Secret: secret(t, oldSecret)})
	var wire tap
	through := wire.proxy(t, b.here.Addr)
	a.Update([]chat.Presence{{Name: "bob-the-reader", Addr: through, Incarnation: 1}})
	b.Update([]chat.Presence{a.here})
	if d, err := a.SendAndWait(wait(t), "the plan is set"); err != nil || len(d.Acked) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	wire.mu.Lock()
	defer wire.mu.Unlock()
	if len(wire.seen) < 500 {
		t.Fatalf("the tap saw %d bytes", len(wire.seen))
	}
	for _, word := range []string{"the plan", "alice", "bob-the-reader", oldSecret} {
		if bytes.Contains(wire.seen, []byte(word)) {
			t.Errorf("%q passed in the clear", word)
		}
	}
}

// tap copies what passes through it.
type tap struct {
	mu   sync.Mutex
	seen []byte
}

func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, b...)
	return len(b), nil
}

func (p *tap) proxy(t *testing.T, to string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer in.Close()
				out, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer out.Close()
				defer context.AfterFunc(t.Context(), func() { _ = in.Close(); _ = out.Close() })()
				var back sync.WaitGroup
				back.Go(func() { _, _ = io.Copy(io.MultiWriter(in, p), out); _ = in.Close() })
				_, _ = io.Copy(io.MultiWriter(out, p), in)
				_ = out.Close()
				back.Wait()
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	return l.Addr().String()
}

// The secret changes at one peer after the other while they talk.
func TestRotationLosesNothing(t *testing.T) {
	names := []string{"a", "b", "c"}
	rooms, secrets := make([]*room, 3), make([]*encryption.Secret, 3)
	for i, name := range names {
		secrets[i] = secret(t, oldSecret)
		rooms[i] = joinWith(t, name, 1, chat.Options{Secret: secrets[i]})
	}
	meet(rooms...)
	sent := 0
	talk := func() {
		for _, r := range rooms {
			if d, err := r.SendAndWait(wait(t), "hello"); err != nil || len(d.Acked) != 2 {
				t.Fatalf("%+v, %v", d, err)
			}
			sent++
		}
	}
	talk()
	for _, phase := range [][]string{{oldSecret, newSecret}, {newSecret, oldSecret}, {newSecret}} {
		for i := range rooms {
			var all [][]byte
			for _, s := range phase {
				all = append(all, []byte(s))
			}
			if err := secrets[i].Set(all...); err != nil {
				t.Fatal(err)
			}
			// Connections made anew have to agree too.
			others := append(append([]*room{}, rooms[:i]...), rooms[i+1:]...)
			for _, o := range others {
				if _, err := rooms[i].Ping(wait(t), o.here.Name); err != nil {
					t.Fatalf("with %v: %v", phase, err)
				}
			}
			talk()
		}
	}
	for _, r := range rooms {
		if got := len(r.await(sent * 2 / 3)); got != sent*2/3 {
			t.Errorf("%s shows %d messages of %d", r.here.Name, got, sent*2/3)
		}
	}
	// Who has only the old one is a stranger now.
	late := joinWith(t, "late", 1, chat.Options{Secret: secret(t, oldSecret)})
	late.Update([]chat.Presence{rooms[0].here})
	if _, err := late.Ping(wait(t), "a"); err == nil {
		t.Error("the old secret still opens the door")
	}
}

// Somebody with a certificate of his own authority is not let in.
func TestForeignCertificate(t *testing.T) {
	a := joinWith(t, "a", 1, chat.Options{Secret: secret(t, oldSecret)})
	conn, err := tls.Dial("tcp", a.here.Addr, &tls.Config{InsecureSkipVerify: true})
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err = conn.Read(make([]byte, 1)); err == nil {
			t.Error("answered without a certificate")
		}
		_ = conn.Close()
	}
	a.leave() // which waits until it has seen to the connection
	if a.Stats().Strangers != 1 {
		t.Errorf("%+v", a.Stats())
	}
}

func TestParseSecrets(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "short": 0, "\n\n": 0, oldSecret: 1, oldSecret + "\n": 1, "\r\n " + oldSecret + " \r\n\n" + newSecret: 2, oldSecret + "\nshort": 0,
		// The first one signs, and what it signs can be guessed at.
		shortSecret: 0, shortSecret + "\n" + newSecret: 0, newSecret + "\n" + shortSecret: 2,
		newSecret[:31]: 0, newSecret[:32]: 1, newSecret + "\n" + shortSecret[:16]: 2, newSecret + "\n" + shortSecret[:15]: 0,
	} {
		got, err := encryption.ParseSecrets([]byte(text))
		if (err == nil) != (want > 0) || err == nil && len(got) != want {
			t.Errorf("%q: %d secrets, %v", text, len(got), err)
		}
		if err != nil && strings.Contains(err.Error(), "short") {
			t.Errorf("the error tells the secret: %v", err)
		}
		if err != nil && !strings.Contains(err.Error(), "openssl rand -base64 32") {
			t.Errorf("%q: the error does not say what to do: %v", text, err)
		}
	}
}
