package scenarios

import (
	"context"
	"io"
	"strings"
	"time"

	"peerlab/testbed"
)

// fault is something that is done to a cluster and can be undone.
type fault struct {
	// possible says why it cannot be done here, wrapping testbed.ErrUnable;
	// nil is what every engine can do.
	possible func() error
	// apply returns when the fault is in force. Where it can be measured, the
	// engine has measured that it is.
	apply func(ctx context.Context, e testbed.Engine) error
	undo  func(ctx context.Context, e testbed.Engine) error
}

// forWord begins the word that limits a fault: for=10s.
const forWord = "for="

// line makes the action of a line of it. With for=DURATION at the end of the
// line it is undone after that.
func (f fault) line(limit time.Duration) (action, error) {
	if f.possible != nil {
		if err := f.possible(); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, r *run, _ io.Writer) error {
		if err := f.apply(ctx, r.engine); err != nil || limit == 0 {
			return err
		}
		if err := r.wait(ctx, limit); err != nil {
			return err
		}
		return f.undo(ctx, r.engine)
	}, nil
}

// limited takes for=DURATION off the end of a line.
func (sc *scene) limited(a args) (args, time.Duration, error) {
	last := len(a.text) - 1
	if last < 0 || !strings.HasPrefix(a.text[last], forWord) {
		return a, 0, nil
	}
	d, err := parseDuration(strings.TrimPrefix(a.text[last], forWord))
	if err != nil {
		return a, 0, at(a.words[last], err)
	}
	sc.least += d
	a.words, a.text = a.words[:last], a.text[:last]
	return a, d, nil
}

// pausing freezes peers.
func pausing(names []string) fault {
	return fault{
		apply: func(ctx context.Context, e testbed.Engine) error { return e.Pause(ctx, names...) },
		undo:  func(ctx context.Context, e testbed.Engine) error { return e.Resume(ctx, names...) },
	}
}

// throttling allows peers so many processors.
func throttling(names []string, cpus float64) fault {
	return fault{
		apply: func(ctx context.Context, e testbed.Engine) error { return e.Throttle(ctx, cpus, names...) },
		undo:  func(ctx context.Context, e testbed.Engine) error { return e.Throttle(ctx, 0, names...) },
	}
}

// withoutBootstrap stops the bootstrap service.
func withoutBootstrap() fault {
	return fault{
		apply: func(ctx context.Context, e testbed.Engine) error { return e.Stop(ctx, testbed.Bootstrap) },
		undo:  func(ctx context.Context, e testbed.Engine) error { return e.Start(ctx, testbed.Bootstrap) },
	}
}

// linking puts links in force instead of those before.
func (sc *scene) linking(before, links testbed.Links) fault {
	return fault{
		possible: func() error {
			if err := links.Check(append([]string{testbed.Bootstrap}, sc.spec.Peers...)); err != nil {
				return err
			}
			if sc.possible == nil {
				return nil
			}
			return sc.possible(links)
		},
		apply: func(ctx context.Context, e testbed.Engine) error { return e.SetLinks(ctx, links) },
		undo:  func(ctx context.Context, e testbed.Engine) error { return e.SetLinks(ctx, before) },
	}
}

// setLinks makes these the links of the scene, for good or for a while.
func (sc *scene) setLinks(links testbed.Links, limit time.Duration) (action, error) {
	before := sc.links
	do, err := sc.linking(before, links).line(limit)
	if limit == 0 {
		sc.links = links
	}
	if err != nil || before.Changed(links) > 0 {
		return do, err
	}
	return func(ctx context.Context, r *run, _ io.Writer) error {
		r.tell(time.Since(r.began), 0, "nothing changes: the links are like that already")
		// An event of it would count as a fault, or as the end of one.
		if limit == 0 {
			return nil
		}
		return r.wait(ctx, limit)
	}, nil
}
