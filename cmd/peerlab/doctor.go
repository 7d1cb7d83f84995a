package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/cmd/peerlab/host"
	"peerlab/internal/terminal"
	"peerlab/internal/terminal/layout"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	dockerprobe "peerlab/testbed/docker/probe"
	"peerlab/testbed/fabric"
)

func (l *lab) doctorCommand(env func(string) string) *cobra.Command {
	var peers int
	cmd := withFormats(&cobra.Command{
		Use: "doctor", Short: "Check what works on this machine, and how to fix what does not", Args: exactly(0, "no argument"),
		Long: `Check Docker, the images, proxies, the kernel, its limits and the memory. Temporary
containers try which faults of links the kernel supports, and whether packets get
from one container to another. The command changes nothing. Its exit status is 1 if
no cluster can be started here.`,
		Example: "  peerlab doctor\n  peerlab doctor --peers 200",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if peers < 1 || peers > testbed.MaxPeers {
				return usageError{fmt.Errorf("--peers must be between 1 and %[2]d, not %[1]d", peers, testbed.MaxPeers)}
			}
			checks := l.checkAll(cmd.Context(), os.DirFS("/"), env, peers)
			if err := context.Cause(cmd.Context()); err != nil { // what was asked then is no finding
				return err
			}
			if err := l.printChecks(cmd, checks); err != nil {
				return err
			}
			for _, c := range checks {
				if c.Need && c.State != "ok" {
					return errors.New("no cluster can be started here: see above for what is missing")
				}
			}
			return nil
		},
	}, formatJSON)
	cmd.Flags().IntVar(&peers, "peers", 5, "check the limits for a cluster of `N` peers")
	return cmd
}

func (l *lab) checkAll(ctx context.Context, root fs.FS, env func(string) string, peers int) []host.Check {
	checks, features := l.checkDocker(ctx, root, peers)
	where, _ := dockerd.CurrentEndpoint() // checkDocker tells of an error
	checks = append(checks, host.Proxy(env, where.Host))
	if !where.IsLocal() {
		return append(checks, host.Check{
			Name: "links", State: "missing", Found: "Docker runs elsewhere: links cannot be cut or degraded from here",
			Mend: "run peerlab on that machine, where peerlab doctor also checks the kernel",
		})
	}
	checks = append(checks, host.Kernel(root, features)...)
	checks = append(checks, host.Limits(root, peers)...)
	return append(checks, host.Ports(strings.TrimPrefix(localBootstrap, "http://"))...)
}

func (l *lab) printChecks(cmd *cobra.Command, checks []host.Check) error {
	if l.json() {
		return printJSON(cmd, checks)
	}
	out := cmd.OutOrStdout()
	colors, table := l.palette(out), layout.NewTable()
	for _, c := range checks {
		table.Row(colors.cell(c.State), c.Name, terminal.Join(c.Found))
		if c.State != "ok" && c.Mend != "" {
			table.Row("", "", "→ "+terminal.Join(c.Mend))
		}
	}
	return table.Write(out)
}

// checkDocker looks at the daemon. Where it can, it asks the kernel what it can
// do to links.
func (l *lab) checkDocker(ctx context.Context, root fs.FS, peers int) ([]host.Check, []fabric.Feature) {
	d, err := l.connect(ctx)
	if err != nil {
		return []host.Check{{Name: "Docker", State: "missing", Found: err.Error(), Need: true}}, nil
	}
	defer d.Close()
	about, err := d.About(ctx)
	if err != nil {
		return []host.Check{{Name: "Docker", State: "unknown", Found: err.Error(), Need: true}}, nil
	}
	checks := []host.Check{{
		Name: "Docker", State: "ok", Need: true,
		Found: fmt.Sprintf("%s at %s, API %s, %s, cgroup v%s", about.Version, d.Endpoint(), about.API, about.Kernel, about.Cgroup),
	}}
	if !strings.EqualFold(about.OS, "linux") {
		checks[0].State, checks[0].Mend = "missing", "switch Docker to Linux containers"
	}
	quota := host.Check{Name: "throttle", State: "ok", Found: "CPU quotas"}
	if !about.Quota {
		quota.State, quota.Found, quota.Mend = "missing", "the kernel has no CPU quotas", "boot one with CONFIG_CFS_BANDWIDTH"
	}
	checks = append(checks, quota, host.ContainerLimits(about))
	for _, image := range []string{"peerlab-peer", "peerlab-bootstrap"} {
		checks = append(checks, hasImage(ctx, d, image, true))
	}
	fabricImage := hasImage(ctx, d, cmp.Or(l.fabric, "peerlab-fabric"), false)
	if fabricImage.State == "missing" {
		fabricImage.Found = "not found: links cannot be cut or degraded"
	}
	clusters := host.Check{Name: "clusters", State: "ok", Found: "none"}
	if names, err := d.Clusters(ctx); err != nil {
		clusters.State, clusters.Found = "unknown", err.Error()
	} else if len(names) > 0 {
		clusters.Found = strings.Join(names, ", ")
	}
	checks = append(checks, fabricImage, host.Memory(about, peers), clusters)
	if fabricImage.State != "ok" {
		return checks, nil
	}
	features, err := dockerprobe.Features(ctx, d, l.fabric)
	if err != nil {
		checks = append(checks, host.Check{Name: "links", State: "unknown", Found: err.Error()})
	}
	tryBridge := func(ctx context.Context) (bool, error) { return dockerprobe.TryBridge(ctx, d, l.fabric, "") }
	return append(checks, host.Bridge(ctx, d.Endpoint(), tryBridge, root)), features
}

func hasImage(ctx context.Context, d *dockerd.Daemon, image string, need bool) host.Check {
	c := host.Check{Name: "image " + image, State: "ok", Found: "found", Need: need}
	if has, err := d.HasImage(ctx, image); err != nil {
		c.State, c.Found = "unknown", err.Error()
	} else if !has {
		c.State, c.Found, c.Mend = "missing", "not found", "make image builds it"
	}
	return c
}
