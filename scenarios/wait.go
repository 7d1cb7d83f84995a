package scenarios

import (
	"context"
	"errors"
	"fmt"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// askInterval is how often the cluster is asked for what no event tells.
const askInterval = time.Second

// catchUp reads what has happened.
func (r *run) catchUp() {
	for n := r.engine.History().Len(); len(r.world.events) < n && r.uninterrupted() == nil; {
		e, err := r.reader.Next(r.ctx)
		if err != nil {
			return // there is one
		}
		r.add(e)
	}
}

// add takes the next event, and notices a peer that ends unasked.
func (r *run) add(e event.Event) update {
	u := r.world.add(e)
	r.notice(e)
	return u
}

// notice makes the run inconclusive when a peer ends unasked.
func (r *run) notice(e event.Event) {
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
	case testbed.LabDisconnect:
		r.stop(&lost{e.Member, "somebody took it off the network " + e.Text})
	case testbed.LabError:
		if e.Member == "" {
			r.stop(errors.New(e.Error))
			return
		}
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

// uninterrupted returns why the run is to end, as far as it is known without
// waiting: within virtual time a context outside is not told by itself.
func (r *run) uninterrupted() error {
	if r.interrupted != nil {
		if err := r.interrupted(); err != nil {
			r.stop(err)
		}
	}
	return r.trouble()
}

// condition returns a condition for one line of this run, its text as it may be
// shown.
func (r *run) condition(c compiledCondition) condition {
	made := c.instance()
	made.text = r.plan.Redact(made.text)
	return made
}

// watch follows the history, event by event, until c comes to be as wanted. The
// error is that of a context, of an answer, or why nothing more will happen. When
// patience ends, which ends with ctx, what has happened by then is still looked
// at; when ctx ends, nothing is.
func (r *run) watch(ctx, patience context.Context, c condition, want bool) error {
	r.asks(c)
	c.begin(r.world)
	var again time.Time // when to ask
	for {
		if c.question != nil && !time.Now().Before(again) {
			if err := c.question.ask(patience, r.world); err != nil {
				return err
			}
			again = time.Now().Add(askInterval)
		}
		if c.holds(r.world) == want {
			return nil
		}
		e, err := r.next(patience, c, again)
		switch {
		case err == nil:
			u := r.add(e)
			c.take(r.world, u)
			if c.question != nil && c.question.hint(e) {
				again = time.Time{}
			}
		case c.question != nil && patience.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		default:
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.uninterrupted(); err != nil {
			return err
		}
	}
}

// next waits for the next event, for a question until it is time to ask.
func (r *run) next(ctx context.Context, c condition, again time.Time) (event.Event, error) {
	if c.question != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, again)
		defer cancel()
	}
	return r.reader.Next(ctx)
}

// await waits until c holds, for at most limit. It looks after each single
// event, so that the history tells afterwards what it saw.
func (r *run) await(ctx context.Context, limit time.Duration, c condition) error {
	patience, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := r.watch(ctx, patience, c, true)
	switch {
	case err == nil:
		return r.trouble()
	case errors.Is(err, context.DeadlineExceeded) && patience.Err() != nil && ctx.Err() == nil:
		return tooLate(r.world, limit.String(), c, time.Now())
	}
	return err
}

// tooLate says that c did not hold in time, which is over now.
func tooLate(w *world, limit string, c condition, now time.Time) error {
	text := fmt.Sprintf("not within %s: %s", limit, ShortLine(c.text)) + because(w, c)
	if why := w.whyUnheard(c, now); why != "" {
		text += "\n" + why
	}
	return &outcome{text: text}
}

// because is what is missing, after a colon.
func because(w *world, c condition) string {
	if why := c.why(w); why != "" {
		return ": " + why
	}
	return ""
}

// hold wants c to hold now and for as long as limit.
func (r *run) hold(ctx context.Context, limit time.Duration, c condition) error {
	began := time.Now()
	patience, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer func(from int) { r.world.from = from }(r.world.from)
	r.world.mark()
	err := r.watch(ctx, patience, c, false)
	switch {
	case err == nil:
		return broken(r.world, time.Since(began), c)
	case errors.Is(err, context.DeadlineExceeded) && patience.Err() != nil && ctx.Err() == nil:
		return nil
	}
	return err
}

// broken says that c did not go on to hold, and what happened.
func broken(w *world, after time.Duration, c condition) error {
	text := "does not hold: " + ShortLine(c.text)
	if after >= time.Millisecond {
		text = fmt.Sprintf("no longer holds after %s: %s", after.Round(time.Millisecond), ShortLine(c.text))
	}
	return &outcome{text: text + because(w, c)}
}

// check wants c to hold now.
func (r *run) check(ctx context.Context, c condition) error {
	r.asks(c)
	c.begin(r.world)
	if c.question != nil {
		if err := c.question.ask(ctx, r.world); err != nil {
			return err
		}
	}
	if !c.holds(r.world) {
		return broken(r.world, 0, c)
	}
	return r.trouble()
}

// wait lets time pass, but notices when the run is spoilt meanwhile.
func (r *run) wait(ctx context.Context, d time.Duration) error {
	return r.hold(ctx, d, condition{predicate: always{}})
}
