package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/terminal"
)

// checkCommand judges saved runs again.
func (l *lab) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check DIR…", Short: "Judge saved runs again, by the checks of this program",
		Long: `Judge saved runs again, by all checks that this program knows, and take all its
measures. DIR is a run's directory, or one that holds some, such as --out of peerlab
run. The exit status is that of peerlab run.`,
		Args: atLeast(1, "the directory of a saved run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dirs, err := scenarios.Saved(args)
			if err != nil {
				return usageError{err}
			}
			verdict := observe.Pass
			var all []rejudged
			for _, dir := range dirs {
				one, err := judgeAgain(dir)
				if err != nil {
					return untold(err)
				}
				all = append(all, one)
				verdict = scenarios.Worse(verdict, one.Verdict)
			}
			if err := l.printJudged(cmd, all); err != nil {
				return err
			}
			if verdict != observe.Pass {
				return verdictStatus(scenarios.Status(verdict))
			}
			return nil
		},
	}
}

// rejudged is a saved run and what it comes to now.
type rejudged struct {
	Dir      string             `json:"dir"`
	Scenario string             `json:"scenario"`
	Was      observe.Verdict    `json:"was"`
	Reason   string             `json:"reason,omitempty"`
	Verdict  observe.Verdict    `json:"verdict"`
	Checks   []observe.Checked  `json:"checks"`
	Measures []observe.Measured `json:"measures"`
}

func judgeAgain(dir string) (rejudged, error) {
	record, err := observe.Load(dir)
	if err != nil {
		return rejudged{}, err
	}
	again := rejudged{Dir: dir, Scenario: record.Scenario, Was: record.Verdict, Reason: record.Reason, Verdict: record.Verdict}
	for _, h := range observe.Checks() {
		checked, err := observe.Check(record, h.Name)
		if err != nil {
			return again, err
		}
		again.Checks = append(again.Checks, checked)
		// What nobody asked for need not have had anything to judge.
		if checked.Verdict == observe.Fail || slices.ContainsFunc(record.Checks, func(c observe.Checked) bool { return c.Name == h.Name }) {
			again.Verdict = scenarios.Worse(again.Verdict, checked.Verdict)
		}
	}
	for _, h := range observe.Measures() {
		measured, err := observe.Measure(record, h.Name)
		if err != nil {
			return again, err
		}
		again.Measures = append(again.Measures, measured)
	}
	return again, nil
}

func (l *lab) printJudged(cmd *cobra.Command, all []rejudged) error {
	if l.json() {
		return printJSON(cmd, all)
	}
	for _, one := range all {
		var b strings.Builder
		fmt.Fprintf(&b, "%s, in %s: %s", one.Scenario, one.Dir, one.Verdict)
		if one.Verdict != one.Was {
			fmt.Fprintf(&b, " (it was %s)", one.Was)
		}
		if one.Reason != "" {
			fmt.Fprintf(&b, ": %s", one.Reason)
		}
		b.WriteByte('\n')
		for _, c := range one.Checks {
			b.WriteString(c.String())
		}
		for _, m := range one.Measures {
			b.WriteString(m.String())
		}
		for line := range strings.Lines(b.String()) {
			fmt.Fprintln(cmd.OutOrStdout(), terminal.Line(strings.TrimSuffix(line, "\n")))
		}
	}
	return nil
}
