package scenarios

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
)

// undoing names, for each fault that can be given a time (for=30s), the verb
// that ends it; for links that is heal, but only of what the line has changed.
func undoing() map[string]string {
	return map[string]string{
		"stop": "start", "kill": "start", "pause": "resume",
		"partition": "heal", "cut": "heal", "link": "heal",
	}
}

// timed says whether a line ends with for=DURATION, for a verb that takes it.
func timed(name string, a args) bool {
	return len(a.text) > 1 && undoing()[name] != "" && strings.HasPrefix(a.text[len(a.text)-1], "for=")
}

// parseTimed reads a fault that is undone after a time, for which the line
// lasts.
func (sc *scene) parseTimed(v verb, a args) (action, error) {
	n := len(a.text) - 1
	d, err := parseDuration(strings.TrimPrefix(a.text[n], "for="))
	if err == nil && d == 0 {
		err = errors.New("want more than no time")
	}
	if err != nil {
		return nil, at(a.words[n], err)
	}
	rest := args{slices.Clip(a.words[:n]), slices.Clip(a.text[:n])}
	before := maps.Clone(sc.links)
	do, err := v.parse(sc, rest)
	if err != nil {
		return nil, err
	}
	var undo action
	if name := undoing()[v.name]; name == "heal" {
		undo, err = sc.setLinks(before)
	} else {
		end, _ := findVerb(name)
		undo, err = end.parse(sc, rest)
	}
	return func(ctx context.Context, r *run, out io.Writer) error {
		if err := do(ctx, r, out); err != nil {
			return err
		}
		if err := r.wait(ctx, d); err != nil {
			return err
		}
		return undo(ctx, r, out)
	}, err
}
