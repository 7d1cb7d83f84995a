package membership_test

import (
	"io"
	"log"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
	"peerlab/peer/membership"
	"peerlab/peer/membership/memberlistconfig"
)

// held is a transport whose host takes the processor from it after each packet.
type held struct {
	*memberlist.NetTransport
	by time.Duration
}

func (h held) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	at, err := h.NetTransport.WriteToAddress(b, addr)
	time.Sleep(h.by)
	return at, err
}

// TestPingTakesTime has the answer come before memberlist notes that it sent
// the ping.
func TestPingTakesTime(t *testing.T) {
	transport, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
		BindAddrs: []string{"127.0.0.1"}, Logger: log.New(io.Discard, "", 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	conf, err := memberlistconfig.Configure("local", fast)
	if err != nil {
		t.Fatal(err)
	}
	m, err := membership.Create(membership.Options{
		Name: "alice", Config: conf, Transport: held{transport, 20 * time.Millisecond}, Events: event.NewLog("alice", 100),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Shutdown() })
	if took, err := m.Ping(t.Context(), "alice"); err != nil || took <= 0 {
		t.Errorf("a ping took %s, %v", took, err)
	}
}
