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
	live   []bool // whether the peer ran as far as known when this event was read
	from   int    // where conditions on events count from
}

func newWorld(e testbed.Engine) *world { return &world{engine: e, view: observe.NewView()} }

func (w *world) add(e event.Event) {
	w.live = append(w.live, e.Kind == event.PeerStarted || w.view.Runs(e.Peer))
	w.view.Add(e)
	w.events = append(w.events, e)
}

// mark has conditions on events count from here.
func (w *world) mark() { w.from = len(w.events) }
