package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"peerlab/cmd/peerlab/host"
	"peerlab/internal/terminal"
	"peerlab/testbed/docker"
	"peerlab/testbed/docker/dockerd"
)

// lab is what the commands that work on a cluster share.
type lab struct {
	env     func(string) string
	cluster string
	format  string
	color   string // one of colorModes
	fabric  string
	limits  containerLimits
}

// connect connects to Docker.
func (l *lab) connect(ctx context.Context) (*dockerd.Daemon, error) {
	d, err := dockerd.Connect(ctx)
	if err != nil {
		where, _ := dockerd.CurrentEndpoint() // whose error is err
		if proxy := host.DaemonProxy(where.Host); proxy != "" {
			err = fmt.Errorf("%w; the request went through the proxy %s: add the host to NO_PROXY for a direct connection", err, proxy)
		}
		return nil, inconclusiveError{err}
	}
	d.FabricImage = l.fabric
	return d, nil
}

// on calls f with the cluster that --cluster names, or the only one.
func (l *lab) on(cmd *cobra.Command, f func(c *docker.Cluster) error) error {
	d, err := l.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer d.Close()
	c, err := docker.Find(cmd.Context(), d, l.cluster)
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close(cmd.Context()))
}

// atLeast wants so many arguments, none wants exactly none.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usageError{fmt.Errorf("%s needs %s: see %s --help", cmd.Name(), what, cmd.CommandPath())}
		}
		return nil
	}
}

func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %s: see %s --help", cmd.Name(), what, cmd.CommandPath())}
		}
		return nil
	}
}

// printJSON writes v on one line, safe on a terminal.
func printJSON(cmd *cobra.Command, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // "alice -> bob"
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := cmd.OutOrStdout().Write(terminal.EscapeJSON(b.Bytes()))
	return err
}
