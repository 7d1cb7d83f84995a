package record

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/events"

	"peerlab/testbed"
)

func TestExternalEvents(t *testing.T) {
	const id = "1"
	o := newExternalEvents()
	var got []string
	hear := func(action events.Action, attributes ...string) {
		msg := events.Message{Action: action, TimeNano: 1, Actor: events.Actor{ID: id, Attributes: make(map[string]string)}}
		for i := 0; i < len(attributes); i += 2 {
			msg.Actor.Attributes[attributes[i]] = attributes[i+1]
		}
		if e, isExternal := o.Decode(msg, testbed.Peer{Name: "bob"}); isExternal {
			got = append(got, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Text, " ", e.Reason)))
		}
	}
	expect := func(what string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		got = nil
	}
	hear(events.ActionStart)
	hear(events.ActionPause)
	hear(events.ActionUnPause)
	hear(events.ActionUpdate)
	expect("one after the other", "lab.start", "lab.pause", "lab.resume", "lab.throttle")

	hear(events.ActionKill, "signal", "9")
	hear(events.ActionDie, "exitCode", "137")
	expect("killed", "lab.kill")
	hear(events.ActionKill, "signal", "15")
	hear(events.ActionKill, "signal", "9")
	hear(events.ActionDie, "exitCode", "137")
	expect("stopped, and did not obey", "lab.stop")
	hear(events.ActionKill, "signal", "1")
	expect("a signal that ends nothing")
	hear(events.ActionDie, "exitCode", "2")
	expect("ended by itself", "lab.exit 2")

	hear(events.ActionOOM)
	hear(events.ActionDie, "exitCode", "137")
	expect("took too much memory", "lab.exit 137 killed: out of memory")
	hear(events.ActionStart)
	hear(events.ActionDie, "exitCode", "137")
	expect("killed in another life", "lab.start", "lab.exit 137")
	hear(events.ActionOOM)
	hear(events.ActionDie, "exitCode", "2")
	expect("ended by itself after a line took too much", "lab.exit 2")
	hear(events.ActionOOM)
	hear(events.ActionKill, "signal", "9")
	hear(events.ActionDie, "exitCode", "137")
	expect("killed after a line took too much", "lab.kill")

	o.Expect(id, events.ActionDie)
	hear(events.ActionKill, "signal", "15")
	hear(events.ActionKill, "signal", "9")
	hear(events.ActionDie, "exitCode", "0")
	expect("this engine's doing")
	hear(events.ActionDie, "exitCode", "0")
	expect("not this engine's any more", "lab.exit 0")
	o.Expect(id, events.ActionPause)()
	hear(events.ActionPause)
	expect("what this engine tried in vain", "lab.pause")

	o.Mute()
	hear(events.ActionKill, "signal", "9")
	expect("at the end")
}
