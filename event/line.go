package event

import (
	"fmt"
	"strings"

	"peerlab/terminal"
)

// Line returns an event as people read it, on one line that is safe on a
// terminal: its local time, the peer, the kind, and every other field that is
// set. Encode is for programs.
func Line(e Event) string {
	words := []string{e.Time.Local().Format("15:04:05.000"), fmt.Sprintf("%-10s %-16s", e.Peer, e.Kind)}
	add := func(format, value string) {
		if value != "" {
			words = append(words, fmt.Sprintf(format, value))
		}
	}
	add("%s", e.Key)
	add("%s", e.Member)
	add("%s", e.Addr)
	add("was %s", e.Was)
	if e.Health != 0 || e.Kind == PeerHealth {
		words = append(words, fmt.Sprintf("health %d", e.Health))
	}
	count := func(format string, n uint64) {
		if n != 0 {
			words = append(words, fmt.Sprintf(format, n))
		}
	}
	count("incarnation %d", uint64(e.Incarnation))
	count("life %d", e.Life)
	count("version %d", e.Version)
	count("%d members", uint64(max(e.Members, 0)))
	count("%d messages", e.Messages)
	count("%d dropped", e.Dropped)
	count("%d packets", e.Packets)
	count("%d streams", e.Streams)
	count("%d bytes", e.Bytes)
	add("digest %s", e.Digest)
	add("via %s", e.Via)
	add("%s", e.URL)
	add("shell %s", e.Shell)
	add("%s", e.Message)
	add("%s", e.Text)
	add("%s", e.Reason)
	add("%s", e.Error)
	return terminal.Line(strings.TrimRight(strings.Join(words, "  "), " "))
}
