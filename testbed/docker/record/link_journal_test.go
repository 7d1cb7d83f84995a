package record

import (
	"encoding/binary"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// logOf returns a log of a container, as Docker frames it.
func logOf(text string) io.Reader {
	frame := make([]byte, 8, 8+len(text))
	frame[0] = 1 // standard output
	binary.BigEndian.PutUint32(frame[4:], uint32(len(text)))
	return strings.NewReader(string(frame) + text)
}

// TestAgentTellsOfLinksOnly reads what an agent wrote, and more.
func TestAgentTellsOfLinksOnly(t *testing.T) {
	change := func(seq uint64, kind event.Kind, text string) string {
		return string(event.Event{Time: time.Unix(1, 0), Seq: seq, Peer: testbed.Lab, Kind: kind, Text: text}.Encode())
	}
	text := change(1, testbed.LabKill, "") + change(1, testbed.LabCut, "10.0.0.1 -> 10.0.0.2 drop=all") + "what\n" +
		strings.Repeat("x", maxChange+1) + "\n" + change(2, testbed.LabHeal, "") + change(9, testbed.LabHeal, "")
	names := func() map[netip.Addr]string { return nil }
	var got []string
	err := decodeLinkChanges(logOf(text), names,
		func(links testbed.Links, _ time.Time) { got = append(got, string(links.Kind())) },
		func(err error) { got = append(got, err.Error()) })
	if err != nil || !matches(got, []string{"no change of links", "lab.cut", "lab.heal", "change 9 of links came after 2", "lab.heal"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// TestAgentTellsOfNoChange reads what an agent wrote of links that stayed as they
// were: they got a lease, a peer moved, and what was healthy was healed.
func TestAgentTellsOfNoChange(t *testing.T) {
	var text string
	for i, links := range []string{"", "10.0.0.1 -> 10.0.0.2 drop=all", "10.0.0.1 -> 10.0.0.2 drop=all", "10.0.0.1 -> 10.0.0.3 drop=all", "", ""} {
		parsed, err := testbed.ParseLinks(links)
		if err != nil {
			t.Fatal(err)
		}
		text += string(event.Event{Time: time.Unix(1, 0), Seq: uint64(i + 1), Peer: testbed.Lab, Kind: parsed.Kind(), Text: links}.Encode())
	}
	names := func() map[netip.Addr]string {
		return map[netip.Addr]string{
			netip.MustParseAddr("10.0.0.1"): "alice", netip.MustParseAddr("10.0.0.2"): "bob", netip.MustParseAddr("10.0.0.3"): "bob",
		}
	}
	var got []string
	err := decodeLinkChanges(logOf(text), names,
		func(links testbed.Links, _ time.Time) { got = append(got, links.String()) },
		func(err error) { got = append(got, err.Error()) })
	if err != nil || !slices.Equal(got, []string{"alice -> bob drop=all", ""}) {
		t.Errorf("%q, %v", got, err)
	}
}
