package terminal_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/creack/pty"

	"peerlab/internal/terminal"
)

func TestWriter(t *testing.T) {
	const hostile = "é \x1b]0;x\a\x1b[2J\r" + "\u009b1A\u202e" + "\x1b[31mred\x1b[0m \x1b[3"
	const want = "é \ufffd]0;x\ufffd\ufffd[2J\ufffd" + "\ufffd1A\ufffd" + "\x1b[31mred\x1b[0m \ufffd[3"
	// However it is cut.
	for size := 1; size <= len(hostile); size++ {
		var out strings.Builder
		w := terminal.NewWriter(&out)
		for rest := hostile; rest != ""; rest = rest[min(size, len(rest)):] {
			part := rest[:min(size, len(rest))]
			if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := w.Flush(); err != nil || out.String() != want {
			t.Errorf("in pieces of %d: %q, %v, want %q", size, out.String(), err, want)
		}
	}
	broken := terminal.NewWriter(failing{})
	if n, err := broken.Write([]byte("x")); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Error(n, err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestGuard(t *testing.T) {
	var b strings.Builder
	if w, _ := terminal.Guard(&b); w != io.Writer(&b) || terminal.Raw(w) != io.Writer(&b) {
		t.Error("a buffer is guarded")
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if w, _ := terminal.Guard(file); w != io.Writer(file) {
		t.Error("a file is guarded")
	}
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	defer slave.Close()
	w, flush := terminal.Guard(slave)
	if _, ok := w.(*terminal.Writer); !ok || terminal.Raw(w) != io.Writer(slave) || flush() != nil {
		t.Errorf("a terminal gets a %T", w)
	}
}

func FuzzWriter(f *testing.F) {
	f.Add("a\x1b[2J\x1b[31m\xff", 3)
	f.Fuzz(func(t *testing.T, s string, size int) {
		if size < 1 {
			size = 1
		}
		var out strings.Builder
		w := terminal.NewWriter(&out)
		for rest := s; rest != ""; rest = rest[min(size, len(rest)):] {
			_, _ = w.Write([]byte(rest[:min(size, len(rest))]))
		}
		_ = w.Flush()
		if out.String() != terminal.CleanPainted(s) {
			t.Errorf("%q in pieces of %d: %q, want %q", s, size, out.String(), terminal.CleanPainted(s))
		}
	})
}
