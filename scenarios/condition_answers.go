package scenarios

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"peerlab/event"
	"peerlab/internal/terminal"
)

func answerText(words []string) bool {
	n := len(words)
	return n > 2 && (words[0] == "answer" || words[0] == "answers") && words[n-1] == "with"
}

// parseAnswers reads the condition on what several peers answer to a line.
func parseAnswers(sc *scene, a args) (func() predicate, bool, error) {
	who, what, ok := cutAt(a.text, "answer", "answers")
	if !ok {
		return nil, false, nil
	}
	n := len(what)
	if n < 3 || what[n-2] != "with" {
		return nil, true, errors.New("want a line and what its output is to match, such as all answer 'broadcast list' with 'motd +hello'")
	}
	s, err := parseSubject(sc, who)
	if err != nil {
		return nil, true, err
	}
	line := strings.Join(what[:n-2], " ")
	for _, name := range s.names { // of each at least one is to take the line
		check := args{words: a.words[len(who)+1:], text: []string{line}, mayFail: a.mayFail}
		if _, err := sc.parseLine(name, check); err != nil {
			return nil, true, err
		}
	}
	match, err := regexp.Compile("(?m)" + what[n-1])
	if err != nil {
		return nil, true, at(a.words[len(a.words)-1], fmt.Errorf("%q is no regular expression: %w", what[n-1], err))
	}
	if err := sc.checkSubject(a, s); err != nil {
		return nil, true, err
	}
	return func() predicate { return &answers{subject: s, line: line, match: match} }, true, nil
}

// answers asks peers to run a line, and holds if what each of them answers
// matches.
type answers struct {
	answer
	subject
	line    string
	match   *regexp.Regexp
	asked   bool     // all of them have answered once
	wanting []string // who does not answer so
	meant   int      // how many are asked
}

func (q *answers) ask(ctx context.Context, w *world) error {
	meant := slices.DeleteFunc(slices.Clone(q.names), func(name string) bool { return !q.means(w, name) })
	said, errs := w.exec(ctx, meant, q.line)
	var wanting []string
	for i, err := range errs {
		var failed *outcome
		switch {
		case errors.As(err, &failed):
			wanting = append(wanting, terminal.FirstLine(failed.text))
		case err != nil:
			return err
		case !q.match.Match(said[i].Bytes()):
			wanting = append(wanting, meant[i]+" answers otherwise")
		}
	}
	q.asked, q.wanting, q.meant = true, wanting, len(meant)
	q.ok = len(meant) > 0 && len(wanting) == 0
	return nil
}

func (*answers) hint(event.Event) bool { return false }

func (q *answers) why(*world) string {
	switch {
	case !q.asked:
		return "the answers do not come in time"
	case q.meant == 0:
		return "no peer runs"
	}
	return some(q.wanting, "; ")
}
