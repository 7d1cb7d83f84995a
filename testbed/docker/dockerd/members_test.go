package dockerd

import (
	"net/netip"
	"slices"
	"strings"
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
		want Member
	}{
		{
			"this package's, stopped",
			api.Summary{
				State: api.StateExited, Status: "Exited (137) 3 seconds ago",
				Labels: map[string]string{ClusterLabel: "c", PeerLabel: "alice"}, Names: []string{"/peerlab-c-alice"},
				NetworkSettings: on("peerlab-c", &network.EndpointSettings{IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: addr}}),
			},
			true,
			Member{Origin: ByPeerlab, Cluster: "c", Network: "peerlab-c", Peer: testbed.Peer{Name: "alice", State: testbed.Stopped, Addr: addr, Exit: 137}},
		},
		{
			"of a run",
			api.Summary{
				State: api.StateRunning, Names: []string{"/peerlab-c-alice"}, NetworkSettings: on("peerlab-c", &network.EndpointSettings{IPAddress: addr}),
				Labels: map[string]string{ClusterLabel: "c", PeerLabel: "alice", OwnerLabel: "somebody"},
			},
			true,
			Member{Origin: ByRun, Cluster: "c", Network: "peerlab-c", Peer: testbed.Peer{Name: "alice", State: testbed.Running, Addr: addr}},
		},
		{
			"Compose's, paused",
			api.Summary{State: api.StatePaused, NetworkSettings: up, Labels: map[string]string{
				imageTitle: "peerlab", composeProject: "p", composeService: "bob",
			}},
			true,
			Member{Origin: ByCompose, Cluster: "p", Network: "net", Peer: testbed.Peer{Name: "bob", State: testbed.Paused, Addr: addr}},
		},
		{
			"started by hand",
			api.Summary{
				State: api.StateRunning, NetworkSettings: up, Command: "/peer run --name x",
				Labels: map[string]string{imageTitle: "peerlab"}, Names: []string{"/peerlab-charly"},
			},
			true,
			Member{Origin: ByHand, Cluster: "net", Network: "net", Peer: testbed.Peer{Name: "charly", State: testbed.Running, Addr: addr}},
		},
		{"another program in our image", api.Summary{Command: "/agent", NetworkSettings: up, Labels: map[string]string{imageTitle: "peerlab"}, Names: []string{"/x"}}, false, Member{}},
		{"a test's", api.Summary{Command: "/peer run", NetworkSettings: up, Labels: map[string]string{imageTitle: "peerlab", testcontainers: "true"}, Names: []string{"/x"}}, false, Member{}},
		{"docker compose run", api.Summary{Labels: map[string]string{imageTitle: "peerlab", composeProject: "p", composeService: "bob", composeOneOff: "True"}}, false, Member{}},
		{"somebody else's in a Compose project", api.Summary{Labels: map[string]string{composeProject: "p", composeService: "db"}}, false, Member{}},
		{
			"with the labels of its image",
			api.Summary{
				State: api.StateRunning, Labels: map[string]string{ClusterLabel: "c", PeerLabel: "alice"}, Names: []string{"/romantic_bell"},
			},
			false,
			Member{},
		},
		{"nothing known", api.Summary{}, false, Member{}},
	} {
		got := assemble([]api.Summary{test.s})
		if ours := len(got) == 1; ours != test.ours || ours && got[0] != test.want {
			t.Errorf("%s: %+v, want %t %+v", test.name, got, test.ours, test.want)
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
	var all []Member
	for i, name := range []string{"bob", "alice", "alice", "alice", "alice-2"} {
		all = append(all, Member{Cluster: "c", Peer: testbed.Peer{Name: name}, ID: name, Created: int64(10 - i)})
	}
	all = append(all, Member{Cluster: "d", Peer: testbed.Peer{Name: "alice"}})
	sortMembers(all)
	changed := giveOwnNames(all)
	var got []string
	for _, c := range all {
		got = append(got, c.Cluster+" "+c.Name)
	}
	if want := []string{"c alice", "c alice-3", "c alice-4", "c alice-2", "c bob", "d alice"}; !changed || !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if giveOwnNames(all) {
		t.Error("names are given a second time")
	}
}

// TestNetworkOfACluster has peers on networks beside that of their cluster, off
// it, and started by hand on it.
func TestNetworkOfACluster(t *testing.T) {
	// on lists networks, each with an address: one that was chosen ends with "!".
	on := func(s api.Summary, networks ...string) api.Summary {
		s.NetworkSettings = &api.NetworkSettingsSummary{Networks: make(map[string]*network.EndpointSettings)}
		for _, n := range networks {
			name, addr, _ := strings.Cut(n, " ")
			e := &network.EndpointSettings{IPAddress: netip.MustParseAddr(strings.TrimSuffix(addr, "!"))}
			if strings.HasSuffix(addr, "!") {
				e.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: e.IPAddress}
			}
			s.NetworkSettings.Networks[name] = e
		}
		s.State = api.StateRunning
		return s
	}
	ours := func(name string, networks ...string) api.Summary {
		return on(api.Summary{ID: name, Labels: map[string]string{ClusterLabel: "c", PeerLabel: name}, Names: []string{"/peerlab-c-" + name}}, networks...)
	}
	composed := func(name string, networks ...string) api.Summary {
		return on(api.Summary{ID: name, Labels: map[string]string{imageTitle: "peerlab", composeProject: "p", composeService: name}}, networks...)
	}
	hand := func(name string, networks ...string) api.Summary {
		return on(api.Summary{ID: name, Command: "/peer run", Labels: map[string]string{imageTitle: "peerlab"}, Names: []string{"/" + name}}, networks...)
	}
	for _, test := range []struct {
		name string
		all  []api.Summary
		want []string // cluster, name, network, address
	}{
		{
			"a second network, whose name sorts first",
			[]api.Summary{ours("alice", "a-monitor 10.1.0.2", "peerlab-c 10.0.0.11"), ours("bob", "peerlab-c 10.0.0.12")},
			[]string{"c alice peerlab-c 10.0.0.11", "c bob peerlab-c 10.0.0.12"},
		},
		{
			"of Compose, all on a second one",
			[]api.Summary{composed("alice", "a-monitor 10.1.0.2", "p_cluster 10.0.0.11!"), composed("bob", "a-monitor 10.1.0.3", "p_cluster 10.0.0.12!")},
			[]string{"p alice p_cluster 10.0.0.11", "p bob p_cluster 10.0.0.12"},
		},
		{
			"one was taken off",
			[]api.Summary{ours("alice", "peerlab-c 10.0.0.11"), ours("bob"), ours("charly", "a-monitor 10.1.0.2")},
			[]string{"c alice peerlab-c 10.0.0.11", "c bob peerlab-c off", "c charly peerlab-c off"},
		},
		{
			"by hand on the network of a cluster",
			[]api.Summary{ours("alice", "peerlab-c 10.0.0.11"), hand("zoe", "a-monitor 10.1.0.3", "peerlab-c 10.0.0.200"), composed("bob", "p_cluster 10.2.0.11!"), hand("yan", "p_cluster 10.2.0.3")},
			[]string{"c alice peerlab-c 10.0.0.11", "c zoe peerlab-c 10.0.0.200", "p bob p_cluster 10.2.0.11", "p yan p_cluster 10.2.0.3"},
		},
		{
			"all by hand",
			[]api.Summary{hand("zoe", "a-monitor 10.1.0.3", "net 10.0.0.2"), hand("yan", "net 10.0.0.3"), hand("nobody")},
			[]string{"net yan net 10.0.0.3", "net zoe net 10.0.0.2"},
		},
	} {
		var got []string
		for _, m := range assemble(test.all) {
			where := m.Addr.String()
			if m.OffNetwork != (m.Reason == testbed.NoNetwork) || m.OffNetwork == m.Addr.IsValid() {
				t.Errorf("%s: %+v", test.name, m)
			}
			if m.OffNetwork {
				where = "off"
			}
			got = append(got, strings.Join([]string{m.Cluster, m.Name, m.Network, where}, " "))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
