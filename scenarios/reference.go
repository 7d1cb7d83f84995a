package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Reference returns the reference of verbs, conditions and variables as
// Markdown. docs/scenarios.md holds it.
func Reference() string {
	var b strings.Builder
	entry := func(form, short, detail, example string) {
		fmt.Fprintf(&b, "`%s`<br>\n%s.", form, strings.ToUpper(short[:1])+short[1:])
		if detail != "" {
			fmt.Fprintf(&b, " %s", detail)
		}
		fmt.Fprintf(&b, "\n\n    %s\n\n", example)
	}
	fmt.Fprint(&b, "### Verbs\n\nA fault with `for=30s` at the end is undone after that time, and the line lasts as long: links are what they were, and peers run again.\n\n")
	for _, v := range verbs() {
		form := strings.TrimSpace(v.name + " " + v.args)
		if v.inBackground {
			form += " [&]"
		}
		entry(form, v.short, v.detail, v.example)
	}
	fmt.Fprint(&b, "### Conditions\n\n`not` before a condition is its opposite. `all` as the first list are those who run now and are not paused.\n\n")
	for _, k := range kindTable() {
		entry(k.form, k.short, k.detail, k.example)
	}
	fmt.Fprint(&b, "### Computed variables\n\nBounds by memberlist's formulas for the size and the settings of the cluster; `2*$PROBE`, `$FORGET+5s` and the like are durations, too.\n\n")
	for _, c := range computed() {
		fmt.Fprintf(&b, "- `$%s`: %s\n", c.name, c.what)
	}
	fmt.Fprint(&b, "- `$N`: the number of peers\n\n### Conditions in brackets\n\n")
	for _, tag := range slices.Sorted(maps.Keys(guardTexts())) {
		fmt.Fprintf(&b, "- `[%s]`: %s\n", tag, guardTexts()[tag])
	}
	fmt.Fprint(&b, "- `[arm:NAME]`: the run is of this arm\n")
	return b.String()
}

// Words returns all verbs and all forms of conditions, as Plan.Uses has them.
func Words() []string {
	words := verbNames()
	for _, k := range kindTable() {
		words = append(words, k.form)
	}
	return words
}
