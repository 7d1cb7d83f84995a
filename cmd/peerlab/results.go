package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/terminal"
	"peerlab/terminal/layout"
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
	colours := l.palette(out)
	table := layout.NewTable("SCENARIO", "VERDICT", "SECONDS", "WHY")
	for _, name := range names {
		worst, verdict, why, seconds := summarise(of[name])
		table.Row(terminal.Line(name), colours.as(worst, verdict), seconds, terminal.Join(why))
	}
	if err := table.Write(out); err != nil {
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

// storyLines are what is told of a run.
func storyLines(colours palette, story string) (lines []string) {
	for line := range strings.Lines(story) {
		lines = append(lines, "    "+colours.story(terminal.Line(strings.TrimSuffix(line, "\n"))))
	}
	return lines
}

// summarise says what several runs of one scenario come to.
func summarise(runs []*scenarios.Done) (worst observe.Verdict, verdict, why, seconds string) {
	worst = observe.Pass
	counts := map[observe.Verdict]int{}
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
	seconds = fmt.Sprintf("%.1f", observe.Summarise(took).Median)
	if len(runs) > 1 {
		seconds += " (median)"
	}
	return worst, verdict, why, seconds
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
	table := layout.NewTable("measure", "N", "min", "p10", "median", "p90", "max", "mean", "95 % of the mean")
	table.AlignRight(1, 2, 3, 4, 5, 6, 7, 8)
	for _, k := range keys {
		s := observe.Summarise(values[k])
		if s.N == 0 {
			continue
		}
		unit := ""
		if k.unit != "" {
			unit = " [" + k.unit + "]"
		}
		row := []string{k.measure + " " + k.figure + unit, strconv.Itoa(s.N)}
		for _, v := range []float64{s.Min, s.P10, s.Median, s.P90, s.Max, s.Mean} {
			row = append(row, fmt.Sprintf("%.4g", v))
		}
		table.Row(append(row, fmt.Sprintf("%.4g to %.4g", s.MeanLow, s.MeanHigh))...)
	}
	_ = table.Write(out) // out has failed before, if it does
}
