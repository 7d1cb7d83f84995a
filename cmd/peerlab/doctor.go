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

	"peerlab/internal/terminal"
	"peerlab/internal/terminal/layout"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	dockerprobe "peerlab/testbed/docker/probe"
	"peerlab/testbed/fabric"
)

// check is one thing doctor has looked at.
type check struct {
	Name  string `json:"name"`
	State string `json:"state"` // ok, missing or unknown
	Found string `json:"found"`
	Mend  string `json:"mend,omitempty"`
	need  bool   // without it nothing works
}

func (l *lab) doctorCommand(env func(string) string) *cobra.Command {
	var peers int
	cmd := withFormats(&cobra.Command{
		Use: "doctor", Short: "Say what will and will not work on this machine, and how to mend it", Args: exactly(0, "no argument"),
		Long: `Look at Docker, the images, proxies, the kernel, its limits and the memory. What the kernel
can do to links is tried, and whether packets pass between containers, in containers
that leave nothing. It changes nothing. The
exit status is 1 if no cluster can be started here.`,
		Example: "  peerlab doctor\n  peerlab doctor --peers 200",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if peers < 1 || peers > testbed.MaxPeers {
				return usageError{fmt.Errorf("--peers %d: want 1 to %d", peers, testbed.MaxPeers)}
			}
			checks := l.checkAll(cmd.Context(), os.DirFS("/"), env, peers)
			if err := context.Cause(cmd.Context()); err != nil { // what was asked then is no finding
				return err
			}
			if err := l.printChecks(cmd, checks); err != nil {
				return err
			}
			for _, c := range checks {
				if c.need && c.State != "ok" {
					return errors.New("no cluster can be started here: see what is missing above")
				}
			}
			return nil
		},
	}, formatJSON)
	cmd.Flags().IntVar(&peers, "peers", 5, "say what is missing for a cluster of `N`")
	return cmd
}

func (l *lab) checkAll(ctx context.Context, root fs.FS, env func(string) string, peers int) []check {
	checks, features := l.checkDocker(ctx, root, peers)
	where, _ := dockerd.CurrentEndpoint() // checkDocker tells of an error
	checks = append(checks, checkProxy(env, where.Host))
	if !where.IsLocal() {
		return append(checks, check{
			Name: "links", State: "missing", Found: "Docker runs elsewhere: links cannot be cut or degraded from here",
			Mend: "run peerlab on that machine; its doctor tells of its kernel, too",
		})
	}
	checks = append(checks, checkKernel(root, features)...)
	for _, one := range append(hostLimits(root, peers), openFiles()) {
		checks = append(checks, one.check(peers))
	}
	return append(checks, checkPorts()...)
}

func (l *lab) printChecks(cmd *cobra.Command, checks []check) error {
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
func (l *lab) checkDocker(ctx context.Context, root fs.FS, peers int) ([]check, []fabric.Feature) {
	d, err := l.connect(ctx)
	if err != nil {
		return []check{{Name: "Docker", State: "missing", Found: err.Error(), need: true}}, nil
	}
	defer d.Close()
	about, err := d.About(ctx)
	if err != nil {
		return []check{{Name: "Docker", State: "unknown", Found: err.Error(), need: true}}, nil
	}
	checks := []check{{
		Name: "Docker", State: "ok", need: true,
		Found: fmt.Sprintf("%s at %s, API %s, %s, cgroup v%s", about.Version, d.Endpoint(), about.API, about.Kernel, about.Cgroup),
	}}
	if !strings.EqualFold(about.OS, "linux") {
		checks[0].State, checks[0].Mend = "missing", "switch Docker to Linux containers"
	}
	quota := check{Name: "throttle", State: "ok", Found: "CPU quotas"}
	if !about.Quota {
		quota.State, quota.Found, quota.Mend = "missing", "the kernel has no CPU quotas", "boot one with CONFIG_CFS_BANDWIDTH"
	}
	checks = append(checks, quota, checkLimits(about))
	for _, image := range []string{"peerlab-peer", "peerlab-bootstrap"} {
		checks = append(checks, hasImage(ctx, d, image, true))
	}
	fabricImage := hasImage(ctx, d, cmp.Or(l.fabric, "peerlab-fabric"), false)
	if fabricImage.State == "missing" {
		fabricImage.Found = "not here: links cannot be cut or degraded"
	}
	memory := limit{
		name: "memory", room: int(about.Memory / perPeer), has: fmt.Sprintf("%.1f GiB, %d processors", float64(about.Memory)/(1<<30), about.CPUs),
		mend: "give Docker more memory",
	}
	clusters := check{Name: "clusters", State: "ok", Found: "none"}
	if names, err := d.Clusters(ctx); err != nil {
		clusters.State, clusters.Found = "unknown", err.Error()
	} else if len(names) > 0 {
		clusters.Found = strings.Join(names, ", ")
	}
	checks = append(checks, fabricImage, memory.check(peers), clusters)
	if fabricImage.State != "ok" {
		return checks, nil
	}
	features, err := dockerprobe.Features(ctx, d, l.fabric)
	if err != nil {
		checks = append(checks, check{Name: "links", State: "unknown", Found: err.Error()})
	}
	tryBridge := func(ctx context.Context) (bool, error) { return dockerprobe.TryBridge(ctx, d, l.fabric, "") }
	return append(checks, checkBridge(ctx, d.Endpoint(), tryBridge, root)), features
}

// checkLimits says whether the kernel keeps containers to their limits.
func checkLimits(about dockerd.About) check {
	c := check{Name: "limits", State: "ok", Found: "memory and processes of containers"}
	var lacks []string
	if !about.MemoryLimit {
		lacks = append(lacks, "memory")
	}
	if !about.PIDsLimit {
		lacks = append(lacks, "pids")
	}
	if len(lacks) > 0 {
		c.State, c.Found = "missing", "containers may take all there is: the kernel has no control group for "+strings.Join(lacks, ", ")
		c.Mend = "boot it with cgroup_enable=memory, or one with CONFIG_MEMCG and CONFIG_CGROUP_PIDS"
	}
	return c
}

func hasImage(ctx context.Context, d *dockerd.Daemon, image string, need bool) check {
	c := check{Name: "image " + image, State: "ok", Found: "here", need: need}
	if has, err := d.HasImage(ctx, image); err != nil {
		c.State, c.Found = "unknown", err.Error()
	} else if !has {
		c.State, c.Found, c.Mend = "missing", "not here", "make image builds it"
	}
	return c
}
