package dockerd

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// About is what a daemon says of itself and its host.
type About struct {
	Version, API string
	OS, Kernel   string
	Cgroup       string // 1 or 2
	CPUs         int
	Memory       int64 // bytes
	Quota        bool  // Throttle works
	// MemoryLimit and PIDsLimit are whether Options.Memory and PIDs work.
	MemoryLimit, PIDsLimit bool
}

// About asks the daemon.
func (d *Daemon) About(ctx context.Context) (About, error) {
	result, err := d.API.Info(ctx, client.InfoOptions{})
	if err != nil {
		return About{}, fmt.Errorf("ask Docker about itself: %w", err)
	}
	i := result.Info
	return About{
		Version: i.ServerVersion, API: d.API.ClientVersion(), OS: i.OSType, Kernel: i.KernelVersion,
		Cgroup: i.CgroupVersion, CPUs: i.NCPU, Memory: i.MemTotal, Quota: i.CPUCfsQuota,
		MemoryLimit: i.MemoryLimit, PIDsLimit: i.PidsLimit,
	}, nil
}

// HasImage says whether the daemon has an image.
func (d *Daemon) HasImage(ctx context.Context, ref string) (bool, error) {
	_, err := d.API.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// Images returns the tags of the images that the daemon has.
func (d *Daemon) Images(ctx context.Context) (tags []string, err error) {
	list, err := d.API.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	for _, image := range list.Items {
		tags = append(tags, image.RepoTags...)
	}
	return tags, nil
}
