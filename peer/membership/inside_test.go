package membership

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
)

// create makes a membership on a network of its own that sends nothing.
func create(t *testing.T, o Options) *Membership {
	t.Helper()
	conf := memberlist.DefaultLANConfig()
	conf.GossipInterval, conf.ProbeInterval, conf.PushPullInterval = 0, 0, 0
	var network memberlist.MockNetwork
	o.Name, o.Config, o.Transport = "me", conf, network.NewTransport("me")
	if o.Events == nil {
		o.Events = event.NewLog(o.Name, 10_000)
	}
	m, err := Create(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// memberlist panics when it is asked to leave after its shutdown. A farewell
// that has begun and comes to memberlist too late must not end the process.
func TestAFarewellThatComesTooLate(t *testing.T) {
	m := create(t, Options{})
	if err := m.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if err := m.leave(time.Second); !errors.Is(err, errShutDown) {
		t.Errorf("error %v", err)
	}
}
