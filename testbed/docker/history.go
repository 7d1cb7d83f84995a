package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// LogRange says which part of what a peer wrote is meant. The zero value is all so
// far.
type LogRange struct {
	// Follow is what it will write, too, until it ends.
	Follow bool
	// Tail, if above 0, is how many lines before that at most, events and log
	// counted together.
	Tail int
	// Since, if set, leaves out what was written before.
	Since time.Time
}

// Logs copies what a peer, or the bootstrap service, wrote: events to out and
// its log to errs; with follow until it ends or ctx does.
func (c *Cluster) Logs(ctx context.Context, name string, follow bool, out, errs io.Writer) error {
	return c.LogsIn(ctx, name, LogRange{Follow: follow}, out, errs)
}

// LogsIn is Logs of a part.
func (c *Cluster) LogsIn(ctx context.Context, name string, part LogRange, out, errs io.Writer) error {
	picked, err := c.pick(ctx, []string{name})
	if err != nil {
		return err
	}
	o := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: part.Follow, Tail: dockerd.Tail(part.Tail)}
	if !part.Since.IsZero() {
		o.Since = dockerd.Stamp(part.Since)
	}
	log, err := c.daemon.API.ContainerLogs(ctx, picked[0].ID, o)
	if err == nil {
		defer log.Close()
		_, err = stdcopy.StdCopy(out, errs, log)
	}
	if err != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("read what %s wrote: %w", name, err)
	}
	return err
}

// Reported returns what all peers have reported so far, through all their
// lives, each peer's events in order, and what was done to them, by whomever:
// to their containers, as far back as Docker remembers, and to their links. It
// needs no History and adds nothing to it. What was not understood is among it,
// as in History (testbed.LabError); what cannot be read is in the error.
func (c *Cluster) Reported(ctx context.Context) ([]event.Event, error) {
	return c.recorder.Reported(ctx)
}

// History implements testbed.Engine. The first call starts the reading, and
// what the peers had reported before comes first. It ends when the last
// container of the cluster is removed, whoever does that.
func (c *Cluster) History() *testbed.History {
	c.recorder.Follow()
	return c.history
}

// Done returns what the lab has done and measured, as far as the history tells,
// and unlike History starts no reading of the rest.
func (c *Cluster) Done() []event.Event {
	events, _ := c.history.Since(0)
	return slices.DeleteFunc(slices.Clone(events), func(e event.Event) bool { return e.Peer != testbed.Lab })
}
