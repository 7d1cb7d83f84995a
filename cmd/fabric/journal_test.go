//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/fabric"
)

func TestJournal(t *testing.T) {
	pair := fabric.Pair{From: netip.MustParseAddr("10.0.0.1"), To: netip.MustParseAddr("10.0.0.2")}
	at := time.Now()
	var out bytes.Buffer
	q := newOutputQueue(&out)
	j := journal{out: q}
	j.add(fabric.Matrix{pair: {Drop: fabric.DropAll}}, at)
	j.add(nil, at.Add(time.Second))
	q.close()
	var got []event.Event
	for line := range strings.Lines(out.String()) {
		e, err := event.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 2 || got[0].Kind != testbed.LabCut || got[0].Text != "10.0.0.1 -> 10.0.0.2 drop=all" || !got[0].Time.Equal(at) || got[0].Peer != testbed.Lab {
		t.Fatalf("%+v", got)
	}
	if got[1].Kind != testbed.LabHeal || got[1].Text != "" || got[1].Seq != 2 {
		t.Errorf("%+v", got[1])
	}
}

// TestJournalLosesChanges has nobody read for a while: the numbers show that
// changes are lost.
func TestJournalLosesChanges(t *testing.T) {
	unread, out := io.Pipe()
	q := newOutputQueue(out)
	j := journal{out: q}
	for range 2 * queuedLines {
		j.add(nil, time.Now())
	}
	lines := json.NewDecoder(unread)
	next := func() (e event.Event) {
		if err := lines.Decode(&e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	if seq := next().Seq; seq != 1 {
		t.Errorf("the first change is %d", seq)
	}
	next() // now there is room
	j.add(nil, time.Now())
	last := next().Seq
	for last < 2*queuedLines {
		last = next().Seq
	}
	if last != 2*queuedLines+1 {
		t.Errorf("the change after those that are lost is %d, want %d", last, 2*queuedLines+1)
	}
	q.close()
}
