package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"peerlab/scenarios"
	"peerlab/testbed"
	"peerlab/testbed/docker"
	"peerlab/testbed/heap"
	"peerlab/testbed/sim"
)

// scenarioHost runs scenarios on an engine.
type scenarioHost struct {
	scenarios.Host
	// memory is how much the clusters may take that run in this process, in bytes;
	// 0 where none do.
	memory int64
	close  func() // ends the use of it
}

// host returns what runs something on an engine; with tune it may change limits of
// the host of containers, until it is closed.
func (l *lab) host(cmd *cobra.Command, engine string, tune bool) (*scenarioHost, error) {
	ctx := cmd.Context()
	switch engine {
	case "sim":
		if l.limits.changed() {
			return nil, usageError{errors.New("--memory, --pids and --health-checks are for containers: virtual time has none")}
		}
		if tune {
			return nil, usageError{errors.New("--tune-host is for containers: peers in virtual time share no neighbor table")}
		}
		settings := heap.Set(func(text string) { fmt.Fprintf(cmd.ErrOrStderr(), "peerlab: %s\n", text) })
		return &scenarioHost{simulate, settings.Limit(), settings.Restore}, nil
	case "docker":
		var o docker.Options
		l.limits.set(&o)
		if err := o.CheckLimits(); err != nil {
			return nil, usageError{err}
		}
		d, err := l.connect(ctx)
		if err != nil {
			return nil, err
		}
		tuner := &hostTuner{daemon: d, tune: tune, errs: cmd.ErrOrStderr()}
		f := tunedFactory{docker.NewFactory(d, o), tuner}
		run := func(ctx context.Context, _ uint64, do func(context.Context, testbed.Factory) error) error {
			return do(ctx, f)
		}
		return &scenarioHost{run, 0, func() { tuner.restore(); _ = d.Close() }}, nil
	}
	return nil, usageError{fmt.Errorf("--engine %q must be docker or sim", engine)}
}

// abandonAfter is how long an interrupted simulation may take to end.
const abandonAfter = 300 * time.Millisecond

// simulate is sim.Run, but leaves an interrupted simulation behind where that
// takes long to end, as thousands of connections do: the program ends, and
// nothing of a simulation is outside of it.
func simulate(ctx context.Context, seed uint64, do func(context.Context, testbed.Factory) error) error {
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx, seed, do) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(abandonAfter):
		return context.Cause(ctx)
	}
}
