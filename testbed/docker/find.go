package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"peerlab/internal/suggest"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// Find returns the cluster of that name, however it was started, or with ""
// the only one there is. Closing it changes nothing in the cluster. Without
// such a cluster the error is ErrNone, with several to choose from ErrSeveral.
func Find(ctx context.Context, d *dockerd.Daemon, name string) (*Cluster, error) {
	flag := name
	all, err := d.List(ctx, "")
	names := dockerd.ClusterNames(all)
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
		if near := suggest.Similar(name, names); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, ", ") + "?"
		}
		return nil, fmt.Errorf("%w as %q: %s", ErrNone, name, hint)
	}
	c := newCluster(d, name)
	c.flag = flag
	c.found = slices.DeleteFunc(all, func(m dockerd.Member) bool { return m.Cluster != name })
	return c, nil
}

// pick returns the containers with these names, or ErrNoPeer.
func (c *Cluster) pick(ctx context.Context, names []string) ([]dockerd.Member, error) {
	if err := c.wires.news(); err != nil {
		return nil, err
	}
	all, err := c.daemon.List(ctx, c.name)
	if err != nil {
		return nil, err
	}
	known := make([]string, len(all))
	for i, one := range all {
		known[i] = one.Name
	}
	var picked []dockerd.Member
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
