//go:build linux

package shell

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Whatever is typed, the shell neither panics nor stops reading: readline has
// keys that do both.
func FuzzSession(f *testing.F) {
	for _, keys := range []string{
		"echo a\rnote b\r" + up + up + down + ctrlR + "ec" + ctrlR + "\x13\x13" + right + "\r",
		ctrlR + "\x07" + ctrlR + "x\x08\x08\r" + ctrlR + ctrlA + ctrlE + up + "\r",
		"a\x14\x14\x00\x1a" + deleteKey + deleteKey + ctrlA + deleteKey,
		"\t\t\tr\t\t " + left + "\t日本語\t" + left + left + "\x1bd\x1b\x7f\x1bf\x1bb\x15\x19\x19\x0b\x17\x19",
		"wait\r\x03wait\rabc\x03" + ctrlC + ctrlC,
		"\x1b[200~echo a\r\x1b[200~\t\x03\x1b[201",
		"\x1b", "\x1b[1;", "\x1bO", "\xe2\x82", "\x0c\x0c'", "history\rhistory 2\rclear\rhelp\r",
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhh" + left + left + ctrlA + "\x1bf" + ctrlE + "\x08",
	} {
		f.Add(keys)
	}
	f.Fuzz(func(t *testing.T, keys string) {
		if len(keys) > 1000 { // the terminal holds 4096 bytes that nobody has read
			t.Skip()
		}
		survives(t, keys)
	})
}

// TestRandomKeys does the same with what a fuzzer is slow to come upon: many
// keys that mean something.
func TestRandomKeys(t *testing.T) {
	words := []string{
		"a", "note ", "wait", "rtt ", "chat ", "日本", "€", "'", "\r", "\r", "\t", "\t", up, up, down, left, left, right, right,
		ctrlA, ctrlC, ctrlE, ctrlG, ctrlL, ctrlR, ctrlR, "\x13", "\x08", "\x7f", "\x0b", "\x15", "\x17", "\x19", "\x00", "\x14", "\x1a",
		deleteKey, "\x1bd", "\x1bf", "\x1bb", "\x1b\x7f", "\x1b", "\x1b[200~", "\x1b[201~", "\xe2\x82", strings.Repeat("long ", 20),
	}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		var keys strings.Builder
		for range 60 {
			keys.WriteString(words[r.IntN(len(words))])
		}
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { survives(t, keys.String()) })
	}
}

// survives types keys into a shell and makes sure that it takes a line after.
func survives(t *testing.T, keys string) {
	t.Helper()
	p := newPeer(t)
	w := open(t, Options{Peer: Local("alice", &p.registry, p.log)})
	w.shows("alice> ▏")
	w.keys(keys)
	w.keys("\x1b[201~" + ctrlG + ctrlC + ctrlC)
	timeout := time.After(10 * time.Second)
	for {
		select {
		case err := <-w.done: // Ctrl-D or exit was among the keys
			w.done <- err
			if err != nil {
				t.Errorf("the shell ended with %v", err)
			}
			return
		case line := <-p.lines:
			if line == "alive" {
				return
			}
		case <-time.After(50 * time.Millisecond): // the last may have been dropped by Ctrl-C
			w.keys("\x15note alive\r")
		case <-timeout:
			w.mu.Lock()
			defer w.mu.Unlock()
			t.Fatalf("after %q the shell does not read any more:\n%s", keys, w.screen)
		}
	}
}
