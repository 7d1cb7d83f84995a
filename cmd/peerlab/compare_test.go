package main

import (
	"testing"

	"peerlab/observe"
	"peerlab/scenarios/compare"
)

func TestAgreement(t *testing.T) {
	passed := compare.Row{Verdicts: [2]observe.Verdict{observe.Pass, observe.Pass}}
	differs := compare.Row{Verdicts: [2]observe.Verdict{observe.Pass, observe.Fail}, Differs: []string{"verdict"}}
	busy := compare.Row{Verdicts: [2]observe.Verdict{observe.Inconclusive, observe.Inconclusive}}
	skipped := compare.Row{Verdicts: [2]observe.Verdict{observe.Pass, observe.Inconclusive}, Skipped: "no netem here"}
	for _, test := range []struct {
		name string
		rows []compare.Row
		want observe.Verdict
	}{
		{"both pass", []compare.Row{passed}, observe.Pass},
		{"another verdict", []compare.Row{skipped, differs, passed}, observe.Fail},
		{"neither can tell", []compare.Row{busy, passed}, observe.Inconclusive},
		{"one cannot run it", []compare.Row{skipped, passed}, observe.Inconclusive},
	} {
		if got := agreement(test.rows); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
