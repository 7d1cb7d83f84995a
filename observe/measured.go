package observe

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"peerlab/observe/theory"
)

// Figure is one thing measured, with a value for each time that it occurred.
type Figure struct {
	Name string `json:"name"`
	// Unit is "s", "B/s", "/s", "%" or, for a number of things, "".
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"`
	// Expected is what the theory says, nil where it says nothing.
	Expected *Band `json:"expected,omitempty"`
}

// Band is what the theory expects of a figure, in its unit.
type Band struct {
	Least    float64 `json:"least"`
	Expected float64 `json:"expected"`
	Most     float64 `json:"most"`
}

// Contains says whether v lies in the band.
func (b Band) Contains(v float64) bool { return v >= b.Least && v <= b.Most }

func bandOf(b theory.Band) *Band {
	return &Band{b.Least.Seconds(), b.Expected.Seconds(), b.Most.Seconds()}
}

// Measured is what one measure found in a history.
type Measured struct {
	Name    string   `json:"name"`
	Figures []Figure `json:"figures"`
	// Series are the same things over time, for measures that have them: first
	// of the whole cluster, then of the peers with the highest values.
	Series []Series `json:"series,omitempty"`
	// Since is the text of the mark from which on was measured, absent for all
	// of the run.
	Since string `json:"since,omitempty"`
	// Notes are for people: what the figures do not show.
	Notes []string `json:"notes,omitempty"`
}

// Figure returns the figure of that name, a zero Figure if there is none.
func (m Measured) Figure(name string) Figure {
	for _, f := range m.Figures {
		if f.Name == name {
			return f
		}
	}
	return Figure{}
}

func (m *Measured) count(name string, n int) {
	m.Figures = append(m.Figures, Figure{Name: name, Values: []float64{float64(n)}})
}

func (m *Measured) note(format string, args ...any) {
	m.Notes = append(m.Notes, fmt.Sprintf(format, args...))
}

// String returns the measure for people, a line for each figure, series and note.
// Where the theory expects something, a bar shows its band, its expectation |
// and what was measured *.
func (m Measured) String() string {
	var b strings.Builder
	if m.Since != "" {
		fmt.Fprintf(&b, "%s since the mark %s\n", m.Name, m.Since)
	}
	width := 0
	for _, f := range m.Figures {
		width = max(width, utf8.RuneCountInString(f.Name))
	}
	for _, f := range m.Figures {
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(f.Name))
		fmt.Fprintf(&b, "%s %s%s  %s\n", m.Name, f.Name, pad, f)
	}
	b.WriteString(seriesText(m.Name, m.Series))
	for _, note := range m.Notes {
		fmt.Fprintf(&b, "%s: %s\n", m.Name, note)
	}
	return b.String()
}

// String returns the values for people, and where they lie in what the theory
// expects.
func (f Figure) String() string {
	text := f.values()
	if f.Expected == nil || len(f.Values) == 0 {
		return text
	}
	e := *f.Expected
	outside := 0
	for _, v := range f.Values {
		if !e.Contains(v) {
			outside++
		}
	}
	verdict := "within"
	switch {
	case outside == len(f.Values):
		verdict = "outside"
	case outside > 0:
		verdict = fmt.Sprintf("%d outside", outside)
	}
	return fmt.Sprintf("%s, expected %s (%s to %s)  %s  %s",
		text, number(e.Expected, f.Unit), number(e.Least, ""), number(e.Most, f.Unit), f.bar(), verdict)
}

func (f Figure) values() string {
	switch len(f.Values) {
	case 0:
		return "nothing"
	case 1:
		return number(f.Values[0], f.Unit)
	}
	sorted := slices.Sorted(slices.Values(f.Values))
	n := len(sorted)
	return fmt.Sprintf("%s (median of %d, %s to %s)",
		number(percentile(sorted, 0.5), f.Unit), n, number(sorted[0], ""), number(sorted[n-1], f.Unit))
}

// number writes v with three digits or more and its unit.
func number(v float64, unit string) string {
	digits := 0
	if v != math.Trunc(v) {
		digits = max(0, 2-int(math.Floor(math.Log10(max(math.Abs(v), 0.001)))))
	}
	text := fmt.Sprintf("%.*f", digits, v)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if unit != "" {
		text += " " + unit
	}
	return text
}

const barWidth = 32

// bar draws the band from 0 to a little beyond everything it shows.
func (f Figure) bar() string {
	e := *f.Expected
	end := 1.1 * max(e.Most, slices.Max(f.Values))
	if !(end > 0) || math.IsInf(end, 0) {
		return ""
	}
	place := func(v float64) int { return min(barWidth-1, max(0, int(v/end*barWidth))) }
	bar := []rune(strings.Repeat("·", barWidth))
	for i := place(e.Least); i <= place(e.Most); i++ {
		bar[i] = '─'
	}
	bar[place(e.Expected)] = '|'
	for _, v := range f.Values {
		bar[place(v)] = '*'
	}
	return string(bar)
}
