package scenarios

import (
	"context"
	"errors"
	"slices"
	"time"

	"peerlab/testbed"
)

// start starts peers. From now on it is a surprise when they end.
func (r *run) start(ctx context.Context, names []string) error {
	r.catchUp()
	r.mu.Lock()
	for _, name := range names {
		delete(r.expected, name)
	}
	r.mu.Unlock()
	return r.engine.Start(ctx, names...)
}

// move restarts peers at addresses that nobody had.
func (r *run) move(ctx context.Context, names []string) error {
	peers, err := r.engine.Peers(ctx)
	if err != nil {
		return err
	}
	var running []string
	for _, p := range peers {
		if slices.Contains(names, p.Name) && p.State != testbed.Stopped {
			running = append(running, p.Name)
		}
	}
	if len(running) > 0 {
		r.expectEnd(running)
		if err := r.engine.Kill(ctx, running...); err != nil {
			return err
		}
	}
	for _, name := range names { // each takes the address after the one before
		if _, err := r.engine.Move(ctx, name); err != nil {
			return err
		}
	}
	return r.start(ctx, names)
}

// stall pauses and resumes peers until the run ends, or endStalls does it.
func (r *run) stall(_ context.Context, names []string, pause, period time.Duration) error {
	r.endStalls(names)
	for _, name := range names {
		ctx, cancel := context.WithCancel(r.ctx)
		done := make(chan struct{})
		r.mu.Lock()
		r.stalls[name], r.stalled[name] = cancel, done
		r.mu.Unlock()
		r.tasks.Go(func() {
			defer close(done)
			if err := r.stalling(ctx, name, pause, period); ctx.Err() == nil {
				r.stop(err)
			}
		})
	}
	return nil
}

// stalling goes on until ctx ends, or something goes wrong.
func (r *run) stalling(ctx context.Context, name string, pause, period time.Duration) error {
	// What is begun is finished: a daemon goes on with what was asked of it, and
	// would pause the peer after somebody else has resumed it.
	doing := context.WithoutCancel(ctx)
	for next := time.Now(); ; next = next.Add(period) {
		if err := sleep(ctx, time.Until(next)); err != nil {
			return err
		}
		if err := r.engine.Pause(doing, name); err != nil {
			// It may have been killed meanwhile, and come back.
			if errors.Is(err, testbed.ErrStopped) {
				continue
			}
			return err
		}
		if err := sleep(ctx, time.Until(next.Add(pause))); err != nil {
			return err
		}
		if err := r.engine.Resume(doing, name); err != nil && !errors.Is(err, testbed.ErrStopped) {
			return err
		}
	}
}

// endStalls ends the stalls of peers and returns when they have ended. Such a
// peer may be left paused.
func (r *run) endStalls(names []string) {
	for _, name := range names {
		r.mu.Lock()
		cancel, done := r.stalls[name], r.stalled[name]
		delete(r.stalls, name)
		r.mu.Unlock()
		if cancel != nil {
			cancel()
			<-done
		}
	}
}
