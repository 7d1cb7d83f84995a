package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"peerlab/terminal"
	"peerlab/testbed/docker"
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
	return &cobra.Command{
		Use: "doctor", Short: "Say what will and will not work on this machine, and how to mend it", Args: exactly(0, "no argument"),
		Long: `Look at Docker, the images, the kernel and the memory. It changes nothing. The
exit status is 1 if no cluster can be started here.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := append(checkDocker(cmd.Context()), checkHost(os.DirFS("/"), env("DOCKER_HOST"))...)
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
	}
}

func (l *lab) printChecks(cmd *cobra.Command, checks []check) error {
	if l.json() {
		return printJSON(cmd, checks)
	}
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, c := range checks {
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.State, c.Name, terminal.Line(c.Found))
		if c.State != "ok" && c.Mend != "" {
			fmt.Fprintf(table, "\t\t→ %s\n", terminal.Line(c.Mend))
		}
	}
	return table.Flush()
}

func checkDocker(ctx context.Context) []check {
	d, err := docker.Connect(ctx)
	if err != nil {
		return []check{{Name: "Docker", State: "missing", Found: err.Error(), need: true}}
	}
	defer d.Close()
	about, err := d.About(ctx)
	if err != nil {
		return []check{{Name: "Docker", State: "unknown", Found: err.Error(), need: true}}
	}
	checks := []check{{
		Name: "Docker", State: "ok", need: true,
		Found: fmt.Sprintf("%s, API %s, %s, cgroup v%s", about.Version, about.API, about.Kernel, about.Cgroup),
	}}
	if !strings.EqualFold(about.OS, "linux") {
		checks[0].State, checks[0].Mend = "missing", "switch Docker to Linux containers"
	}
	quota := check{Name: "throttle", State: "ok", Found: "CPU quotas"}
	if !about.Quota {
		quota.State, quota.Found, quota.Mend = "missing", "the kernel has no CPU quotas", "boot one with CONFIG_CFS_BANDWIDTH"
	}
	checks = append(checks, quota)
	for _, image := range []string{"peerlab-peer", "peerlab-bootstrap"} {
		c := check{Name: "image " + image, State: "ok", Found: "here", need: true}
		if has, err := d.HasImage(ctx, image); err != nil {
			c.State, c.Found = "unknown", err.Error()
		} else if !has {
			c.State, c.Found, c.Mend = "missing", "not here", "make image builds it"
		}
		checks = append(checks, c)
	}
	memory := check{Name: "memory", State: "ok", Found: room(about.Memory, about.CPUs)}
	if about.Memory > 0 && about.Memory < 5*perPeer {
		memory.State, memory.Mend = "missing", "give Docker more memory"
	}
	clusters := check{Name: "clusters", State: "ok", Found: "none"}
	if names, err := d.Clusters(ctx); err != nil {
		clusters.State, clusters.Found = "unknown", err.Error()
	} else if len(names) > 0 {
		clusters.Found = strings.Join(names, ", ")
	}
	return append(checks, memory, clusters)
}

// perPeer is what a peer and its container take, with room to spare.
const perPeer = 48 << 20

func room(memory int64, cpus int) string {
	return fmt.Sprintf("%.1f GiB and %d processors: by memory, room for about %d peers", float64(memory)/(1<<30), cpus, memory/perPeer)
}

// localDaemon says whether the daemon's kernel is this one.
func localDaemon(host string) bool {
	return runtime.GOOS == "linux" && (host == "" || strings.HasPrefix(host, "unix://"))
}
