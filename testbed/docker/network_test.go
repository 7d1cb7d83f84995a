package docker

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/network"

	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/record"
)

func TestFree(t *testing.T) {
	at := func(s string) dockerd.Member { return dockerd.Member{Peer: testbed.Peer{Addr: netip.MustParseAddr(s)}} }
	in := func(config network.IPAMConfig, others ...string) network.Inspect {
		n := network.Inspect{Network: network.Network{Name: "net", IPAM: network.IPAM{Config: []network.IPAMConfig{config}}}, Containers: make(map[string]network.EndpointResource)}
		for _, o := range others {
			n.Containers[o] = network.EndpointResource{IPv4Address: netip.MustParsePrefix(o + "/24")}
		}
		return n
	}
	subnet := func(s string) network.IPAMConfig {
		p := netip.MustParsePrefix(s)
		return network.IPAMConfig{Subnet: p, Gateway: hostOf(p, 1)}
	}
	large := subnet("10.0.0.0/24")
	large.IPRange = netip.MustParsePrefix("10.0.0.192/26")
	for _, test := range []struct {
		name    string
		members []dockerd.Member
		n       network.Inspect
		last    string
		want    string
	}{
		{"above all", []dockerd.Member{at("10.0.0.12"), at("10.0.0.11"), {}}, in(large), "", "10.0.0.13"},
		{"after the last that was given", []dockerd.Member{at("10.0.0.12"), at("10.0.0.16")}, in(large), "10.0.0.13", "10.0.0.14"},
		{"not somebody else's", []dockerd.Member{at("10.0.0.12")}, in(large, "10.0.0.13"), "", "10.0.0.14"},
		{"not where others get theirs: from the beginning", []dockerd.Member{at("10.0.0.11"), at("10.0.0.191")}, in(large), "", "10.0.0.10"},
		{"where others get theirs, if peers are there", []dockerd.Member{at("10.0.0.200")}, in(large), "", "10.0.0.201"},
		{"not the broadcast address", []dockerd.Member{at("10.0.0.13"), at("10.0.0.14")}, in(subnet("10.0.0.0/28")), "", "10.0.0.10"},
		{"a range that begins late", []dockerd.Member{at("10.0.0.2")}, in(subnet("10.0.0.0/29")), "10.0.0.6", "10.0.0.3"},
		{"all are in use", []dockerd.Member{at("10.0.0.2")}, in(subnet("10.0.0.0/30")), "", ""},
	} {
		var last netip.Addr
		if test.last != "" {
			last = netip.MustParseAddr(test.last)
		}
		got, err := free(test.members, test.n, last)
		if (err == nil) != (test.want != "") || err == nil && got.String() != test.want {
			t.Errorf("%s: %s, %v, want %s", test.name, got, err, test.want)
		}
	}
	// A thousand moves in a small range.
	n, members := in(large), []dockerd.Member{at("10.0.0.11"), at("10.0.0.12"), at("10.0.0.13")}
	var last netip.Addr
	for i := range 1000 {
		addr, err := free(members, n, last)
		if err != nil || members[i%3].Addr == addr {
			t.Fatalf("move %d: %s, %v", i, addr, err)
		}
		members[i%3].Addr, last = addr, addr
	}
}

func TestRangeForOthers(t *testing.T) {
	for _, test := range []struct {
		subnet string
		peers  int
		want   string
	}{
		{"10.78.0.0/24", 5, "10.78.0.192/26"},
		{"172.20.0.0/16", 1000, "172.20.192.0/18"},
		{"10.0.0.0/22", 1000, "invalid Prefix"},
		{"10.78.0.0/28", 2, "invalid Prefix"},
	} {
		if got := rangeForOthers(netip.MustParsePrefix(test.subnet), test.peers); got.String() != test.want {
			t.Errorf("%s, %d peers: %s, want %s", test.subnet, test.peers, got, test.want)
		}
	}
}

// TestAddressOfAStranger refuses links of an address that somebody else has.
func TestAddressOfAStranger(t *testing.T) {
	members := []dockerd.Member{{ID: "1", Peer: testbed.Peer{Name: "alice", Addr: netip.MustParseAddr("10.0.0.11")}}}
	n := network.Inspect{Containers: map[string]network.EndpointResource{"1": {IPv4Address: netip.MustParsePrefix("10.0.0.11/24")}}}
	if err := record.CheckAddresses(members, n); err != nil {
		t.Error(err)
	}
	n.Containers = map[string]network.EndpointResource{"2": {Name: "db", IPv4Address: netip.MustParsePrefix("10.0.0.11/24")}}
	if err := record.CheckAddresses(members, n); err == nil || !errors.Is(err, testbed.ErrUnable) || !strings.Contains(err.Error(), "db has the address of alice") {
		t.Errorf("%v", err)
	}
}

func TestLinkToAPeerOffTheNetwork(t *testing.T) {
	members := []dockerd.Member{
		{ID: "alice", Network: "peerlab-c", Peer: testbed.Peer{Name: "alice", Addr: netip.MustParseAddr("10.0.0.11"), State: testbed.Running}},
		{ID: "bob", Network: "peerlab-c", OffNetwork: true, Peer: testbed.Peer{Name: "bob", State: testbed.Running, Reason: testbed.NoNetwork}},
	}
	if _, err := matrix(links(t, "alice -> bob drop=all"), members); err == nil || !strings.Contains(err.Error(), "docker network connect peerlab-c bob") {
		t.Errorf("a link to one who was taken off: %v", err)
	}
}
