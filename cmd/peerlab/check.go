package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal"
	"peerlab/internal/terminal/layout"
	"peerlab/observe"
	"peerlab/scenarios"
)

// checkCommand judges saved runs again.
func (l *lab) checkCommand() *cobra.Command {
	return withFormats(&cobra.Command{
		Use: "check DIR… [NAME…]", Short: "Evaluate saved runs again, with the checks and conditions of this program",
		Long: `Evaluate saved runs again, with the checks and conditions of this program: the lines
await, hold, check and measure of the scenario, each over the same part of the history
as in the run. DIR is the directory of a run, a directory of several runs such as the
one of --out, or an ID that peerlab runs lists (last is the newest). NAME is a further
check or measure, over the whole history: ` + strings.Join(asked(), ", ") + `
(write ./NAME for a directory with such a name). The exit status is as for peerlab run.`,
		Args: atLeast(1, "the directory of a saved run"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			proposed, directive := completeChecks(cmd, args, word)
			if ids, _ := l.completeResults(cmd, args, word); len(ids) > 0 {
				return append(ids, proposed...), withFiles
			}
			return proposed, directive
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var names, places []string
			for _, arg := range args {
				if slices.Contains(asked(), arg) {
					names = append(names, arg)
				} else {
					places = append(places, arg)
				}
			}
			if len(places) == 0 {
				return usageError{fmt.Errorf("check needs the directory of a saved run: see %s --help", cmd.CommandPath())}
			}
			var err error
			for i, place := range places {
				if places[i], err = l.savedPlace(place); err != nil {
					return usageError{err}
				}
			}
			dirs, err := scenarios.Saved(places)
			if err != nil {
				return usageError{err}
			}
			verdict := observe.Pass
			var all []rejudged
			for _, dir := range dirs {
				record, err := observe.Load(dir)
				if err != nil {
					return err
				}
				again, err := scenarios.JudgeAgain(record, names...)
				if err != nil {
					return err
				}
				all = append(all, rejudgedOf(dir, record, again))
				verdict = scenarios.Worse(verdict, again.Verdict)
			}
			if err := l.printJudged(cmd, all); err != nil {
				return err
			}
			return exit(verdict)
		},
	}, formatJSON)
}

// savedPlace is where saved runs are that a word names: a directory, or else what
// peerlab runs lists.
func (l *lab) savedPlace(word string) (string, error) {
	_, err := os.Stat(word)
	if !errors.Is(err, fs.ErrNotExist) {
		return word, nil // what else is wrong, whoever reads it says
	}
	dir, err := l.findResults(word)
	if err != nil {
		return "", fmt.Errorf("no directory and no results are named %s: peerlab runs lists the results", word)
	}
	return dir, nil
}

// asked are the names of checks and measures, each once.
func asked() (names []string) {
	for _, h := range slices.Concat(observe.Checks(), observe.Measures()) {
		if !slices.Contains(names, h.Name) {
			names = append(names, h.Name)
		}
	}
	return names
}

// rejudged is a saved run and what it comes to now.
type rejudged struct {
	Dir      string             `json:"dir"`
	Scenario string             `json:"scenario"`
	Was      observe.Verdict    `json:"was"`
	Verdict  observe.Verdict    `json:"verdict"`
	Reason   string             `json:"reason,omitempty"`
	Note     string             `json:"note,omitempty"`
	Lines    []rejudgedLine     `json:"lines"`
	Checks   []observe.Checked  `json:"checks"`
	Measures []observe.Measured `json:"measures"`
}

// rejudgedLine is a line of its scenario.
type rejudgedLine struct {
	Line    int             `json:"line"`
	Text    string          `json:"text"`
	Was     observe.Verdict `json:"was"`
	Verdict observe.Verdict `json:"verdict"`
	Found   string          `json:"found,omitempty"`
	// Unseen says that no event tells: it is as it was.
	Unseen bool `json:"unseen,omitempty"`
}

func rejudgedOf(dir string, record *observe.Record, again *scenarios.Again) rejudged {
	r := rejudged{
		Dir: dir, Scenario: record.Scenario, Was: record.Verdict, Verdict: again.Verdict, Reason: again.Reason, Note: again.Note,
		Lines: []rejudgedLine{}, Checks: again.Checks, Measures: again.Measures,
	}
	for i, l := range again.Lines {
		r.Lines = append(r.Lines, rejudgedLine{l.Line, l.Text, again.Was[i], l.Came(), l.Found, l.Unseen})
	}
	return r
}

func (l *lab) printJudged(cmd *cobra.Command, all []rejudged) error {
	if l.json() {
		return printJSON(cmd, all)
	}
	out := cmd.OutOrStdout()
	colors := l.palette(out)
	for _, one := range all {
		var b strings.Builder
		fmt.Fprintf(&b, "%s, in %s: %s", one.Scenario, one.Dir, one.Verdict)
		if one.Verdict != one.Was {
			fmt.Fprintf(&b, " (it was %s)", one.Was)
		}
		if one.Reason != "" {
			fmt.Fprintf(&b, ": %s", terminal.Join(one.Reason))
		}
		b.WriteByte('\n')
		if one.Note != "" {
			fmt.Fprintf(&b, "  %s\n", one.Note)
		}
		for _, line := range one.Lines {
			fmt.Fprintf(&b, "  line %d: %s: %s", line.Line, line.Verdict, scenarios.ShortLine(line.Text))
			switch {
			case line.Unseen:
				b.WriteString(" (as it was: no event tells)")
			case line.Verdict != line.Was:
				fmt.Fprintf(&b, " (it was %s)", line.Was)
			}
			b.WriteByte('\n')
		}
		for _, c := range one.Checks {
			b.WriteString(c.String())
		}
		for _, m := range one.Measures {
			b.WriteString(m.String())
		}
		for line := range strings.Lines(b.String()) {
			line = terminal.Line(strings.TrimSuffix(line, "\n"))
			fmt.Fprintln(out, layout.Wrap(colors.story(line), layout.Width(out), max(4, indentOf(line))))
		}
	}
	return nil
}
