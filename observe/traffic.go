package observe

import (
	"maps"
	"slices"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// Traffic is what one life of a peer's membership sent, by its own account: the
// last that it gave.
type Traffic struct {
	Peer     string
	Time     time.Duration // from its start until then
	Messages uint64        // packets and connections
	Bytes    uint64
}

// Traffics returns the traffic of each life of each peer that gave an account.
func Traffics(events []event.Event) []Traffic {
	var all []Traffic
	began := make(map[string]time.Time)
	last := make(map[string]Traffic)
	before := make(map[string]Traffic) // of the layers that were shut down
	end := func(peer string) {
		if t, ok := last[peer]; ok && t.Time > 0 {
			all = append(all, t)
		}
		delete(last, peer)
		delete(before, peer)
	}
	for _, e := range testbed.Sorted(events) {
		switch e.Kind {
		case event.PeerStarted:
			end(e.Peer)
			began[e.Peer] = e.Time
		case event.MemberJoin:
			if e.Member == e.Peer && e.Was == "" { // a new layer, which counts from zero
				before[e.Peer] = last[e.Peer]
			}
		case event.PeerTraffic:
			at, ok := began[e.Peer]
			if !ok {
				break
			}
			base := before[e.Peer]
			now := Traffic{e.Peer, e.Time.Sub(at), base.Messages + e.Packets + e.Streams, base.Bytes + e.Bytes}
			last[e.Peer] = now
		}
	}
	for _, peer := range slices.Sorted(maps.Keys(last)) {
		end(peer)
	}
	return all
}

func measureTraffic(r *Record) Measured {
	var m Measured
	messages, bytes := Figure{Name: "messages", Unit: "/s"}, Figure{Name: "bytes", Unit: "B/s"}
	for _, t := range Traffics(r.Events) {
		messages.Values = append(messages.Values, float64(t.Messages)/t.Time.Seconds())
		bytes.Values = append(bytes.Values, float64(t.Bytes)/t.Time.Seconds())
	}
	if len(messages.Values) == 0 {
		m.note("no peer gave an account of its traffic")
		return m
	}
	m.Figures = append(m.Figures, messages, bytes)
	return m
}
