package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"peerlab/event"
	"peerlab/testbed"
)

// things are the conditions on what no event tells: the cluster is asked every
// second, and after events that may change the answer.
func things() []kind {
	return []kind{
		{
			form: "bootstrap lists PEER…|N", short: "the bootstrap service lists these peers, among others, or so many", example: "bootstrap lists alice,bob",
			detail: "A running peer is told to ask it, every second.",
			parse:  parseLists,
		},
		{
			form: "PEER… answer LINE… with REGEXP", text: answerText, short: "what each of them answers to a line of its shell matches", example: "all answer 'broadcast list' with 'motd +hello'",
			detail: "They are asked every second. The syntax is that of stdout. A peer that does not run, or where the line fails, does not answer so.",
			parse:  parseAnswers,
		},
		{
			form: "PEER… ends", short: "the process of each of them has ended", example: "dave ends",
			detail: "A scenario that says so anywhere is not surprised when these peers end by themselves.",
			parse:  parseEnds,
		},
	}
}

func parseLists(sc *scene, a args) (func() predicate, bool, error) {
	if a.text[0] != testbed.Bootstrap {
		return nil, false, nil
	}
	if len(a.text) < 3 || a.text[1] != "lists" {
		return nil, true, errors.New("want bootstrap lists PEER…, or a number of peers")
	}
	n, err := strconv.Atoi(a.text[2])
	counts := err == nil && len(a.text) == 3
	var want []string
	if !counts {
		if want, err = sc.names(a.text[2:]); err != nil {
			return nil, true, err
		}
	} else if n < 0 || n > len(sc.spec.Peers) {
		return nil, true, at(a.words[2], fmt.Errorf("it cannot list %d: the cluster has %d peers", n, len(sc.spec.Peers)))
	}
	return func() predicate {
		return &lists{peers: sc.spec.Peers, counts: counts, n: n, want: want}
	}, true, nil
}

// answer is what a question was answered last.
type answer struct{ ok bool }

func (*answer) begin(*world)        {}
func (*answer) take(*world, update) {}
func (a *answer) holds(*world) bool { return a.ok }

// lists asks a running peer to ask the bootstrap service.
type lists struct {
	answer
	peers  []string
	counts bool // n are wanted, else those of want
	n      int
	want   []string

	answered bool
	listed   []string
}

func (q *lists) ask(ctx context.Context, w *world) error {
	for _, name := range q.peers {
		if !w.view.Runs(name) || w.view.Paused(name) {
			continue
		}
		var peers map[string]struct{ Name string }
		ok, err := w.ask(ctx, name, "bootstrap list -format json", &peers)
		if err != nil {
			return err
		}
		if !ok {
			continue // it may be cut off from the service
		}
		q.answered, q.listed = true, nil
		for _, p := range peers {
			q.listed = append(q.listed, p.Name)
		}
		slices.Sort(q.listed)
		if q.counts {
			q.ok = len(q.listed) == q.n
		} else {
			q.ok = !slices.ContainsFunc(q.want, func(name string) bool { return !slices.Contains(q.listed, name) })
		}
		return nil
	}
	q.ok, q.answered = false, false
	return nil
}

func (*lists) hint(e event.Event) bool {
	return e.Kind == event.BootstrapJoin || e.Kind == event.BootstrapLeave
}

func (q *lists) why(*world) string {
	if !q.answered {
		return "no peer gets an answer from it"
	}
	return "it lists " + strings.Join(q.listed, ", ")
}

func parseEnds(sc *scene, a args) (func() predicate, bool, error) {
	n := len(a.text) - 1
	if n < 1 || a.text[n] != "ends" && a.text[n] != "end" {
		return nil, false, nil
	}
	names, err := sc.peers(a.text[:n])
	if err != nil {
		return nil, true, err
	}
	for _, name := range names {
		sc.ends[name] = true
	}
	return func() predicate {
		return &ends{peers: names}
	}, true, nil
}

// ends asks the engine whose process has ended.
type ends struct {
	answer
	peers []string
	still []string // who has not
}

func (q *ends) ask(ctx context.Context, w *world) error {
	peers, err := w.engine.Peers(ctx)
	if err != nil {
		return err
	}
	q.still = nil
	for _, p := range peers {
		if slices.Contains(q.peers, p.Name) && p.State != testbed.Stopped {
			q.still = append(q.still, p.Name)
		}
	}
	q.ok = len(q.still) == 0
	return nil
}

func (*ends) hint(e event.Event) bool {
	switch e.Kind {
	case event.PeerStopping, testbed.LabStop, testbed.LabKill, testbed.LabExit:
		return true
	}
	return false
}

func (q *ends) why(*world) string { return "still there: " + strings.Join(q.still, ", ") }
