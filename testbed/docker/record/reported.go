package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// Reported returns what all peers have reported so far, through all their
// lives, each peer's events in order, and what was done to them, by whomever:
// to their containers, as far back as Docker remembers, and to their links. It
// needs no History and adds nothing to it. What was not understood is among it,
// as in History (testbed.LabError); what cannot be read is in the error.
func (rec *Recorder) Reported(ctx context.Context) ([]event.Event, error) {
	members, err := rec.daemon.List(ctx, rec.cluster)
	if err != nil {
		return nil, err
	}
	reported, problems := make([][]event.Event, len(members)), make([][]event.Event, len(members))
	err = dockerd.Each(members, func(i int, m dockerd.Member) (err error) {
		if m.Name == testbed.Bootstrap {
			return nil
		}
		reported[i], problems[i], err = rec.ReadOutput(ctx, m, 0)
		return err
	})
	told := slices.Concat(reported...)
	done, forgotten := rec.pastEvents(ctx, members, newExternalEvents(), time.Now())
	changed, lost := rec.linkChanges(ctx, members, told)
	lab := testbed.Sorted(slices.Concat(done, changed, slices.Concat(problems...)))
	for i := range lab {
		lab[i].Seq = uint64(i + 1)
	}
	return append(told, lab...), errors.Join(err, forgotten, lost)
}

// ReadOutput reads what a member has reported so far, of its last lines if tail is
// above 0, and what was wrong with it, each at the time of the event before.
func (rec *Recorder) ReadOutput(ctx context.Context, m dockerd.Member, tail int) (reported, problems []event.Event, err error) {
	last := time.Unix(m.Created, 0)
	output, err := newOutputDecoder(m.Name, m.Adapter,
		func(e event.Event) { reported, last = append(reported, e), e.Time },
		func(err error) {
			problems = append(problems, event.Event{Time: last, Peer: testbed.Lab, Kind: testbed.LabError, Member: m.Name, Error: err.Error()})
		})
	if err != nil {
		return nil, nil, err
	}
	log, err := rec.daemon.API.ContainerLogs(ctx, m.ID, client.ContainerLogsOptions{ShowStdout: true, Timestamps: output.stamped, Tail: dockerd.Tail(tail)})
	if err == nil {
		defer log.Close()
		err = output.read(log, m.State == testbed.Stopped)
	}
	if err != nil {
		return reported, problems, fmt.Errorf("read what %s reports: %w", m.Name, err)
	}
	return reported, problems, nil
}
