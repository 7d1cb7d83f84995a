package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"peerlab/testbed"
)

// things are the conditions on what no event tells: the cluster is asked,
// whenever something happens and every second.
func things() []kind {
	return []kind{
		{
			form: "bootstrap lists PEER…|N", short: "the bootstrap service lists these peers, among others, or so many", example: "bootstrap lists alice,bob",
			detail: "A running peer is told to ask it, every second.",
			parse:  parseLists,
		},
		{
			form: "PEER… ends", short: "the process of each of them has ended", example: "dave ends",
			detail: "A scenario that says so anywhere is not surprised when these peers end by themselves.",
			parse:  parseEnds,
		},
	}
}

func parseLists(sc *scene, a args) (condition, bool, error) {
	if a.text[0] != testbed.Bootstrap {
		return condition{}, false, nil
	}
	if len(a.text) < 3 || a.text[1] != "lists" {
		return condition{}, true, errors.New("want bootstrap lists PEER…, or a number of peers")
	}
	n, err := strconv.Atoi(a.text[2])
	counts := err == nil && len(a.text) == 3
	var want []string
	if !counts {
		if want, err = sc.names(a.text[2:], nil); err != nil {
			return condition{}, true, err
		}
	} else if n < 0 || n > len(sc.spec.Peers) {
		return condition{}, true, at(a.words[2], fmt.Errorf("it cannot list %d: the cluster has %d peers", n, len(sc.spec.Peers)))
	}
	var listed []string
	asked := false
	c := condition{asks: true}
	c.holds = func(ctx context.Context, w *world) (bool, error) {
		asked = false
		for _, name := range sc.spec.Peers {
			if !w.view.Runs(name) || w.view.Paused(name) {
				continue
			}
			var peers map[string]struct{ Name string }
			ok, err := w.ask(ctx, name, "bootstrap list -format json", &peers)
			if err != nil {
				return false, err
			}
			if !ok {
				continue // it may be cut off from the service
			}
			asked, listed = true, nil
			for _, p := range peers {
				listed = append(listed, p.Name)
			}
			if counts {
				return len(listed) == n, nil
			}
			return !slices.ContainsFunc(want, func(name string) bool { return !slices.Contains(listed, name) }), nil
		}
		return false, nil
	}
	c.why = func(*world) string {
		if !asked {
			return "no peer gets an answer from it"
		}
		return "it lists " + strings.Join(listed, ", ")
	}
	return c, true, nil
}

func parseEnds(sc *scene, a args) (condition, bool, error) {
	n := len(a.text) - 1
	if n < 1 || a.text[n] != "ends" && a.text[n] != "end" {
		return condition{}, false, nil
	}
	names, err := sc.peers(a.text[:n])
	if err != nil {
		return condition{}, true, err
	}
	for _, name := range names {
		sc.ends[name] = true
	}
	var still []string
	c := condition{asks: true}
	c.holds = func(ctx context.Context, w *world) (bool, error) {
		peers, err := w.engine.Peers(ctx)
		still = nil
		for _, p := range peers {
			if slices.Contains(names, p.Name) && p.State != testbed.Stopped {
				still = append(still, p.Name)
			}
		}
		return len(still) == 0, err
	}
	c.why = func(*world) string { return "still there: " + strings.Join(still, ", ") }
	return c, true, nil
}

// ask has a peer run a line that answers with JSON. That it cannot is no error.
func (w *world) ask(ctx context.Context, name, line string, answer any) (ok bool, err error) {
	var out boundedOutput
	err = w.engine.Exec(ctx, name, line, &out)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.Is(err, testbed.ErrPaused), errors.Is(err, testbed.ErrStopped), errors.As(err, new(*testbed.CommandError)):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := json.Unmarshal(out.Bytes(), answer); err != nil {
		return false, fmt.Errorf("what %s answers to %q: %w", name, line, err)
	}
	return true, nil
}
