package dockerd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
)

// removeTimeout bounds the removal of one container, a matter of a tenth of a second.
const removeTimeout = 30 * time.Second

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
		return func(labels map[string]string) bool { return Owner(labels[label]).gone() }
	}
	removed, err := d.Sweep(ctx, OwnerLabel, ended(OwnerLabel))
	used, usedErr := d.usedImages(ctx)
	if usedErr != nil {
		return removed, errors.Join(err, usedErr)
	}
	images, imagesErr := d.sweepImages(ctx, ImageOwnerLabel, ended(ImageOwnerLabel), used...)
	removed.Images, err = images, errors.Join(err, imagesErr)
	beside, besideErr := d.removeOrphans(ctx)
	removed.Containers += beside
	return removed, errors.Join(err, besideErr)
}

// removeOrphans removes what stands beside a cluster of which nothing is left. It
// lists that first: a cluster is there before what stands beside it.
func (d *Daemon) removeOrphans(ctx context.Context) (removed int, err error) {
	all, err := d.API.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", HelperLabel)})
	if err != nil {
		return 0, fmt.Errorf("list containers: %w", err)
	}
	there, err := d.Clusters(ctx)
	if err != nil {
		return 0, err
	}
	var ids []string
	for _, c := range all.Items {
		cluster := c.Labels[ClusterLabel]
		if c.Labels[HelperLabel] != "" && cluster != "" && !slices.Contains(there, cluster) {
			ids = append(ids, c.ID)
		}
	}
	return d.RemoveContainers(ctx, ids)
}

// usedImages returns the ids of images that a container has, running or not.
func (d *Daemon) usedImages(ctx context.Context) ([]string, error) {
	all, err := d.API.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	ids := make([]string, len(all.Items))
	for i, c := range all.Items {
		ids[i] = c.ImageID
	}
	return ids, nil
}

// RemoveCluster removes all of one cluster. What Compose made carries its
// labels, what was started by hand none: that has no network of its own. What
// stands beside a cluster carries our label whoever made the cluster.
func (d *Daemon) RemoveCluster(ctx context.Context, name string) error {
	all, err := d.API.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	var ids []string
	were := make(map[string]bool) // networks the members are on, by name and by id
	used := make(map[string]bool) // those that others are on
	for _, c := range assemble(all.Items) {
		if c.Cluster == name {
			ids = append(ids, c.ID)
		}
	}
	for _, s := range all.Items {
		member := slices.Contains(ids, s.ID)
		for network, endpoint := range networksOf(s) {
			on := used
			if member || s.Labels[HelperLabel] != "" && s.Labels[ClusterLabel] == name {
				on = were
			}
			on[network] = true
			if endpoint != nil && endpoint.NetworkID != "" {
				on[endpoint.NetworkID] = true
			}
		}
	}
	if _, err := d.RemoveContainers(ctx, ids); err != nil {
		return err
	}
	_, err = d.Sweep(ctx, ClusterLabel, func(labels map[string]string) bool { return labels[ClusterLabel] == name })
	// Of a Compose project the peers may be a part: a network without which
	// another of its containers could not be started stays.
	_, composeErr := d.sweepNetworks(ctx, composeProject, func(n network.Summary) bool {
		return n.Labels[composeProject] == name && (were[n.Name] || were[n.ID]) && !used[n.Name] && !used[n.ID]
	})
	return errors.Join(err, composeErr)
}

// Sweep removes the containers and networks that have a label and match.
func (d *Daemon) Sweep(ctx context.Context, label string, match func(labels map[string]string) bool) (Removed, error) {
	all, err := d.API.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", label)})
	if err != nil {
		return Removed{}, fmt.Errorf("list containers: %w", err)
	}
	var ids []string
	for _, c := range all.Items {
		if match(c.Labels) {
			ids = append(ids, c.ID)
		}
	}
	removed, err := d.RemoveContainers(ctx, ids)
	networks, networkErr := d.sweepNetworks(ctx, label, func(n network.Summary) bool { return match(n.Labels) })
	return Removed{Containers: removed, Networks: networks}, errors.Join(err, networkErr)
}

// RemoveContainers removes what it can and says how many that were. In a Docker
// before 23.0 two containers that leave a network at the same instant can bring
// the whole daemon to a halt (moby/libnetwork#2679): there one goes after
// another.
func (d *Daemon) RemoveContainers(ctx context.Context, ids []string) (int, error) {
	var removed atomic.Int64
	remove := func(_ int, id string) error {
		waiting, cancel := context.WithTimeout(ctx, removeTimeout) // one that is blocked for good keeps no other
		defer cancel()
		err := d.RemoveContainer(waiting, id)
		if err == nil {
			removed.Add(1)
		}
		return err
	}
	var err error
	if versions.LessThan(d.API.ClientVersion(), "1.42") {
		for i, id := range ids {
			err = errors.Join(err, remove(i, id))
		}
	} else {
		err = Each(ids, remove)
	}
	return int(removed.Load()), err
}

// sweepNetworks removes the networks that have a label and match.
func (d *Daemon) sweepNetworks(ctx context.Context, label string, match func(network.Summary) bool) (removed int, err error) {
	all, err := d.API.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("label", label)})
	if err != nil {
		return 0, fmt.Errorf("list networks: %w", err)
	}
	var errs []error
	var tunings []string
	for _, n := range all.Items {
		if !match(n) {
			continue
		}
		_, err := d.API.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		switch {
		case err == nil:
			removed++
			tunings = append(tunings, n.Labels[TuningLabel])
		case !errdefs.IsNotFound(err):
			errs = append(errs, fmt.Errorf("remove the network %s: %w", n.Name, err))
		}
	}
	return removed, errors.Join(append(errs, d.UndoTuning(tunings...))...)
}

// RemoveContainer removes a container, unless it is gone. If somebody else is removing
// it, it waits until that is done.
func (d *Daemon) RemoveContainer(ctx context.Context, id string) error {
	_, err := d.API.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	switch {
	case err == nil, errdefs.IsNotFound(err):
		return nil
	case !errdefs.IsConflict(err):
		return fmt.Errorf("remove a container: %w", err)
	}
	// Somebody else is removing it: the network can go only after that.
	wait := d.API.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: "removed"})
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

// atOnce bounds how many containers are started, or otherwise worked on, at
// the same time: the daemon takes no more in the same time, and what runs
// already would feel it.
const atOnce = 8

// Each calls f for every item, a bounded number at the same time, and joins
// the errors.
func Each[T any](items []T, f func(int, T) error) error {
	errs := make([]error, len(items))
	slots := make(chan struct{}, atOnce)
	var working sync.WaitGroup
	for i, item := range items {
		slots <- struct{}{}
		working.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(i, item)
		})
	}
	working.Wait()
	return errors.Join(errs...)
}
