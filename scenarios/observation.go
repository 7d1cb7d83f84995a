package scenarios

import (
	"peerlab/event"
	"peerlab/observe"
	"peerlab/observe/theory"
	"peerlab/testbed"
)

// world is the cluster as far as its history has been read.
type world struct {
	engine testbed.Engine
	beside *beside // the files that lines for peers can name
	view   *observe.View
	events []event.Event
	live   []bool          // whether the peer ran as far as known when this event was read
	up     map[string]bool // those that have been started, and have not ended since
	from   int             // where conditions on events count from
	mail   *mail           // of the chat, from when a condition wants to know
	model  theory.Model    // what theory knows the cluster by
}

// update is an event together with what it changed.
type update struct {
	event  event.Event
	change observe.Change
	live   bool // whether its peer ran as far as known
}

func newWorld(e testbed.Engine, b *beside, m theory.Model) *world {
	return &world{engine: e, beside: b, view: observe.NewView(), up: map[string]bool{}, model: m}
}

// add takes the next event.
func (w *world) add(e event.Event) update {
	u := update{event: e, live: e.Kind == event.PeerStarted || w.view.Runs(e.Peer)}
	u.change = w.view.Add(e)
	w.live = append(w.live, u.live)
	w.events = append(w.events, e)
	switch e.Kind {
	case testbed.LabStart:
		w.up[e.Member] = true
	case testbed.LabStop, testbed.LabKill:
		w.up[e.Member] = false
	case event.PeerStopping:
		w.up[e.Peer] = false
	}
	if w.mail != nil {
		w.mail.take(w, e)
	}
	return u
}

// mark has conditions on events count from here.
func (w *world) mark() { w.from = len(w.events) }
