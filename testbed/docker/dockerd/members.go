package dockerd

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"peerlab/testbed"
)

// Labels of what peerlab creates. Compose sets its own, and the image
// brings one that says what it is.
const (
	ClusterLabel = "peerlab.cluster"
	PeerLabel    = "peerlab.peer"
	AdapterLabel = "peerlab.adapter"
	RunLabel     = "peerlab.run"    // the call of Create it comes from
	OwnerLabel   = "peerlab.owner"  // the process it must not outlive
	TuningLabel  = "peerlab.tuning" // of a network: what was changed on its host

	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
	composeOneOff  = "com.docker.compose.oneoff"
	imageTitle     = "org.opencontainers.image.title"
	testcontainers = "org.testcontainers"
)

// The containers beside a cluster's: its agent and the probes. They carry the
// label of the cluster and are removed with it.
const (
	HelperLabel    = "peerlab.helper"
	AgentHelper    = "agent"
	ProbeHelper    = "probe"
	FeaturesHelper = "features" // beside none
)

// AgentName names the container of the agent of a network, by the beginning of its id.
func AgentName(lab string) string { return "peerlab-fabric-" + lab }

// Member is one container of a cluster.
type Member struct {
	testbed.Peer
	ID         string // of the container
	Cluster    string
	Network    string // the name of the cluster's network
	OffNetwork bool   // the container is no longer on that network
	Adapter    string // the name of the peer's kind, "" for ours
	Created    int64  // when the container was made, in Unix time
	Origin     Origin
}

// NetworkName names the network of a cluster that peerlab makes and, with a peer's
// name, its containers.
func NetworkName(cluster string) string {
	if strings.HasPrefix(cluster, "peerlab") {
		return cluster
	}
	return "peerlab-" + cluster
}

// classify recognizes a container of a cluster, however it was started: by
// this package, by Compose, or by hand with one of our images. What was started
// by hand is told by byHand, and its cluster by the network it is on.
func classify(s api.Summary) (c Member, byHand, ours bool) {
	c = Member{ID: s.ID, Adapter: s.Labels[AdapterLabel], Created: s.Created}
	if c.State = StateOf(s.State); c.State == testbed.Stopped {
		_, _ = fmt.Sscanf(s.Status, "Exited (%d)", &c.Exit)
	}
	switch {
	case s.Labels[HelperLabel] != "":
		return c, false, false
	case s.Labels[ClusterLabel] != "":
		c.Cluster, c.Name = s.Labels[ClusterLabel], s.Labels[PeerLabel]
		if c.Origin = ByPeerlab; s.Labels[OwnerLabel] != "" {
			c.Origin = ByRun
		}
		// An image can bring the labels, but not the name of its container.
		if len(s.Names) > 0 && !slices.Contains(s.Names, "/"+NetworkName(c.Cluster)+"-"+c.Name) {
			return c, false, false
		}
	case s.Labels[imageTitle] != "peerlab" || s.Labels[testcontainers] != "" || s.Labels[composeOneOff] == "True":
		return c, false, false // somebody else's, or a test's
	case s.Labels[composeProject] != "":
		c.Cluster, c.Name, c.Origin = s.Labels[composeProject], s.Labels[composeService], ByCompose
	case !strings.HasPrefix(s.Command, "/peer run") && !strings.HasPrefix(s.Command, "/bootstrap"):
		return c, false, false // our image, with another program in it
	default:
		c.Origin = ByHand
		if len(s.Names) > 0 {
			name := strings.TrimPrefix(s.Names[0], "/")
			c.Name = strings.TrimPrefix(name, "peerlab-")
		}
		return c, true, c.Name != ""
	}
	return c, false, c.Cluster != "" && c.Name != ""
}

// StateOf returns what the process of a container does.
func StateOf(state api.ContainerState) testbed.State {
	switch state {
	case api.StateRunning, api.StateRestarting:
		return testbed.Running
	case api.StatePaused:
		return testbed.Paused
	}
	return testbed.Stopped
}

// AddrOf returns the address of a container on a network, or the one that it has
// when it runs.
func AddrOf(e *network.EndpointSettings) netip.Addr {
	if !e.IPAddress.IsValid() && e.IPAMConfig != nil {
		return e.IPAMConfig.IPv4Address
	}
	return e.IPAddress
}

// networksOf returns what a container is on, by name.
func networksOf(s api.Summary) map[string]*network.EndpointSettings {
	if s.NetworkSettings == nil {
		return nil
	}
	return s.NetworkSettings.Networks
}

// assemble returns the members of all clusters. A cluster has one network: other
// networks that its members are on, for somebody else's purposes, do not count. A
// peer that was started by hand is of the cluster whose network it is on, and
// without such a one of a cluster that is called like its network.
func assemble(all []api.Summary) (members []Member) {
	type member struct {
		Member
		on map[string]*network.EndpointSettings
	}
	var found, byHand []member
	shared := make(map[string]map[string]int) // members by cluster and network
	handShared := make(map[string]int)        // those started by hand, by network
	for _, s := range all {
		c, hand, ours := classify(s)
		if !ours {
			continue
		}
		m := member{c, networksOf(s)}
		if hand {
			byHand = append(byHand, m)
			for name := range m.on {
				handShared[name]++
			}
			continue
		}
		if shared[c.Cluster] == nil {
			shared[c.Cluster] = make(map[string]int)
		}
		if s.Labels[ClusterLabel] != "" {
			shared[c.Cluster][""]++ // this package made it
		}
		for name, e := range m.on {
			shared[c.Cluster][name] += 2
			if e != nil && e.IPAMConfig != nil && e.IPAMConfig.IPv4Address.IsValid() {
				shared[c.Cluster][name]++ // somebody chose the address
			}
		}
		found = append(found, m)
	}
	networks, clusters := make(map[string]string), make(map[string]string) // of a cluster, and of a network
	for cluster, count := range shared {
		name := most(count)
		if count[""] > 0 {
			name = NetworkName(cluster)
		}
		networks[cluster] = name
		clusters[name] = cluster
	}
	delete(clusters, "")
	for _, m := range byHand {
		count := make(map[string]int)
		for name := range m.on {
			count[name] = handShared[name]
			if clusters[name] != "" {
				count[name] = len(all) + 1
			}
		}
		name := most(count)
		if name == "" {
			continue // it is nobody's
		}
		if m.Cluster = clusters[name]; m.Cluster == "" {
			m.Cluster = name
		}
		if _, known := networks[m.Cluster]; !known {
			networks[m.Cluster] = name
		}
		found = append(found, m)
	}
	for _, m := range found {
		m.Network = networks[m.Cluster]
		e, on := m.on[m.Network]
		if m.OffNetwork = !on; m.OffNetwork && m.State != testbed.Stopped {
			m.Reason = testbed.NoNetwork
		}
		if e != nil {
			m.Addr = AddrOf(e)
		}
		members = append(members, m.Member)
	}
	sortMembers(members)
	if giveOwnNames(members) {
		sortMembers(members)
	}
	return members
}

// most returns the name that counts most, of several the first in the alphabet.
func most(count map[string]int) (name string) {
	for _, one := range slices.Sorted(maps.Keys(count)) {
		if name == "" || count[one] > count[name] {
			name = one
		}
	}
	return name
}

// List returns the containers of one cluster, or of all with "": the bootstrap
// service first, then by name.
func (d *Daemon) List(ctx context.Context, cluster string) ([]Member, error) {
	all, err := d.API.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	return slices.DeleteFunc(assemble(all.Items), func(c Member) bool { return cluster != "" && c.Cluster != cluster }), nil
}

func sortMembers(all []Member) {
	slices.SortFunc(all, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), compareNames(a.Name, b.Name), cmp.Compare(a.Created, b.Created), cmp.Compare(a.ID, b.ID))
	})
}

// giveOwnNames calls the second of two members of one name, as containers that
// were started by hand can have, by its name and 2, and so on: what is asked of
// one is not done to another. It reports whether there were such.
func giveOwnNames(sorted []Member) (changed bool) {
	type key struct{ cluster, name string }
	taken, seen := make(map[key]bool, len(sorted)), make(map[key]bool, len(sorted))
	for _, c := range sorted {
		taken[key{c.Cluster, c.Name}] = true
	}
	for i := range sorted {
		c := &sorted[i]
		first := key{c.Cluster, c.Name}
		if !seen[first] {
			seen[first] = true
			continue
		}
		for n := 2; taken[key{c.Cluster, c.Name}]; n++ {
			c.Name = fmt.Sprintf("%s-%d", first.name, n)
		}
		taken[key{c.Cluster, c.Name}], changed = true, true
	}
	return changed
}

// compareNames puts the bootstrap service first and peer9 before peer10.
func compareNames(a, b string) int {
	rank := func(name string) int {
		if name == testbed.Bootstrap {
			return 0
		}
		return 1
	}
	numbered := func(name string) int { return strings.IndexAny(name, "0123456789") }
	c := cmp.Compare(rank(a), rank(b))
	if i := numbered(a); c == 0 && i > 0 && i == numbered(b) && a[:i] == b[:i] {
		c = cmp.Compare(len(a), len(b))
	}
	return cmp.Or(c, cmp.Compare(a, b))
}

// Clusters returns the names of the clusters there are, running or not.
func (d *Daemon) Clusters(ctx context.Context) ([]string, error) {
	all, err := d.List(ctx, "")
	return ClusterNames(all), err
}

// ClusterNames returns the names of the clusters of sorted members.
func ClusterNames(all []Member) (names []string) {
	for _, c := range all {
		names = append(names, c.Cluster)
	}
	return slices.Compact(names)
}

// NetworkOf returns the network of a cluster, "" if none of its members is on it.
func NetworkOf(members []Member) string {
	for _, m := range members {
		if !m.OffNetwork && m.Network != "" {
			return m.Network
		}
	}
	return ""
}

// NamesByAddr returns who has which address.
func NamesByAddr(members []Member) map[netip.Addr]string {
	names := make(map[netip.Addr]string, len(members))
	for _, m := range members {
		names[m.Addr] = m.Name
	}
	return names
}
