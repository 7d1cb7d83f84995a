package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/record"
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
	o := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: part.Follow, Tail: tailOf(part.Tail)}
	if !part.Since.IsZero() {
		o.Since = stamp(part.Since)
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
	members, err := c.daemon.List(ctx, c.name)
	if err != nil {
		return nil, err
	}
	reported, problems := make([][]event.Event, len(members)), make([][]event.Event, len(members))
	err = dockerd.Each(members, func(i int, m dockerd.Member) (err error) {
		if m.Name == testbed.Bootstrap {
			return nil
		}
		reported[i], problems[i], err = c.reported(ctx, m, 0)
		return err
	})
	told := slices.Concat(reported...)
	done, forgotten := c.done(ctx, members, record.NewExternalEvents(), time.Now())
	changed, lost := c.changed(ctx, members, told)
	lab := testbed.Sorted(slices.Concat(done, changed, slices.Concat(problems...)))
	for i := range lab {
		lab[i].Seq = uint64(i + 1)
	}
	return append(told, lab...), errors.Join(err, forgotten, lost)
}

// reported reads what a member has reported so far, of its last lines if tail is
// above 0, and what was wrong with it, each at the time of the event before.
func (c *Cluster) reported(ctx context.Context, m dockerd.Member, tail int) (reported, problems []event.Event, err error) {
	last := time.Unix(m.Created, 0)
	output, err := record.NewOutputDecoder(m.Name, m.Adapter,
		func(e event.Event) { reported, last = append(reported, e), e.Time },
		func(err error) {
			problems = append(problems, event.Event{Time: last, Peer: testbed.Lab, Kind: testbed.LabError, Member: m.Name, Error: err.Error()})
		})
	if err != nil {
		return nil, nil, err
	}
	log, err := c.daemon.API.ContainerLogs(ctx, m.ID, client.ContainerLogsOptions{ShowStdout: true, Timestamps: output.Stamped(), Tail: tailOf(tail)})
	if err == nil {
		defer log.Close()
		err = output.Read(log, m.State == testbed.Stopped)
	}
	if err != nil {
		return reported, problems, fmt.Errorf("read what %s reports: %w", m.Name, err)
	}
	return reported, problems, nil
}

// tailOf is a number of last lines in Docker's words: all, unless it is above 0.
func tailOf(lines int) string {
	if lines <= 0 {
		return "all"
	}
	return strconv.Itoa(lines)
}
