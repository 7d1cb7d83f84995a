package peer_test

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/peer"
)

// One packet of a stranger, with a clock that no cluster can have come to,
// leaves the broadcast map of a cluster as it was, and the peer shows it.
func TestAStrangersPacketDoesNotStopBroadcasts(t *testing.T) {
	s := startService(t, 3)
	peers := cluster(t, s, "alice", "bob")
	alice, bob := peers[0], peers[1]

	msg := binary.AppendUvarint([]byte{8, 'k', 1, 0}, 1<<62)
	msg = binary.AppendUvarint(msg, 1)
	for _, text := range []string{"motd", "mallory", "x"} {
		msg = append(append(msg, byte(len(text))), text...)
	}
	type shown struct {
		Addr       string
		Broadcasts struct{ Refused uint64 }
	}
	show := func(p *running) (v shown) {
		t.Helper()
		if err := json.Unmarshal([]byte(p.mustExec("membership show -format json")), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	conn, err := net.Dial("udp", show(alice).Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	deadline := time.Now().Add(30 * time.Second)
	for show(alice).Broadcasts.Refused == 0 {
		if _, err := conn.Write(msg); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("the record is not counted as refused")
		}
		time.Sleep(10 * time.Millisecond) // between two packets
	}
	if out := alice.mustExec("membership show"); !strings.Contains(out, "broadcast map: records refused") {
		t.Errorf("membership show says nothing of it:\n%s", out)
	}
	for _, p := range []*running{alice, bob} {
		p.mustExec("broadcast add motd " + p.Name())
		p.mustExec("broadcast del motd")
	}
}

// --max-members reaches membership.
func TestMaxMembers(t *testing.T) {
	s := startService(t, 3)
	conf := config("alice", s)
	conf.MaxMembers = 1
	alice := start(t, conf)
	alice.awaitKind(event.PeerReady, "")
	start(t, config("bob", s)).awaitKind(event.MemberJoin, "alice")
	// bob may have taken alice in before she has looked at what he claims.
	out := alice.mustExec("membership show")
	for end := time.Now().Add(30 * time.Second); strings.Contains(out, "claims of members refused 0") && time.Now().Before(end); {
		out = alice.mustExec("membership show")
	}
	if strings.Contains(out, "claims of members refused 0") || !strings.Contains(out, "1 online") {
		t.Errorf("a peer of one member shows:\n%s", out)
	}
	conf.MaxMembers = -1
	if _, err := peer.New(conf); err == nil || !strings.Contains(err.Error(), "use 1 or more") {
		t.Errorf("error %v", err)
	}
}
