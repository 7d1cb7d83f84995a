package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"peerlab/event"
	"peerlab/internal/suggest"
	peerline "peerlab/peer/command"
	"peerlab/testbed"
)

// talking are the verbs around what peers are told and answer.
func talking() []verb {
	return []verb{
		{
			name: "repeat", args: "N [every=DURATION] PEER… LINE…", short: "have a peer run a line N times",
			detail: "{} in the line is the number of the time, from 1. A line begins when the one before has ended: where that takes longer than every=, the rate that came of it is told, and is in the history. With & at the end it goes on in the background, and what follows runs meanwhile.", example: "repeat 50 every=100ms alice msg 'number {}' &",
			inBackground: true, answers: true,
			rest:  func() restRule { return repeatRest },
			parse: parseRepeat,
		},
		{
			name: "join", answers: true, args: "", short: "wait for what runs in the background, and fail if any of it has failed",
			detail: "The end of the scenario does so, too.", example: "join",
			parse: func(_ *scene, a args) (action, error) {
				return func(_ context.Context, r *run, out io.Writer) error { return r.join(out) }, a.exactly(0, "no argument")
			},
		},
		{
			name: "stdout", args: "REGEXP", short: "what the line before wrote matches", example: "stdout 'erin +suspect'",
			detail: "The syntax is that of Go's regexp package; ^ and $ match at lines, too.",
			parse: func(_ *scene, a args) (action, error) {
				if err := a.exactly(1, "one regular expression: quote it if it has blanks"); err != nil {
					return nil, err
				}
				re, err := regexp.Compile("(?m)" + a.text[0])
				if err != nil {
					return nil, at(a.words[0], err)
				}
				return func(_ context.Context, r *run, _ io.Writer) error {
					if !re.MatchString(r.output) {
						return &outcome{text: fmt.Sprintf("no match in what the line before wrote:\n%s", indent(r.output))}
					}
					return nil
				}, nil
			},
		},
		{
			name: "mark", args: "TEXT…", rest: isText, short: "write a note into the history; conditions on events count from here", example: "mark 'the network is back'",
			parse: func(sc *scene, a args) (action, error) {
				if len(a.text) == 0 {
					return nil, errors.New("want a note")
				}
				if !sc.inactive {
					sc.marks = append(sc.marks, strings.Join(a.text, " "))
				}
				return func(_ context.Context, r *run, _ io.Writer) error {
					r.world.mark()
					r.engine.History().Record(event.Event{Kind: testbed.LabMark, Text: r.plan.Redact(strings.Join(a.text, " "))})
					return nil
				}, nil
			},
		},
	}
}

// repeatRest is the rest of repeat: a line behind how often, and the peers.
func repeatRest(words []word) form {
	before := 2
	if len(words) > 1 && strings.HasPrefix(words[1].raw(), "every=") {
		before = 3
	}
	if len(words) < before {
		return plain
	}
	return peerLine
}

func parseRepeat(sc *scene, a args) (action, error) {
	if len(a.text) < 3 {
		return nil, errors.New("want how many times, a peer and its line")
	}
	n, err := strconv.Atoi(a.text[0])
	if err != nil || n < 1 || n > 1_000_000 {
		return nil, at(a.words[0], fmt.Errorf("%q: want how many times, 1 to 1000000", a.text[0]))
	}
	a = a.rest(1)
	var every time.Duration
	if value, ok := strings.CutPrefix(a.text[0], "every="); ok {
		if every, err = parseDuration(value); err != nil {
			return nil, at(a.words[0], err)
		}
		a = a.rest(1)
	}
	first := a.rest(1)
	if len(first.text) > 0 {
		sc.secrets.addRepeated(first.text[0], n)
		first.text = []string{numbered(first.text[0], 1)}
	}
	first.mayFail = false
	if _, err := sc.parseLine(a.text[0], first); err != nil {
		return nil, err
	}
	names, err := sc.peers(a.text[:1])
	line := a.text[1]
	return func(ctx context.Context, r *run, out io.Writer) error {
		began := time.Now()
		next, last, done := began, began, 0
		defer func() {
			if slow := slowRepeat(done, every, last.Sub(began)); slow != "" {
				r.note(slow + ": " + line)
			}
		}()
		for i := range n {
			last, done = time.Now(), i+1
			if err := r.exec(ctx, names, numbered(line, i+1), out); err != nil {
				return err
			}
			next = next.Add(every)
			if err := sleep(ctx, time.Until(next)); err != nil && i < n-1 {
				return err
			}
		}
		return nil
	}, err
}

// slowRepeat says what became of a repeat that began so many lines within a time,
// if that is more than a tenth longer than was asked for.
func slowRepeat(lines int, every, took time.Duration) string {
	pauses := time.Duration(max(lines-1, 0))
	if every == 0 || took <= pauses*every*11/10 {
		return ""
	}
	rate := func(d time.Duration) float64 { return float64(pauses) / d.Seconds() }
	return fmt.Sprintf("repeat: %d lines in %s, %.3g a second instead of %.3g, because each waits for the one before to end",
		lines, took.Round(time.Millisecond), rate(took), rate(pauses*every))
}

// numbered returns a line with the number of the time in place of {}.
func numbered(line string, n int) string { return strings.ReplaceAll(line, "{}", strconv.Itoa(n)) }

// lineWords returns the words of a line for a peer. A text that cannot be cut
// into words is cut at its blanks.
func lineWords(line string) []string {
	words, err := peerline.Split(line)
	if err != nil {
		words = strings.Fields(line)
	}
	return words
}

// isPeers says whether a word names peers that a line is for: one, or a list.
func (sc *scene) isPeers(name string) bool {
	return slices.Contains(sc.spec.Peers, name) || name == all || strings.Contains(name, ",") || strings.Contains(name, "..")
}

// parseLine reads a line of the shell of one or several peers.
func (sc *scene) parseLine(list string, a args) (action, error) {
	names, err := sc.peers([]string{list})
	if err != nil {
		return nil, err
	}
	if len(a.text) == 0 {
		return nil, fmt.Errorf("want a line for %s's shell, such as %s members", list, list)
	}
	line := a.text[0]
	words := lineWords(line)
	if len(words) == 0 {
		return nil, fmt.Errorf("want a line for %s's shell, such as %s members", list, list)
	}
	first := strings.TrimPrefix(words[0], "/")
	if slices.Contains([]string{"quit", "exit", "abort"}, first) {
		for _, name := range names {
			sc.ends[name] = true
		}
	}
	if known := peerWords(); !a.mayFail && !slices.Contains(known, first) {
		if slices.Contains(sc.spec.Peers, first) {
			return nil, at(a.words[0], fmt.Errorf("a peer has no command %q: for a line of several peers write their names with a comma, %s,%s", first, list, first))
		}
		text := fmt.Sprintf("a peer has no command %q: see docs/commands.md", first)
		if strings.HasPrefix(strings.TrimSpace(line), `"`) && strings.Contains(first, " ") {
			text = fmt.Sprintf("a peer has no command %q: double quotes make one word of it, write '%s' in single quotes or without", first, first)
		} else if near := suggest.Similar(first, known); len(near) > 0 {
			text = fmt.Sprintf("a peer has no command %q: did you mean %s?", first, strings.Join(near, ", "))
		}
		return nil, at(a.words[0], errors.New(text))
	}
	if first == "testfilter" && !a.mayFail && !sc.asksTests {
		return nil, at(a.words[0], errors.New("nothing judges a testfilter here: a test file (.cmd) does, or a line with testsummary; in a scenario write await 5s PEER… has message TEXT…"))
	}
	if err := peerCommands().CheckLine(line); !a.mayFail && err != nil {
		return nil, at(a.words[0], err)
	}
	sc.secrets.addLine(words)
	for _, other := range contacts(words) {
		if !slices.Contains(sc.spec.Peers, other) {
			return nil, at(a.words[0].within("@"+other), testbed.NoPeer(other, sc.spec.Peers))
		}
	}
	if !a.mayFail && sc.beside != nil {
		files, err := sc.beside.named(words)
		if missing := new(fileError); errors.As(err, &missing) {
			return nil, at(a.words[0].within(missing.name), err)
		}
		maps.Copy(sc.files, files)
	}
	return func(ctx context.Context, r *run, out io.Writer) error { return r.exec(ctx, names, line, out) }, nil
}

// contacts are the peers that a line joins by name: in "membership join @bob"
// bob stands for his address.
func contacts(line []string) (named []string) {
	if len(line) == 0 {
		return nil
	}
	first := len(line)
	switch command := strings.TrimPrefix(line[0], "/"); {
	case command == "memberlistjoin":
		first = 1
	case command == "membership" && len(line) > 1 && line[1] == "join":
		first = 2
	}
	for _, word := range line[first:] {
		if name, is := strings.CutPrefix(word, "@"); is {
			named = append(named, name)
		}
	}
	return named
}

// peerWords are the words with which a line of a peer's shell can begin.
var peerWords = sync.OnceValue(func() []string {
	var words []string
	for _, c := range peerCommands().Commands() {
		for _, name := range append([]string{c.Name}, c.Aliases...) {
			if first, _, _ := strings.Cut(name, " "); !slices.Contains(words, first) {
				words = append(words, first)
			}
		}
	}
	return words
})

// exec runs a line in peers. What they say comes in their order, and the failure
// of one is that of the line.
func (r *run) exec(ctx context.Context, names []string, line string, out io.Writer) error {
	said, errs := r.world.exec(ctx, names, line)
	var failures []string
	for i, err := range errs {
		_, _ = out.Write(said[i].Bytes())
		var failed *outcome
		if errors.As(err, &failed) {
			failures = append(failures, failed.text)
		} else if err != nil {
			return err
		}
	}
	if len(failures) > 0 {
		return &outcome{text: strings.Join(failures, "; ")}
	}
	return nil
}

// sleep returns when d has passed, or the error with which ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func indent(text string) string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		text = "(nothing)"
	}
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}
