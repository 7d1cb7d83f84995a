package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"peerlab/observe"
)

// waiting are the verbs that wait, and that judge.
func waiting() []verb {
	return []verb{
		{
			name: "await", judges: true, args: "DURATION CONDITION", rest: conditionRest(1), short: "wait until the condition holds, and fail if it does not in time",
			detail: "Looks after each single event.", example: "await $DETECT_MAX*2 all see 4 alive",
			parse: func(sc *scene, a args) (action, error) {
				limit, c, err := parseWaiting(sc, a)
				return func(ctx context.Context, r *run, _ io.Writer) error { return r.await(ctx, limit, r.condition(c)) }, err
			},
		},
		{
			name: "hold", judges: true, args: "DURATION CONDITION", rest: conditionRest(1), short: "the condition holds now and all the time until then",
			detail: "Looks after each single event. Conditions on events count from the beginning of the hold.", example: "hold 30s nobody dies",
			parse: func(sc *scene, a args) (action, error) {
				limit, c, err := parseWaiting(sc, a)
				sc.least += limit
				return func(ctx context.Context, r *run, _ io.Writer) error { return r.hold(ctx, limit, r.condition(c)) }, err
			},
		},
		{
			name: "wait", args: "DURATION", short: "let time pass", detail: "Rarely what is meant: await says for what.", example: "wait 60s",
			parse: func(sc *scene, a args) (action, error) {
				if err := a.exactly(1, "one duration, such as 10s"); err != nil {
					return nil, err
				}
				d, err := parseDuration(a.text[0])
				sc.least += d
				return func(ctx context.Context, r *run, _ io.Writer) error { return r.wait(ctx, d) }, err
			},
		},
		{
			name: "check", judges: true, args: "CONDITION|NAME", rest: conditionRest(0), short: "the condition holds now, or the history fulfills a promise", example: "check chat",
			detail: "A condition is one as for await. The promises are judged by what has happened since the beginning: " + listing(observe.Checks()) + ".",
			parse:  parseCheck,
		},
		{
			name: "measure", judges: true, args: "NAME… [since TEXT…]", rest: func() restRule { return sinceRest }, short: "measure what has happened, beside what theory says", example: "measure detection",
			detail: "With since only what began after the mark with this text, the last of several. Measures: " + listing(observe.Measures()) + ".",
			parse:  parseMeasure,
		},
	}
}

// sinceRest is the rest of measure: the text of a mark after since.
func sinceRest(words []word) form {
	if n := len(words); n > 1 && words[n-1].raw() == "since" {
		return freeText
	}
	return plain
}

// listing names measures or checks, each with its line.
func listing(all []observe.Help) string {
	texts := make([]string, len(all))
	for i, h := range all {
		texts[i] = h.Name + " (" + h.Text + ")"
	}
	return strings.Join(texts, ", ")
}

func names(all []observe.Help) []string {
	list := make([]string, len(all))
	for i, h := range all {
		list[i] = h.Name
	}
	return list
}

// parseWaiting reads a duration and a condition.
func parseWaiting(sc *scene, a args) (limit time.Duration, c compiledCondition, err error) {
	if len(a.text) < 2 {
		return limit, c, errors.New("want a duration and a condition, such as 10s all see 5 alive")
	}
	d, err := parseDuration(a.text[0])
	if err != nil {
		return limit, c, at(a.words[0], err)
	}
	if d == 0 {
		return limit, c, at(a.words[0], fmt.Errorf("%q: want more than no time", a.text[0]))
	}
	c, err = parseCondition(sc, a.rest(1))
	return d, c, err
}

func parseCheck(sc *scene, a args) (action, error) {
	if len(a.text) == 1 {
		name := a.text[0]
		if known := names(observe.Checks()); !slices.Contains(known, name) {
			return nil, at(a.words[0], fmt.Errorf("%q is no check and no condition: %s", name, meant(name, known)))
		}
		return func(_ context.Context, r *run, _ io.Writer) error { return r.checkNamed(name) }, nil
	}
	known := names(observe.Checks())
	if !slices.ContainsFunc(a.text, func(name string) bool { return !slices.Contains(known, name) }) && len(a.text) > 1 {
		return nil, at(a.words[1], fmt.Errorf("a line checks one promise: write check %s", strings.Join(a.text, ", then check ")))
	}
	c, err := parseCondition(sc, a)
	return func(ctx context.Context, r *run, _ io.Writer) error { return r.check(ctx, r.condition(c)) }, err
}

func parseMeasure(sc *scene, a args) (action, error) {
	known := names(observe.Measures())
	q := parseMeasuring(a.text)
	for i, name := range q.names {
		if !slices.Contains(known, name) {
			return nil, at(a.words[i], fmt.Errorf("there is no measure %q: %s", name, meant(name, known)))
		}
	}
	switch marked := a.text[len(q.names):]; {
	case !q.marked || sc.inactive:
	case len(marked) == 1:
		return nil, at(a.words[len(q.names)], errors.New("want the text of a mark after since"))
	case len(sc.marks) == 0:
		return nil, at(a.words[len(q.names)+1], errors.New("no line above has a mark"))
	case !slices.Contains(sc.marks, q.since):
		return nil, at(a.words[len(q.names)+1], fmt.Errorf("no line above has the mark %q: %s", q.since, meant(q.since, sc.marks)))
	}
	return func(_ context.Context, r *run, out io.Writer) error { return r.measure(q, out) }, nil
}
