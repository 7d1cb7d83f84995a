package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/terminal"
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
