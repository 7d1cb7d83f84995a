package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
)

// Logs copies what a peer, or the bootstrap service, wrote: events to out and
// its log to errs; with follow until it ends or ctx does.
func (c *Cluster) Logs(ctx context.Context, name string, follow bool, out, errs io.Writer) error {
	picked, err := c.pick(ctx, []string{name})
	if err != nil {
		return err
	}
	log, err := c.daemon.api.ContainerLogs(ctx, picked[0].id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: follow})
	if err == nil {
		defer log.Close()
		_, err = stdcopy.StdCopy(out, errs, log)
	}
	if err != nil && !errors.Is(err, ctx.Err()) {
		return fmt.Errorf("read what %s wrote: %w", name, err)
	}
	return err
}

// lineWriter calls line with each complete line. What Docker stamps it hands
// over line by line, so that there a line that a SIGKILL has cut ends, too.
type lineWriter struct {
	line    func([]byte)
	stamped bool
	rest    []byte
}

// Write implements io.Writer.
func (w *lineWriter) Write(b []byte) (int, error) {
	w.end()
	w.rest = append(w.rest, b...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		w.line(line)
		w.rest = rest
	}
}

// end ends a line that was cut, if it can be told from one that is to go on.
func (w *lineWriter) end() {
	if w.stamped && len(w.rest) > 0 {
		w.line(w.rest)
		w.rest = nil
	}
}

// Reported returns what all peers have reported so far, through all their
// lives, each peer's events in order, and what was done to them, by whomever:
// to their containers, as far back as Docker remembers, and to their links. It
// needs no History and adds nothing to it. What cannot be read is in the error.
func (c *Cluster) Reported(ctx context.Context) ([]event.Event, error) {
	members, err := c.daemon.list(ctx, c.name)
	if err != nil {
		return nil, err
	}
	of := make([][]event.Event, len(members))
	err = each(members, func(i int, m container) error {
		if m.Name == testbed.Bootstrap {
			return nil
		}
		tells, err := newTeller(m)
		if err != nil {
			return fmt.Errorf("what %s reports: %w", m.Name, err)
		}
		var bad error
		w := lineWriter{stamped: tells.stamped, line: func(line []byte) {
			switch e, tell, err := tells.event(line); {
			case err != nil:
				bad = fmt.Errorf("what %s reports: %w", m.Name, err)
			case tell:
				of[i] = append(of[i], e)
			}
		}}
		log, err := c.daemon.api.ContainerLogs(ctx, m.id, client.ContainerLogsOptions{ShowStdout: true, Timestamps: tells.stamped})
		if err == nil {
			defer log.Close()
			_, err = stdcopy.StdCopy(&w, io.Discard, log)
		}
		if err != nil {
			return fmt.Errorf("read what %s reports: %w", m.Name, err)
		}
		w.end()
		return bad
	})
	done, forgotten := c.done(ctx, members)
	changed, lost := c.changed(ctx, members, slices.Concat(of...))
	lab := testbed.Sorted(slices.Concat(done, changed))
	for i := range lab {
		lab[i].Seq = uint64(i + 1)
	}
	return append(slices.Concat(of...), lab...), errors.Join(err, forgotten, lost)
}
