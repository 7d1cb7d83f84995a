package sweep

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"peerlab/internal/terminal/layout"
	"peerlab/observe"
)

// figure is a column of what was measured.
type figure struct{ measure, name, unit string }

func (f figure) String() string {
	text := f.measure + " " + f.name
	if f.unit != "" {
		text += " [" + f.unit + "]"
	}
	return text
}

// figures are all that any run has, in the order in which they come.
func figures(runs []Run) (all []figure) {
	for _, r := range runs {
		for _, m := range r.Measures {
			for _, f := range m.Figures {
				if c := (figure{m.Name, f.Name, f.Unit}); !slices.Contains(all, c) {
					all = append(all, c)
				}
			}
		}
	}
	return all
}

// values are what a run has of a figure.
func (r Run) values(of figure) (values []float64) {
	for _, m := range r.Measures {
		if m.Name == of.measure {
			values = append(values, m.Figure(of.name).Values...)
		}
	}
	return values
}

// CSV writes a row for each run: the values of the axes, the scenario with its
// arm, the number of the run, its seed, verdict, reason and length in seconds,
// and for each figure the mean of its values in that run, empty where it has
// none.
func CSV(w io.Writer, axes []Axis, runs []Run) error {
	columns := figures(runs)
	var head []string
	for _, a := range axes {
		head = append(head, a.Name)
	}
	head = append(head, "scenario", "run", "seed", "verdict", "reason", "seconds")
	for _, c := range columns {
		head = append(head, c.String())
	}
	out := csv.NewWriter(w)
	if err := out.Write(head); err != nil {
		return err
	}
	for _, r := range runs {
		row := append(slices.Clone(r.Values), r.Name, strconv.Itoa(r.Number), strconv.FormatUint(r.Seed, 10),
			string(r.Verdict), r.Reason, strconv.FormatFloat(r.Ended.Sub(r.Began).Seconds(), 'f', 3, 64))
		for _, c := range columns {
			text := ""
			if values := r.values(c); len(values) > 0 {
				text = strconv.FormatFloat(observe.Summarize(values).Mean, 'g', 6, 64)
			}
			row = append(row, text)
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// Table writes a row for each combination and arm: how many runs passed, and
// for each figure the mean over all its values with the 95 % confidence interval
// of that.
func Table(w io.Writer, axes []Axis, runs []Run) error {
	columns := figures(runs)
	var header []string
	for _, a := range axes {
		header = append(header, a.Name)
	}
	header = append(header, "scenario", "pass")
	for _, c := range columns {
		header = append(header, c.String())
	}
	table := layout.NewTable(header...)
	for _, some := range grouped(runs) {
		passed := 0
		for _, r := range some {
			if r.Verdict == observe.Pass {
				passed++
			}
		}
		row := append(slices.Clone(some[0].Values), some[0].Name, fmt.Sprintf("%d/%d", passed, len(some)))
		for _, c := range columns {
			var values []float64
			for _, r := range some {
				values = append(values, r.values(c)...)
			}
			switch s := observe.Summarize(values); s.N {
			case 0:
				row = append(row, "-")
			case 1:
				row = append(row, fmt.Sprintf("%.4g", s.Mean))
			default:
				row = append(row, fmt.Sprintf("%.4g (%.4g to %.4g)", s.Mean, s.MeanLow, s.MeanHigh))
			}
		}
		table.Row(row...)
	}
	return table.Write(w)
}

// grouped puts the runs of one combination and arm together.
func grouped(runs []Run) (groups [][]Run) {
	place := make(map[string]int)
	for _, r := range runs {
		key := strings.Join(append(slices.Clone(r.Values), r.Name), "\x00")
		i, ok := place[key]
		if !ok {
			i = len(groups)
			place[key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}
