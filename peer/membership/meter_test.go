package membership

import (
	"io"
	"log"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
)

func TestMeterCountsWhatPasses(t *testing.T) {
	quiet := log.New(io.Discard, "", 0)
	open := func() *netTransport {
		transport, err := listen(t.Context(), "127.0.0.1:0", quiet)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = transport.Shutdown() })
		return transport
	}
	from, to := open(), open()
	ip, port, err := to.FinalAdvertiseAddr("", 0)
	if err != nil {
		t.Fatal(err)
	}
	addr := memberlist.Address{Addr: net.JoinHostPort(ip.String(), strconv.Itoa(port))}
	m := &meter{NodeAwareTransport: from}
	counted := func(packets, streams, bytes uint64) {
		t.Helper()
		if m.packets.Load() != packets || m.streams.Load() != streams || m.bytes.Load() != bytes {
			t.Errorf("%d packets, %d streams, %d bytes; want %d, %d, %d",
				m.packets.Load(), m.streams.Load(), m.bytes.Load(), packets, streams, bytes)
		}
	}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(m.WriteToAddress(make([]byte, 100), addr))
	<-to.PacketCh()
	must(m.WriteTo(make([]byte, 20), addr.Addr))
	<-to.PacketCh()
	counted(2, 0, 120)
	if _, err := m.WriteTo(make([]byte, 70_000), addr.Addr); err == nil {
		t.Fatal("a packet of 70,000 bytes was sent")
	}
	counted(2, 0, 120)

	conn, err := m.DialAddressTimeout(addr, 10*time.Second)
	must(conn, err)
	defer conn.Close()
	accepted := <-to.StreamCh()
	defer accepted.Close()
	must(conn.Write(make([]byte, 30)))
	must(accepted.Write(make([]byte, 7)))
	must(io.ReadFull(conn, make([]byte, 7)))
	counted(2, 1, 157)
	_ = to.Shutdown()
	if _, err := m.DialTimeout(addr.Addr, 10*time.Second); err == nil {
		t.Fatal("nobody listens, and it was dialed")
	}
	counted(2, 1, 157)
}

func TestPeersTellTheirTraffic(t *testing.T) {
	logs := make(map[string]*event.Log)
	members := make(map[string]*Membership)
	for _, name := range []string{"a", "b"} {
		conf := memberlist.DefaultLocalConfig()
		logs[name] = event.NewLog(name, 1000)
		var err error
		if members[name], err = Create(Options{Name: name, Config: conf, Bind: "127.0.0.1:0", Events: logs[name]}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := members["a"].Join(t.Context(), []string{members["b"].Addr()}); err != nil {
		t.Fatal(err)
	}
	for name, m := range members {
		if err := m.Shutdown(); err != nil {
			t.Fatal(err)
		}
		events, _ := logs[name].Since(0)
		last := events[len(events)-1]
		if name == "a" && (last.Kind != event.PeerTraffic || last.Streams != 1 || last.Bytes == 0) {
			t.Errorf("the last that a tells is %s", last.Encode())
		}
	}
}
