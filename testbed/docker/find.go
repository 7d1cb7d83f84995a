package docker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/nearest"
	"peerlab/testbed"
)

// Labels of what this package creates. Compose sets its own, and the image
// brings one that says what it is.
const (
	clusterLabel = "peerlab.cluster"
	peerLabel    = "peerlab.peer"
	adapterLabel = "peerlab.adapter"
	runLabel     = "peerlab.run"   // the call of Create it comes from
	ownerLabel   = "peerlab.owner" // the process it must not outlive

	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
	composeOneOff  = "com.docker.compose.oneoff"
	imageTitle     = "org.opencontainers.image.title"
	testcontainers = "org.testcontainers"
)

// container is one member of a cluster.
type container struct {
	testbed.Peer
	id      string
	cluster string
	network string // the cluster's, by name
	adapter string // how it is spoken to, "" as our own
	created int64  // Unix time
	origin  Origin
}

// classify recognises a container of a cluster, however it was started: by
// this package, by Compose, or by hand with one of our images.
func classify(s api.Summary) (c container, ours bool) {
	c = container{id: s.ID, adapter: s.Labels[adapterLabel], created: s.Created}
	if s.NetworkSettings != nil {
		if names := slices.Sorted(maps.Keys(s.NetworkSettings.Networks)); len(names) > 0 {
			c.network = names[0]
			n := s.NetworkSettings.Networks[c.network]
			c.Addr = n.IPAddress
			if !c.Addr.IsValid() && n.IPAMConfig != nil {
				c.Addr = n.IPAMConfig.IPv4Address // it does not run
			}
		}
	}
	switch s.State {
	case api.StateRunning, api.StateRestarting:
		c.State = testbed.Running
	case api.StatePaused:
		c.State = testbed.Paused
	default:
		c.State = testbed.Stopped
		_, _ = fmt.Sscanf(s.Status, "Exited (%d)", &c.Exit)
	}
	switch {
	case s.Labels[helperLabel] != "":
		return c, false
	case s.Labels[clusterLabel] != "":
		c.cluster, c.Name = s.Labels[clusterLabel], s.Labels[peerLabel]
		if c.origin = ByPeerlab; s.Labels[ownerLabel] != "" {
			c.origin = ByRun
		}
		// An image can bring the labels, but not the name of its container.
		if len(s.Names) > 0 && !slices.Contains(s.Names, "/"+networkName(c.cluster)+"-"+c.Name) {
			return c, false
		}
	case s.Labels[imageTitle] != "peerlab" || s.Labels[testcontainers] != "" || s.Labels[composeOneOff] == "True":
		return c, false // somebody else's, or a test's
	case s.Labels[composeProject] != "":
		c.cluster, c.Name, c.origin = s.Labels[composeProject], s.Labels[composeService], ByCompose
	case !strings.HasPrefix(s.Command, "/peer run") && !strings.HasPrefix(s.Command, "/bootstrap"):
		return c, false // our image, with another program in it
	default:
		c.cluster, c.origin = c.network, ByHand
		if len(s.Names) > 0 {
			name := strings.TrimPrefix(s.Names[0], "/")
			c.Name = strings.TrimPrefix(name, "peerlab-")
		}
	}
	return c, c.cluster != "" && c.Name != ""
}

// list returns the containers of one cluster, or of all with "": the bootstrap
// service first, then by name.
func (d *Daemon) list(ctx context.Context, cluster string) ([]container, error) {
	all, err := d.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var found []container
	for _, s := range all.Items {
		if c, ours := classify(s); ours && (cluster == "" || c.cluster == cluster) {
			found = append(found, c)
		}
	}
	sortMembers(found)
	if giveOwnNames(found) {
		sortMembers(found)
	}
	return found, nil
}

func sortMembers(all []container) {
	slices.SortFunc(all, func(a, b container) int {
		return cmp.Or(cmp.Compare(a.cluster, b.cluster), compareNames(a.Name, b.Name), cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
	})
}

// giveOwnNames calls the second of two members of one name, as containers that
// were started by hand can have, by its name and 2, and so on: what is asked of
// one is not done to another. It reports whether there were such.
func giveOwnNames(sorted []container) (changed bool) {
	type key struct{ cluster, name string }
	taken, seen := make(map[key]bool, len(sorted)), make(map[key]bool, len(sorted))
	for _, c := range sorted {
		taken[key{c.cluster, c.Name}] = true
	}
	for i := range sorted {
		c := &sorted[i]
		first := key{c.cluster, c.Name}
		if !seen[first] {
			seen[first] = true
			continue
		}
		for n := 2; taken[key{c.cluster, c.Name}]; n++ {
			c.Name = fmt.Sprintf("%s-%d", first.name, n)
		}
		taken[key{c.cluster, c.Name}], changed = true, true
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
	all, err := d.list(ctx, "")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range all {
		names = append(names, c.cluster)
	}
	return slices.Compact(names), nil
}

// Find returns the cluster of that name, however it was started, or with ""
// the only one there is. Closing it changes nothing in the cluster. Without
// such a cluster the error is ErrNone, with several to choose from ErrSeveral.
func (d *Daemon) Find(ctx context.Context, name string) (*Cluster, error) {
	flag := name
	names, err := d.Clusters(ctx)
	switch {
	case err != nil:
		return nil, err
	case name == "" && len(names) == 1:
		name = names[0]
	case len(names) == 0:
		return nil, fmt.Errorf("%w: there is none here: start one with peerlab up", ErrNone)
	case name == "":
		return nil, fmt.Errorf("%w: choose one with --cluster: %s", ErrSeveral, strings.Join(names, ", "))
	case !slices.Contains(names, name):
		hint := "there are " + strings.Join(names, ", ")
		if near := nearest.To(name, names); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, ", ") + "?"
		}
		return nil, fmt.Errorf("%w as %q: %s", ErrNone, name, hint)
	}
	c := newCluster(d, name)
	c.flag = flag
	return c, nil
}

// pick returns the containers with these names, or ErrNoPeer.
func (c *Cluster) pick(ctx context.Context, names []string) ([]container, error) {
	if err := c.wires.news(); err != nil {
		return nil, err
	}
	all, err := c.daemon.list(ctx, c.name)
	if err != nil {
		return nil, err
	}
	known := make([]string, len(all))
	for i, one := range all {
		known[i] = one.Name
	}
	var picked []container
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		at := slices.Index(known, name)
		if at < 0 {
			return nil, testbed.NoPeer(name, known)
		}
		picked = append(picked, all[at])
	}
	return picked, nil
}

// free returns an address nobody in the cluster has, and none below what
// somebody has: so it is new to those that know where peers were.
func free(members []container) (netip.Addr, error) {
	var highest netip.Addr
	for _, m := range members {
		if m.Addr.IsValid() && (!highest.IsValid() || highest.Less(m.Addr)) {
			highest = m.Addr
		}
	}
	if !highest.IsValid() {
		return highest, fmt.Errorf("no member of the cluster has a fixed address")
	}
	return highest.Next(), nil
}
