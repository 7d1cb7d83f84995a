package record

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"testing"
)

// TestLongLines writes lines of any length in pieces and wants memory and time
// that do not grow with them: what is copied is counted.
func TestLongLines(t *testing.T) {
	const size = 96 << 20
	var before, after runtime.MemStats
	var lines []string
	w := lineWriter{line: func(line []byte) { lines = append(lines, string(line)) }}
	write := func(text string) {
		if n, err := io.WriteString(&w, text); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
	}
	piece := bytes.Repeat([]byte("x"), 16<<10)
	write("first\nsec")
	runtime.ReadMemStats(&before)
	write("ond\n")
	for range size / len(piece) {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	write("\nthird\n")
	runtime.ReadMemStats(&after)
	if want := []string{"first", "second", "third"}; !slices.Equal(lines, want) {
		t.Errorf("%d lines, want %q", len(lines), want)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("a line of %d MB took %d MB of memory", size>>20, took>>20)
	}
}
