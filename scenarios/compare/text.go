package compare

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Text writes rows for a terminal, for two engines of these names: a line for each
// scenario, below it one for each latency and for each difference.
func Text(w io.Writer, engines [2]string, rows []Row) error {
	var heads strings.Builder
	table := tabwriter.NewWriter(&heads, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "SCENARIO\t%s\t%s\tSAME\n", strings.ToUpper(engines[0]), strings.ToUpper(engines[1]))
	for _, r := range rows {
		same := "yes"
		switch {
		case len(r.Differs) > 0:
			same = "no"
		case r.Skipped != "":
			same = "not compared"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.Scenario, r.Verdicts[0], r.Verdicts[1], same)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	lines := strings.SplitAfter(heads.String(), "\n")
	var b strings.Builder
	b.WriteString(lines[0])
	for i, r := range rows {
		b.WriteString(lines[i+1])
		if r.Skipped != "" {
			fmt.Fprintf(&b, "    %s\n", r.Skipped)
		}
		for _, f := range r.Figures {
			name := f.Name
			if !f.Judged {
				name += " (shown only)"
			}
			fmt.Fprintf(&b, "  %s: %s %s, %s %s", name, engines[0], seconds(f.Engines[0]), engines[1], seconds(f.Engines[1]))
			if f.Band != nil {
				fmt.Fprintf(&b, ", theory %s", band(f.Band))
			}
			b.WriteByte('\n')
		}
		for _, why := range r.Differs {
			fmt.Fprintf(&b, "    differs: %s\n", why)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
