package docker

import (
	"net/netip"
	"slices"
	"testing"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"peerlab/testbed"
)

func TestClassify(t *testing.T) {
	addr := netip.MustParseAddr("10.77.0.11")
	on := func(name string, e *network.EndpointSettings) *api.NetworkSettingsSummary {
		return &api.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{name: e}}
	}
	up := on("net", &network.EndpointSettings{IPAddress: addr})
	for _, test := range []struct {
		name string
		s    api.Summary
		ours bool
		want container
	}{
		{
			"this package's, stopped",
			api.Summary{
				State: api.StateExited, Status: "Exited (137) 3 seconds ago",
				Labels: map[string]string{clusterLabel: "c", peerLabel: "alice"}, Names: []string{"/peerlab-c-alice"},
				NetworkSettings: on("net", &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: addr}}),
			},
			true,
			container{origin: ByPeerlab, cluster: "c", network: "net", Peer: testbed.Peer{Name: "alice", State: testbed.Stopped, Addr: addr, Exit: 137}},
		},
		{
			"of a run",
			api.Summary{
				State: api.StateRunning, Names: []string{"/peerlab-c-alice"}, NetworkSettings: up,
				Labels: map[string]string{clusterLabel: "c", peerLabel: "alice", ownerLabel: "somebody"},
			},
			true,
			container{origin: ByRun, cluster: "c", network: "net", Peer: testbed.Peer{Name: "alice", State: testbed.Running, Addr: addr}},
		},
		{
			"Compose's, paused",
			api.Summary{State: api.StatePaused, NetworkSettings: up, Labels: map[string]string{
				imageTitle: "peerlab", composeProject: "p", composeService: "bob",
			}},
			true,
			container{origin: ByCompose, cluster: "p", network: "net", Peer: testbed.Peer{Name: "bob", State: testbed.Paused, Addr: addr}},
		},
		{
			"started by hand",
			api.Summary{
				State: api.StateRunning, NetworkSettings: up, Command: "/peer run --name x",
				Labels: map[string]string{imageTitle: "peerlab"}, Names: []string{"/peerlab-charly"},
			},
			true,
			container{origin: ByHand, cluster: "net", network: "net", Peer: testbed.Peer{Name: "charly", State: testbed.Running, Addr: addr}},
		},
		{"another program in our image", api.Summary{Command: "/agent", NetworkSettings: up, Labels: map[string]string{imageTitle: "peerlab"}, Names: []string{"/x"}}, false, container{}},
		{"a test's", api.Summary{Command: "/peer run", NetworkSettings: up, Labels: map[string]string{imageTitle: "peerlab", testcontainers: "true"}, Names: []string{"/x"}}, false, container{}},
		{"docker compose run", api.Summary{Labels: map[string]string{imageTitle: "peerlab", composeProject: "p", composeService: "bob", composeOneOff: "True"}}, false, container{}},
		{"somebody else's in a Compose project", api.Summary{Labels: map[string]string{composeProject: "p", composeService: "db"}}, false, container{}},
		{
			"with the labels of its image",
			api.Summary{
				State: api.StateRunning, Labels: map[string]string{clusterLabel: "c", peerLabel: "alice"}, Names: []string{"/romantic_bell"},
			},
			false,
			container{},
		},
		{"nothing known", api.Summary{}, false, container{}},
	} {
		got, ours := classify(test.s)
		if ours != test.ours || ours && got != test.want {
			t.Errorf("%s: %t %+v, want %t %+v", test.name, ours, got, test.ours, test.want)
		}
	}
}

func TestOrder(t *testing.T) {
	names := append(testbed.Names(28), testbed.Bootstrap, "peer100", "peer9")
	slices.Reverse(names)
	slices.SortFunc(names, compareNames)
	if names[0] != testbed.Bootstrap || !slices.IsSortedFunc(names, compareNames) ||
		slices.Index(names, "peer9") > slices.Index(names, "peer27") || slices.Index(names, "peer27") > slices.Index(names, "peer100") {
		t.Errorf("%q", names)
	}
}

// TestOneNameForOne gives members that have one name names of their own.
func TestOneNameForOne(t *testing.T) {
	var all []container
	for i, name := range []string{"bob", "alice", "alice", "alice", "alice-2"} {
		all = append(all, container{cluster: "c", Peer: testbed.Peer{Name: name}, id: name, created: int64(10 - i)})
	}
	all = append(all, container{cluster: "d", Peer: testbed.Peer{Name: "alice"}})
	sortMembers(all)
	changed := giveOwnNames(all)
	var got []string
	for _, c := range all {
		got = append(got, c.cluster+" "+c.Name)
	}
	if want := []string{"c alice", "c alice-3", "c alice-4", "c alice-2", "c bob", "d alice"}; !changed || !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if giveOwnNames(all) {
		t.Error("names are given a second time")
	}
}

func TestFree(t *testing.T) {
	at := func(s string) container { return container{Peer: testbed.Peer{Addr: netip.MustParseAddr(s)}} }
	got, err := free([]container{at("10.0.0.12"), at("10.0.0.255"), at("10.0.0.11"), {}})
	if err != nil || got.String() != "10.0.1.0" {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := free([]container{{}}); err == nil {
		t.Error("there is a free address where nobody has one")
	}
}
