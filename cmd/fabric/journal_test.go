//go:build linux

package main

import (
	"bytes"
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
	j := startJournal(&out)
	j.add(fabric.Matrix{pair: {Drop: fabric.DropAll}}, at)
	j.add(nil, at.Add(time.Second))
	j.close()
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
