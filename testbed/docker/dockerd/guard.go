package dockerd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Labels of images that are not to outlive the process that has them built. A
// container has the labels of its image, too, so these are none of a cluster's.
const (
	ImageRunLabel   = "peerlab.image.run"
	ImageOwnerLabel = "peerlab.image.owner"
)

// Guard removes images when this process ends, however it does, as Create has
// clusters removed: those of the present sources, that tests build.
type Guard struct {
	daemon   *Daemon
	run      string
	watchdog *Watchdog
}

// Guard starts to look after images. The program must begin with RunWatchdogIfRequested.
func (d *Daemon) Guard() (*Guard, error) {
	run := NewRunID()
	watchdog, err := StartWatchdog(run, d.endpoint)
	if err != nil {
		return nil, err
	}
	return &Guard{d, run, watchdog}, nil
}

// Labels are what the images are to be built with.
func (g *Guard) Labels() map[string]string {
	return map[string]string{ImageRunLabel: g.run, ImageOwnerLabel: string(ThisProcess())}
}

// Close removes the images. What uses them must be gone.
func (g *Guard) Close(ctx context.Context) error {
	_, err := g.daemon.sweepImages(ctx, ImageRunLabel, func(labels map[string]string) bool { return labels[ImageRunLabel] == g.run })
	if err != nil {
		g.watchdog.RemoveAndWait() // it has more patience
		return err
	}
	g.watchdog.Dismiss()
	return nil
}

// sweepImages removes the images that have a label and match, but for those
// whose ids are to stay.
func (d *Daemon) sweepImages(ctx context.Context, label string, match func(labels map[string]string) bool, stay ...string) (removed int, err error) {
	all, err := d.API.ImageList(ctx, client.ImageListOptions{Filters: make(client.Filters).Add("label", label)})
	if err != nil {
		return 0, fmt.Errorf("list images: %w", err)
	}
	var errs []error
	for _, image := range all.Items {
		if !match(image.Labels) || slices.Contains(stay, image.ID) {
			continue
		}
		_, err := d.API.ImageRemove(ctx, image.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
		switch {
		case err == nil:
			removed++
		case !errdefs.IsNotFound(err):
			errs = append(errs, fmt.Errorf("remove the image %s: %w", image.ID, err))
		}
	}
	return removed, errors.Join(errs...)
}
