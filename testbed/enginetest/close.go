package enginetest

import (
	"context"
	"errors"
	"io"
	"testing"

	"peerlab/event"
	"peerlab/testbed"
)

func closeCases() []testCase {
	return []testCase{
		{"a closed cluster does nothing more, and its history ends", true, func(c *cluster) {
			c.must(c.Start(c.ctx, testbed.Bootstrap, "alice"))
			c.awaitEvent(0, "alice is ready", about("alice", event.PeerReady, ""))
			c.must(c.Close(c.ctx))
			for what, err := range map[string]error{
				"start": c.Start(c.ctx, "bob"), "kill": c.Kill(c.ctx, "alice"), "links": c.SetLinks(c.ctx, c.links("alice -> bob drop=all")),
				"exec": c.Exec(c.ctx, "alice", "members", testbed.Input{}, io.Discard),
			} {
				if err == nil {
					c.t.Errorf("%s works in a closed cluster", what)
				}
			}
			for n := 0; ; {
				events, err := c.History().Read(c.ctx, n)
				if err != nil {
					if !errors.Is(err, testbed.ErrClosed) {
						c.t.Errorf("%v", err)
					}
					return
				}
				n += len(events)
			}
		}},
	}
}

// testRefusals has the engine refuse clusters that cannot be, before anything
// starts.
func testRefusals(t *testing.T, host Host) {
	for what, spec := range map[string]testbed.Spec{
		"a name twice":             {Peers: []string{"a", "a"}},
		"a name that is none":      {Peers: []string{"A"}},
		"a setting that is none":   {Peers: []string{"a"}, Settings: map[string]string{"profil": "lan"}},
		"a value that is none":     {Peers: []string{"a"}, Settings: map[string]string{"profile": "moon"}},
		"a field of memberlist":    {Peers: []string{"a", "b"}, Own: map[string]map[string]string{"b": {"set": "SuspicionMult=x"}}},
		"settings of nobody":       {Peers: []string{"a"}, Own: map[string]map[string]string{"b": {}}},
		"what the engine chooses":  {Peers: []string{"a"}, Settings: map[string]string{"bind": "0.0.0.0:1"}},
		"where the engine listens": {Peers: []string{"a"}, Own: map[string]map[string]string{"a": {"chat-bind": "0.0.0.0:1"}}},
	} {
		t.Run("refuses "+what, func(t *testing.T) {
			host(t, func(ctx context.Context, f testbed.Factory) {
				e, err := f.Create(ctx, spec)
				if err != nil {
					return
				}
				t.Error("it is accepted")
				if err := e.Close(context.WithoutCancel(ctx)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
