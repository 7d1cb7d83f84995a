package scenarios

import (
	"peerlab/event"
	"peerlab/observe"
	"peerlab/testbed"
)

// world is the cluster as far as its history has been read.
type world struct {
	engine testbed.Engine
	view   *observe.View
	events []event.Event
	live   []bool          // whether the peer ran as far as known when this event was read
	up     map[string]bool // those that have been started, and have not ended since
	from   int             // where conditions on events count from
}

func newWorld(e testbed.Engine) *world {
	return &world{engine: e, view: observe.NewView(), up: map[string]bool{}}
}

func (w *world) add(e event.Event) {
	w.live = append(w.live, e.Kind == event.PeerStarted || w.view.Runs(e.Peer))
	w.view.Add(e)
	w.events = append(w.events, e)
	switch e.Kind {
	case testbed.LabStart:
		w.up[e.Member] = true
	case testbed.LabStop, testbed.LabKill:
		w.up[e.Member] = false
	case event.PeerStopping:
		w.up[e.Peer] = false
	}
}

// mark has conditions on events count from here.
func (w *world) mark() { w.from = len(w.events) }
