package record

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
)

// reportedLine is an event line of a peer x: the seq-th of one of its lives.
func reportedLine(life, seq int) string {
	kind := event.MemberUpdate
	if seq == 1 {
		kind = event.PeerStarted
	}
	at := time.Date(2026, 1, 2, life, 0, seq, 0, time.UTC)
	return string(bytes.TrimSpace(event.Event{Time: at, Seq: uint64(seq), Peer: "x", Kind: kind}.Encode()))
}

// decoderOf decodes for a peer alice, and notes the numbers of its events and
// what is wrong.
func decoderOf(t *testing.T, got *[]string) *outputDecoder {
	t.Helper()
	d, err := newOutputDecoder("alice", "",
		func(e event.Event) {
			if e.Peer != "alice" || strings.HasPrefix(string(e.Kind), "lab.") {
				t.Errorf("an event of %s: %s", e.Peer, e.Kind)
			}
			*got = append(*got, fmt.Sprint(e.Seq))
		},
		func(err error) { *got = append(*got, err.Error()) })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// matches reports whether each of got contains what is wanted in its place.
func matches(got, want []string) bool {
	same := len(got) == len(want)
	for i := 0; same && i < len(got); i++ {
		same = strings.Contains(got[i], want[i])
	}
	return same
}

// TestOrderOfEvents hands a decoder what Docker has when it has dropped the
// beginning of a log, or tells a part of it twice.
func TestOrderOfEvents(t *testing.T) {
	line := reportedLine
	for _, test := range []struct {
		name  string
		lines []string
		want  []string // numbers of events, and what is wrong
	}{
		{"in order, two lives", []string{line(1, 1), line(1, 2), line(2, 1), line(2, 2)}, []string{"1", "2", "1", "2"}},
		{"the beginning is lost", []string{line(1, 635), line(1, 636)}, []string{"begins with event 635", "635", "636"}},
		{"some are lost", []string{line(1, 1), line(1, 5), line(1, 6)}, []string{"1", "event 5 came after 1", "5", "6"}},
		{
			"some come twice",
			[]string{line(1, 1), line(1, 2), line(1, 3), line(1, 1), line(1, 2), line(1, 3), line(1, 4)},
			[]string{"1", "2", "3", "event 1 came again", "refused, too: 2", "4"},
		},
		{"a life begins without its start", []string{line(1, 1), line(2, 7)}, []string{"1", "event 7 came after 1", "7"}},
	} {
		var got []string
		d := decoderOf(t, &got)
		for _, line := range test.lines {
			d.line([]byte(line))
		}
		d.endRefused()
		if !matches(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestReadAgain reads the output again after its reading broke off.
func TestReadAgain(t *testing.T) {
	line := reportedLine
	before := []string{line(1, 1), line(1, 2), line(2, 1), line(2, 2)}
	for _, test := range []struct {
		name        string
		again, want []string
	}{
		{"all is there still", append(slices.Clone(before), line(2, 3)), []string{"3"}},
		{"the end is there", []string{line(2, 2), line(2, 3), line(3, 1)}, []string{"3", "1"}},
		{"the last one was dropped", []string{line(2, 3)}, []string{"3"}},
		{"more was dropped", []string{line(2, 5), line(2, 6)}, []string{"event 5 came after 2", "5", "6"}},
		{"another life has begun", []string{line(3, 1), line(3, 2)}, []string{"1", "2"}},
		{"nothing new", before, nil},
		{"not to be understood", []string{"what", line(2, 2), "what", line(2, 3)}, []string{"parse event line", "3"}},
	} {
		var got []string
		d := decoderOf(t, &got)
		for _, line := range before {
			d.line([]byte(line))
		}
		if since := d.resume(); !since.Equal(time.Date(2026, 1, 2, 2, 0, 2, 0, time.UTC)) {
			t.Errorf("reads again since %s", since)
		}
		got = nil
		for _, line := range test.again {
			d.line([]byte(line))
		}
		d.endRefused()
		if !matches(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// FuzzOutput hands a decoder any bytes, in pieces of any size.
func FuzzOutput(f *testing.F) {
	f.Add([]byte(reportedLine(1, 1)+"\n"+reportedLine(1, 2)+"\nwhat\n"), uint16(7))
	f.Add([]byte(`{"t":"2026-01-02T03:04:05Z","seq":1,"peer":"lab","kind":"lab.kill","member":"bob"}`+"\n"), uint16(1))
	f.Fuzz(func(t *testing.T, output []byte, piece uint16) {
		var whole, inPieces []string
		for _, side := range []struct {
			got  *[]string
			size int
		}{{&whole, len(output)}, {&inPieces, int(piece)}} {
			d := decoderOf(t, side.got)
			w := lineWriter{line: d.line, long: d.long}
			for rest, size := output, max(side.size, 1); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				_, _ = w.Write(rest[:min(size, len(rest))])
			}
			d.endRefused()
		}
		if !slices.Equal(whole, inPieces) {
			t.Errorf("at once %q, in pieces %q", whole, inPieces)
		}
	})
}
