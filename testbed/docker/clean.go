package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
)

// Removed counts what was removed.
type Removed struct {
	Containers int `json:"containers"`
	Networks   int `json:"networks"`
	Images     int `json:"images"`
}

// Clean removes what runs left whose process has ended on this host: each
// cluster was to be gone with it, and so were the images that tests had built.
// Clusters that were started to stay, stay, and so do the images of their peers.
// What stands beside a cluster goes when nothing of the cluster is left.
func (d *Daemon) Clean(ctx context.Context) (Removed, error) {
	ended := func(label string) func(map[string]string) bool {
		return func(labels map[string]string) bool { return owner(labels[label]).gone() }
	}
	removed, err := d.sweep(ctx, ownerLabel, ended(ownerLabel))
	used, usedErr := d.usedImages(ctx)
	if usedErr != nil {
		return removed, errors.Join(err, usedErr)
	}
	images, imagesErr := d.sweepImages(ctx, imageOwnerLabel, ended(imageOwnerLabel), used...)
	removed.Images, err = images, errors.Join(err, imagesErr)
	there, listErr := d.Clusters(ctx)
	if listErr != nil {
		return removed, errors.Join(err, listErr)
	}
	beside, besideErr := d.sweep(ctx, helperLabel, func(labels map[string]string) bool {
		cluster, ok := labels[clusterLabel]
		return ok && !slices.Contains(there, cluster)
	})
	removed.Containers += beside.Containers
	removed.Networks += beside.Networks
	return removed, errors.Join(err, besideErr)
}

// usedImages returns the ids of images that a container has, running or not.
func (d *Daemon) usedImages(ctx context.Context) ([]string, error) {
	all, err := d.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	ids := make([]string, len(all.Items))
	for i, c := range all.Items {
		ids[i] = c.ImageID
	}
	return ids, nil
}

// removeCluster removes all of one cluster. What Compose made carries its
// labels, what was started by hand none: that has no network of its own. What
// stands beside a cluster carries our label whoever made the cluster.
func (d *Daemon) removeCluster(ctx context.Context, name string) error {
	members, err := d.list(ctx, name)
	if err != nil {
		return err
	}
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = m.id
	}
	if _, err := d.removeContainers(ctx, ids); err != nil {
		return err
	}
	of := func(label string) func(map[string]string) bool {
		return func(labels map[string]string) bool { return labels[label] == name }
	}
	_, err = d.sweep(ctx, clusterLabel, of(clusterLabel))
	_, composeErr := d.sweepNetworks(ctx, composeProject, of(composeProject))
	return errors.Join(err, composeErr)
}

// sweep removes the containers and networks that have a label and match.
func (d *Daemon) sweep(ctx context.Context, label string, match func(labels map[string]string) bool) (Removed, error) {
	all, err := d.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", label)})
	if err != nil {
		return Removed{}, fmt.Errorf("list containers: %w", err)
	}
	var ids []string
	for _, c := range all.Items {
		if match(c.Labels) {
			ids = append(ids, c.ID)
		}
	}
	removed, err := d.removeContainers(ctx, ids)
	networks, networkErr := d.sweepNetworks(ctx, label, match)
	return Removed{Containers: removed, Networks: networks}, errors.Join(err, networkErr)
}

// removeContainers removes what it can and says how many that were. In a Docker
// before 23.0 two containers that leave a network at the same instant can bring
// the whole daemon to a halt (moby/libnetwork#2679): there one goes after
// another.
func (d *Daemon) removeContainers(ctx context.Context, ids []string) (int, error) {
	var removed atomic.Int64
	remove := func(_ int, id string) error {
		waiting, cancel := context.WithTimeout(ctx, endPatience) // one that is blocked for good keeps no other
		defer cancel()
		err := d.removeContainer(waiting, id)
		if err == nil {
			removed.Add(1)
		}
		return err
	}
	var err error
	if versions.LessThan(d.api.ClientVersion(), "1.42") {
		for i, id := range ids {
			err = errors.Join(err, remove(i, id))
		}
	} else {
		err = each(ids, remove)
	}
	return int(removed.Load()), err
}

func (d *Daemon) sweepNetworks(ctx context.Context, label string, match func(labels map[string]string) bool) (removed int, err error) {
	all, err := d.api.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("label", label)})
	if err != nil {
		return 0, fmt.Errorf("list networks: %w", err)
	}
	var errs []error
	for _, n := range all.Items {
		if !match(n.Labels) {
			continue
		}
		_, err := d.api.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		switch {
		case err == nil:
			removed++
		case !errdefs.IsNotFound(err):
			errs = append(errs, fmt.Errorf("remove the network %s: %w", n.Name, err))
		}
	}
	return removed, errors.Join(errs...)
}

func (d *Daemon) removeContainer(ctx context.Context, id string) error {
	_, err := d.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	switch {
	case err == nil, errdefs.IsNotFound(err):
		return nil
	case !errdefs.IsConflict(err):
		return fmt.Errorf("remove a container: %w", err)
	}
	// Somebody else is removing it: the network can go only after that.
	wait := d.api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: "removed"})
	select {
	case <-wait.Result:
		return nil
	case err := <-wait.Error:
		if errdefs.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("remove a container: %w", err)
	}
}
