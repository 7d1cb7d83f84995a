package chat_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"peerlab/event"
	"peerlab/peer/chat"
)

// perLife is how many messages the author sends in a life: in 21 lives, however
// fast the disk is, fewer than a chat keeps for those who come later.
const perLife = chat.DefaultHistory / 25

// author is what the test binary becomes in a process that is to be killed: a
// chat that sends as fast as the disk takes it, and tells what it was promised.
func author(state string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	c := chat.Join(chat.Options{Name: "author", Incarnation: 1, Listener: l, Events: event.NewLog("author", 10), State: state})
	fmt.Println("listen", c.Announcement(l.Addr().String()))
	for i := range perLife {
		text := fmt.Sprintf("%d of %d", i, os.Getpid())
		if _, err := c.SendKept(context.Background(), text); err != nil {
			panic(err)
		}
		fmt.Println("kept", text)
	}
	select {}
}

const authorState = "PEERLAB_CHAT_AUTHOR_STATE"

// startAuthor starts that process.
func startAuthor(t *testing.T, state string) (*exec.Cmd, *bufio.Scanner, chat.Presence) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), authorState+"="+state)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	addr, incarnation, ok := chat.Announced(strings.TrimPrefix(lines.Text(), "listen "))
	if !ok {
		t.Fatalf("the author says %q", lines.Text())
	}
	return cmd, lines, chat.Presence{Name: "author", Addr: addr, Incarnation: incarnation}
}

// What is acknowledged as kept survives kill -9 of its author: it is delivered,
// once, after the restart.
func TestKeptSurvivesKill(t *testing.T) {
	state := t.TempDir()
	var promised []string
	for range 20 {
		cmd, lines, _ := startAuthor(t, state)
		for end := rand.IntN(perLife); lines.Scan(); end-- {
			promised = append(promised, strings.TrimPrefix(lines.Text(), "kept "))
			if end == 0 {
				_ = cmd.Process.Kill() // what it had promised until then is still in the pipe
			}
		}
		_ = cmd.Wait()
	}
	// A reader that has been there all the time, but could not be reached.
	reader := joinWith(t, "reader", 1, chat.Options{})
	reader.Update([]chat.Presence{{Name: "other", Addr: "127.0.0.1:1", Incarnation: 1}})
	if _, err := reader.Send(t.Context(), "here"); err != nil {
		t.Fatal(err)
	}
	old := joinWith(t, "old", 1, chat.Options{})
	meet(reader, old) // settles where the conversation begins
	if _, err := old.SendAndWait(wait(t), "hello"); err != nil {
		t.Fatal(err)
	}
	cmd, _, here := startAuthor(t, state)
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	reader.Update([]chat.Presence{here, old.here})
	times := make(map[string]int)
	for _, text := range reader.until(func(texts []string) bool { return containsAll(texts, promised) }) {
		times[text]++
	}
	for _, text := range promised {
		if times[text] != 1 {
			t.Errorf("%q came %d times", text, times[text])
		}
	}
	t.Logf("%d messages were acknowledged in 20 lives", len(promised))
}

func containsAll(have, want []string) bool {
	in := make(map[string]bool, len(have))
	for _, s := range have {
		in[s] = true
	}
	return !slices.ContainsFunc(want, func(s string) bool { return !in[s] })
}

// A peer that comes back with its state gets what it missed and shows nothing
// of before again; its new ids are new.
func TestBackWithState(t *testing.T) {
	state := t.TempDir()
	a, b := joinWith(t, "a", 1, chat.Options{}), joinWith(t, "b", 7, chat.Options{State: state})
	meet(a, b)
	if _, err := a.SendAndWait(wait(t), "one"); err != nil {
		t.Fatal(err)
	}
	first, err := b.SendKept(wait(t), "of b")
	if err != nil {
		t.Fatal(err)
	}
	a.await(1)
	b.leave()
	a.Update(nil)
	if _, err := a.Send(t.Context(), "two"); err != nil {
		t.Fatal(err)
	}
	b = joinWith(t, "b", 3, chat.Options{State: state}) // a clock that went back
	if b.here.Incarnation != 8 {
		t.Fatalf("the new life is number %d", b.here.Incarnation)
	}
	meet(a, b)
	if got := b.await(1); got[0] != "two" {
		t.Errorf("b shows %q", got)
	}
	second, err := b.SendKept(wait(t), "of b, again")
	if err != nil || second.Incarnation != 8 || second == first {
		t.Errorf("ids %v and %v, %v", first, second, err)
	}
	if got := a.await(2); got[1] != "of b, again" {
		t.Errorf("a shows %q", got)
	}
	if s := b.Stats(); s.State != filepath.Join(state, "chat.db") {
		t.Errorf("kept in %s", s.State)
	}
}

// The history on disk is bounded as that in memory is.
func TestStateIsTrimmed(t *testing.T) {
	state := t.TempDir()
	limits := chat.Limits{History: 20, Horizon: 40}
	a := joinWith(t, "a", 1, chat.Options{State: state, Limits: limits})
	for i := range 500 {
		if _, err := a.SendKept(wait(t), strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	a.leave()
	a = joinWith(t, "a", 2, chat.Options{State: state, Limits: limits})
	if s := a.Stats(); s.Kept == 0 || s.Kept > 40 {
		t.Errorf("%d messages are kept", s.Kept)
	}
	if _, err := a.SendKept(wait(t), "goes on"); err != nil {
		t.Error(err)
	}
}
