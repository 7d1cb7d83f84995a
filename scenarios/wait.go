package scenarios

import (
	"context"
	"errors"
	"fmt"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// asking is how often a condition that no event tells of is looked at.
const asking = time.Second

// catchUp reads what has happened.
func (r *run) catchUp() {
	events, _ := r.engine.History().Since(len(r.world.events))
	for _, e := range events {
		r.add(e)
	}
}

// add reads one event, and notices a peer that ends unasked.
func (r *run) add(e event.Event) {
	r.world.add(e)
	switch e.Kind {
	case event.PeerStopping:
		for _, peer := range r.called(e.Peer) {
			if r.mayEnd(peer) {
				return
			}
		}
		r.stop(&lost{e.Peer, "it stopped: " + e.Reason})
	case testbed.LabExit:
		if !r.mayEnd(e.Member) {
			r.stop(&lost{e.Member, howEnded(e.Text, e.Reason)})
		}
	case testbed.LabError:
		r.stop(fmt.Errorf("what %s reported is incomplete: %s", e.Member, e.Error))
	}
}

// howEnded says how a peer's process ended.
func howEnded(status, reason string) string {
	if reason != "" {
		return "its process was " + reason
	}
	return "its process ended with status " + status
}

// called are the peers that call themselves so.
func (r *run) called(name string) (peers []string) {
	for _, peer := range r.plan.Spec.Peers {
		// On some engines a peer that claims another's name reports under its own.
		if peer == name || r.plan.Spec.Own[peer]["name"] == name {
			peers = append(peers, peer)
		}
	}
	return peers
}

// mayEnd says whether the scenario had a peer end, or says that it does.
func (r *run) mayEnd(peer string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.expected[peer] || r.plan.ends[peer]
}

// expectEnd notes that the scenario ends these peers.
func (r *run) expectEnd(names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		r.expected[name] = true
	}
}

// step waits until something has happened, and reads one event of it. For a
// condition that asks, it waits until the time to ask again at most, and reads
// all there is. The error is that of ctx, or why nothing more will happen.
func (r *run) step(ctx context.Context, c condition) error {
	outer := ctx
	if c.asks {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, asking)
		defer cancel()
	}
	events, err := r.engine.History().Read(ctx, len(r.world.events))
	switch {
	case err != nil && outer.Err() == nil && ctx.Err() != nil:
		return nil // time to ask
	case err != nil:
		return err
	case !c.asks:
		events = events[:1]
	}
	for _, e := range events {
		r.add(e)
	}
	return r.trouble()
}

// await waits until c holds, for at most limit. It looks after each single
// event, so that the history tells afterwards what it saw.
func (r *run) await(ctx context.Context, limit time.Duration, c condition) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r.asks(c)
	for {
		ok, err := c.holds(ctx, r.world)
		if err == nil && ok {
			return r.trouble()
		}
		if err == nil {
			err = r.step(ctx, c)
		}
		switch {
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
			return tooLate(r.world, limit.String(), c)
		case err != nil:
			return err
		}
	}
}

// tooLate says that c did not hold in time.
func tooLate(w *world, limit string, c condition) error {
	return &outcome{text: fmt.Sprintf("not within %s: %s", limit, c.text) + because(w, c)}
}

// because is what is missing, after a colon.
func because(w *world, c condition) string {
	if c.why != nil {
		if why := c.why(w); why != "" {
			return ": " + why
		}
	}
	return ""
}

// hold wants c to hold now and for as long as limit.
func (r *run) hold(ctx context.Context, limit time.Duration, c condition) error {
	began := time.Now()
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r.asks(c)
	defer func(from int) { r.world.from = from }(r.world.from)
	r.world.mark()
	for {
		ok, err := c.holds(outer, r.world)
		if err == nil && !ok {
			return broken(r.world, time.Since(began), c)
		}
		if err == nil {
			err = r.step(ctx, c)
		}
		switch {
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil && outer.Err() == nil:
			return nil
		case err != nil:
			return err
		}
	}
}

// broken says that c did not go on to hold, and what happened.
func broken(w *world, after time.Duration, c condition) error {
	text := "does not hold: " + c.text
	if after >= time.Millisecond {
		text = fmt.Sprintf("no longer holds after %s: %s", after.Round(time.Millisecond), c.text)
	}
	return &outcome{text: text + because(w, c)}
}

// check wants c to hold now.
func (r *run) check(ctx context.Context, c condition) error {
	r.asks(c)
	ok, err := c.holds(ctx, r.world)
	if err != nil {
		return err
	}
	if !ok {
		return broken(r.world, 0, c)
	}
	return r.trouble()
}

// wait lets time pass, but notices when the run is spoilt meanwhile.
func (r *run) wait(ctx context.Context, d time.Duration) error {
	return r.hold(ctx, d, plain(func(*world) bool { return true }, nil))
}
