package observe

import "peerlab/event"

// numbered gives events the numbers that their peers would.
func numbered(events []event.Event) []event.Event {
	last := make(map[string]uint64)
	for i := range events {
		e := &events[i]
		if e.Kind == event.PeerStarted {
			last[e.Peer] = 0
		}
		last[e.Peer]++
		e.Seq = last[e.Peer]
	}
	return events
}
