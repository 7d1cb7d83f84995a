package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/terminal"
	"peerlab/testbed"
)

// runJSON is one run for --format json.
type runJSON struct {
	Scenario string             `json:"scenario"`
	Run      int                `json:"run"`
	Engine   string             `json:"engine"`
	Verdict  observe.Verdict    `json:"verdict"`
	Reason   string             `json:"reason,omitempty"`
	Seconds  float64            `json:"seconds"`
	Dir      string             `json:"dir"`
	Earlier  bool               `json:"earlier,omitempty"`
	Checks   []observe.Checked  `json:"checks,omitempty"`
	Measures []observe.Measured `json:"measures,omitempty"`
}

func runOf(d *scenarios.Done) runJSON {
	return runJSON{
		Scenario: d.Name, Run: d.Number, Engine: d.Engine, Verdict: d.Verdict, Reason: d.Reason,
		Seconds: d.Ended.Sub(d.Began).Seconds(), Dir: d.Dir, Earlier: d.Earlier, Checks: d.Checks, Measures: d.Measures,
	}
}

// printRuns writes a table of what the runs came to, and of what was measured.
func (l *lab) printRuns(cmd *cobra.Command, done []*scenarios.Done, dir string) error {
	if l.json() {
		all := []runJSON{}
		for _, d := range done {
			all = append(all, runOf(d))
		}
		return printJSON(cmd, all)
	}
	out := cmd.OutOrStdout()
	var names []string
	of := map[string][]*scenarios.Done{}
	for _, d := range done {
		if of[d.Name] == nil {
			names = append(names, d.Name)
		}
		of[d.Name] = append(of[d.Name], d)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SCENARIO\tVERDICT\tSECONDS\tWHY")
	for _, name := range names {
		verdict, why, seconds := summarise(of[name])
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, verdict, seconds, terminal.Line(why))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, name := range names {
		if len(of[name]) > 1 {
			printFigures(out, name, of[name])
		}
	}
	fmt.Fprintf(out, "what happened is in %s\n", dir)
	return nil
}

// summarise says what several runs of one scenario come to.
func summarise(runs []*scenarios.Done) (verdict, why, seconds string) {
	worst, counts := observe.Pass, map[observe.Verdict]int{}
	var took []float64
	for _, d := range runs {
		took = append(took, d.Ended.Sub(d.Began).Seconds())
		counts[d.Verdict]++
		if w := scenarios.Worse(worst, d.Verdict); w != worst {
			worst, why = w, d.Reason
		}
	}
	verdict = string(worst)
	if len(runs) > 1 {
		verdict = fmt.Sprintf("%d of %d pass", counts[observe.Pass], len(runs))
		for _, v := range []observe.Verdict{observe.Fail, observe.Inconclusive} {
			if counts[v] > 0 {
				verdict += fmt.Sprintf(", %d %s", counts[v], v)
			}
		}
	}
	return verdict, why, fmt.Sprintf("%.1f", observe.Summarise(took).Median)
}

// printFigures writes how what was measured is distributed over the runs.
func printFigures(out io.Writer, name string, runs []*scenarios.Done) {
	type key struct{ measure, figure, unit string }
	var keys []key
	values := map[key][]float64{}
	for _, d := range runs {
		for _, m := range d.Measures {
			for _, f := range m.Figures {
				k := key{m.Name, f.Name, f.Unit}
				if values[k] == nil {
					keys = append(keys, k)
				}
				values[k] = append(values[k], f.Values...)
			}
		}
	}
	if len(keys) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s, over %d runs:\n", name, len(runs))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "measure\tN\tmin\tp10\tmedian\tp90\tmax\tmean\t95 % of the mean\t")
	for _, k := range keys {
		s := observe.Summarise(values[k])
		if s.N == 0 {
			continue
		}
		unit := ""
		if k.unit != "" {
			unit = " [" + k.unit + "]"
		}
		fmt.Fprintf(table, "%s %s%s\t%d\t%.4g\t%.4g\t%.4g\t%.4g\t%.4g\t%.4g\t%.4g to %.4g\t\n", k.measure, k.figure, unit, s.N, s.Min, s.P10, s.Median, s.P90, s.Max, s.Mean, s.MeanLow, s.MeanHigh)
	}
	_ = table.Flush() // out has failed before, if it does
}

// runTestFile runs a multi-peer test file.
func runTestFile(ctx context.Context, host scenarios.Host, name string, out io.Writer) (observe.Verdict, error) {
	f, err := scenarios.ReadTest(name)
	if err != nil {
		return "", problems{err}
	}
	ok := false
	var summary strings.Builder
	err = host(ctx, 1, func(ctx context.Context, factory testbed.Factory) error {
		ok, err = f.Run(ctx, factory, &summary)
		return err
	})
	for line := range strings.Lines(summary.String()) {
		fmt.Fprintln(out, terminal.Line(strings.TrimSuffix(line, "\n")))
	}
	switch {
	case err != nil && summary.Len() == 0:
		return observe.Inconclusive, err
	case err != nil:
		return observe.Inconclusive, errors.Join(err)
	case !ok:
		return observe.Fail, nil
	}
	return observe.Pass, nil
}

// printScenarios lists the built-in scenarios.
func (l *lab) galleryCommand() *cobra.Command {
	var show string
	cmd := &cobra.Command{
		Use: "gallery [NAME]", Short: "List the scenarios that are built in, or print one of them",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("gallery takes one name at most: see %s --help", cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				show = strings.TrimPrefix(args[0], scenarios.GalleryPrefix)
				s, err := scenarios.Open(scenarios.GalleryPrefix + show)
				if err != nil {
					return usageError{err}
				}
				_, err = io.WriteString(cmd.OutOrStdout(), s.Text)
				return err
			}
			all, err := scenarios.Gallery()
			if err != nil {
				return err
			}
			if l.json() {
				type entry struct {
					Name  string `json:"name"`
					Title string `json:"title"`
				}
				list := []entry{}
				for _, s := range all {
					list = append(list, entry{scenarios.GalleryPrefix + s.Name, s.Title})
				}
				return printJSON(cmd, list)
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, s := range all {
				fmt.Fprintf(table, "%s%s\t%s\n", scenarios.GalleryPrefix, s.Name, s.Title)
			}
			return table.Flush()
		},
	}
	return cmd
}

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
					return err
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
		again.Verdict = scenarios.Worse(again.Verdict, checked.Verdict)
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
		b, err := json.Marshal(all)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", terminal.EscapeJSON(b))
		return err
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
