package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerlab/testbed"
)

// life are the verbs for the processes of peers.
func life() []verb {
	return []verb{
		{
			name: "start", args: "[PEER…]", short: "start peers: all, or those named",
			detail:  "The bootstrap service runs from the beginning. start returns when the processes run, in virtual time immediately: a line for a peer waits until it has begun, and await tells when peers have joined.",
			example: "start alice,bob",
			parse: func(sc *scene, a args) (action, error) {
				words := a.text
				if len(words) == 0 {
					words = []string{all}
				}
				names, err := sc.peers(words)
				sc.begun = true
				sc.run(names)
				return func(ctx context.Context, r *run, _ io.Writer) error { return r.start(ctx, names) }, err
			},
		},
		ending("stop", "have peers leave (SIGTERM), and kill those that have not within ten seconds", "stop erin", testbed.Engine.Stop),
		ending("kill", "end peers at once (SIGKILL)", "kill dave,erin for=30s", testbed.Engine.Kill),
		{
			name: "pause", args: "PEER… [for=DURATION]", short: "freeze peers: their connections stay, and they answer nothing", example: "pause alice for=10s",
			detail: "With for= the line ends when they go on again. So it is with the other faults that take it.",
			parse: func(sc *scene, a args) (action, error) {
				a, limit, err := sc.limited(a)
				if err != nil {
					return nil, err
				}
				names, err := sc.peers(a.text)
				if err != nil {
					return nil, err
				}
				return pausing(names).line(limit)
			},
		},
		onPeers("resume", "let paused peers go on, and stalled ones for good", "resume alice", func(ctx context.Context, r *run, names []string) error {
			r.endStalls(names)
			return r.engine.Resume(ctx, names...)
		}),
		{
			name: "throttle", args: "PEER… CPUS|off [for=DURATION]", short: "allow each of them only so many processors", example: "throttle alice,bob 0.02",
			parse: func(sc *scene, a args) (action, error) {
				a, limit, err := sc.limited(a)
				if err != nil {
					return nil, err
				}
				n := len(a.text) - 1
				if n < 1 {
					return nil, errors.New("want peers and how many processors, such as alice 0.02, or off")
				}
				names, err := sc.peers(a.text[:n])
				if err != nil {
					return nil, err
				}
				var cpus float64
				if last := a.text[n]; last != "off" {
					cpus, err = strconv.ParseFloat(strings.TrimPrefix(last, "cpus="), 64)
					if err != nil || !(cpus >= testbed.MinCPUs && cpus <= 1024) {
						return nil, at(a.words[n], fmt.Errorf("%q: want %g to 1024 processors, or off", last, testbed.MinCPUs))
					}
				}
				return throttling(names, cpus).line(limit)
			},
		},
		onPeers("move", "restart peers at an address that nobody had: a running one is killed", "move charly", func(ctx context.Context, r *run, names []string) error {
			return r.move(ctx, names)
		}),
		{
			name: "stall", args: "PEER… for=DURATION every=DURATION", short: "pause and resume peers again and again, in the background",
			detail: "Each period begins with a pause. It goes on until resume names them, or the scenario ends. With for=16s every=16.256s it is the anomaly " +
				"of the Lifeguard paper: a peer that gets no processor, but for a moment now and then.",
			example: "stall alice..dave for=16s every=16.256s",
			parse:   parseStall,
		},
		{
			name: "bootstrap", args: "start|stop [for=DURATION]", short: "start or stop the bootstrap service", example: "bootstrap stop",
			parse: func(sc *scene, a args) (action, error) {
				a, limit, err := sc.limited(a)
				if err == nil {
					err = a.exactly(1, "start or stop")
				}
				if err != nil {
					return nil, err
				}
				switch a.text[0] {
				case "start":
					return func(ctx context.Context, r *run, _ io.Writer) error { return r.engine.Start(ctx, testbed.Bootstrap) }, nil
				case "stop":
					return withoutBootstrap().line(limit)
				}
				return nil, at(a.words[0], fmt.Errorf("%q: want start or stop", a.text[0]))
			},
		},
	}
}

// onPeers makes a verb that takes nothing but peers.
func onPeers(name, short, example string, do func(ctx context.Context, r *run, names []string) error) verb {
	return verb{
		name: name, args: "PEER…", short: short, example: example,
		parse: func(sc *scene, a args) (action, error) {
			names, err := sc.peers(a.text)
			if name == "move" {
				sc.run(names)
			}
			return func(ctx context.Context, r *run, _ io.Writer) error { return do(ctx, r, names) }, err
		},
	}
}

// ending makes a verb that ends peers, and with for=DURATION starts them again.
func ending(name, short, example string, end func(e testbed.Engine, ctx context.Context, names ...string) error) verb {
	return verb{
		name: name, args: "PEER… [for=DURATION]", short: short, example: example,
		parse: func(sc *scene, a args) (action, error) {
			a, limit, err := sc.limited(a)
			if err != nil {
				return nil, err
			}
			names, err := sc.peers(a.text)
			if limit > 0 {
				sc.run(names)
			} else if !a.mayFail {
				sc.stop(names)
			}
			return func(ctx context.Context, r *run, _ io.Writer) error {
				r.expectEnd(names)
				if err := end(r.engine, ctx, names...); err != nil || limit == 0 {
					return err
				}
				if err := r.wait(ctx, limit); err != nil {
					return err
				}
				return r.start(ctx, names)
			}, err
		},
	}
}

// run notes that peers run from here on, or may.
func (sc *scene) run(names []string) {
	for _, name := range names {
		delete(sc.stopped, name)
	}
}

// stop notes that peers do not run from here on.
func (sc *scene) stop(names []string) {
	for _, name := range names {
		sc.stopped[name] = true
	}
}

func parseStall(sc *scene, a args) (action, error) {
	n := slices.IndexFunc(a.text, func(w string) bool { return strings.Contains(w, "=") })
	if n < 0 {
		return nil, errors.New("want peers, for=DURATION and every=DURATION")
	}
	names, err := sc.peers(a.text[:n])
	if err != nil {
		return nil, err
	}
	var pause, period time.Duration
	for i, w := range a.text[n:] {
		key, value, _ := strings.Cut(w, "=")
		d, err := parseDuration(value)
		switch {
		case err != nil:
		case key == "for":
			pause = d
		case key == "every":
			period = d
		default:
			err = fmt.Errorf("%q: want for= or every=", w)
		}
		if err != nil {
			return nil, at(a.words[n+i], err)
		}
	}
	if pause <= 0 || period <= pause {
		return nil, fmt.Errorf("want for= above 0 and every= above that, not for=%s every=%s", pause, period)
	}
	return func(ctx context.Context, r *run, _ io.Writer) error { return r.stall(ctx, names, pause, period) }, nil
}
