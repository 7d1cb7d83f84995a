package observe

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"peerlab/event"
)

// Series is one thing measured over time, in buckets of equal length.
type Series struct {
	Name string `json:"name"`
	// Peer is whose it is, "" for the whole cluster.
	Peer string `json:"peer,omitempty"`
	// Unit is that of the values, as in Figure.
	Unit string `json:"unit"`
	// Start is how many seconds after the beginning of the run the first bucket
	// begins, Step how many seconds each lasts.
	Start float64 `json:"start"`
	Step  float64 `json:"step"`
	// Values has one for each bucket.
	Values []float64 `json:"values"`
}

const (
	// maxBuckets is how many values a series has at the most: a table of them
	// fits a terminal of 80 columns.
	maxBuckets = 24
	// maxSeriesPeers is for how many peers, those with the highest values, a
	// result has a series of their own, and shownSeriesPeers for how many the
	// text has a line.
	maxSeriesPeers   = 12
	shownSeriesPeers = 5
)

// timeline divides the time of a run into buckets.
type timeline struct {
	start time.Time
	after time.Duration // from the beginning of the run to start
	step  time.Duration
	end   time.Time
}

// timeline returns the buckets for what is measured once in every interval.
func (r *Record) timeline(every time.Duration) timeline {
	began, end := r.Began, r.Ended
	for _, e := range r.Events { // a record that is being made may lack them
		if began.IsZero() || e.Time.Before(began) {
			began = e.Time
		}
		if end.Before(e.Time) {
			end = e.Time
		}
	}
	t := timeline{start: began, end: end, step: every}
	if r.Since.After(began) {
		t.start, t.after = r.Since, r.Since.Sub(began)
	}
	if whole := end.Sub(t.start); whole > maxBuckets*every {
		t.step = every * time.Duration(math.Ceil(float64(whole)/float64(maxBuckets*every)))
	}
	return t
}

// untilReports ends the timeline with the last report of any peer about its
// traffic or its queues, or with the last event of the kinds in also: what came
// after that is not known.
func (t *timeline) untilReports(events []event.Event, also ...event.Kind) {
	var last time.Time
	for _, e := range events {
		if (e.Kind.IsPeriodic() || slices.Contains(also, e.Kind)) && e.Time.After(last) {
			last = e.Time
		}
	}
	if last.After(t.start) {
		t.end = last
	}
}

// buckets is how many there are.
func (t timeline) buckets() int {
	return min(maxBuckets, max(1, int((t.end.Sub(t.start)+t.step-1)/t.step)))
}

// bucket is the number of that in which a moment lies, false if in none.
func (t timeline) bucket(at time.Time) (int, bool) {
	if at.Before(t.start) || at.After(t.end) {
		return 0, false
	}
	return min(int(at.Sub(t.start)/t.step), t.buckets()-1), true
}

// length is how much time a bucket has: the last one may be cut short.
func (t timeline) length(bucket int) time.Duration {
	return max(min(t.step, t.end.Sub(t.start.Add(time.Duration(bucket)*t.step))), time.Millisecond)
}

// spread distributes an amount evenly over the time in which it came to be.
func (t timeline) spread(values []float64, from, to time.Time, amount float64) {
	whole := to.Sub(from)
	if whole <= 0 {
		return
	}
	for i := max(0, int(from.Sub(t.start)/t.step)); i < len(values); i++ {
		begin := t.start.Add(time.Duration(i) * t.step)
		if !begin.Before(to) {
			break
		}
		end := begin.Add(t.length(i))
		part := earlier(end, to).Sub(later(begin, from))
		if part > 0 {
			values[i] += amount * float64(part) / float64(whole)
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// series returns values as a series of this timeline.
func (t timeline) series(name, peer, unit string, values []float64) Series {
	return Series{Name: name, Peer: peer, Unit: unit, Start: t.after.Seconds(), Step: t.step.Seconds(), Values: values}
}

// perPeer returns the series of the peers with the highest values.
func (t timeline) perPeer(name, unit string, values map[string][]float64) []Series {
	var all []Series
	for peer, v := range values {
		if slices.Max(v) > 0 {
			all = append(all, t.series(name, peer, unit, v))
		}
	}
	slices.SortFunc(all, func(a, b Series) int {
		return cmp.Or(cmp.Compare(slices.Max(b.Values), slices.Max(a.Values)), cmp.Compare(a.Peer, b.Peer))
	})
	return all[:min(len(all), maxSeriesPeers)]
}

// seriesText returns a line for each series: the whole cluster's, and those of
// a few peers. The peers' bars of one name are drawn to the
// same scale.
func seriesText(measure string, all []Series) string {
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s over time, %s a column, from %s on (· is none)\n", measure, number(all[0].Step, "s"), number(all[0].Start, "s"))
	names, peers := 0, 0
	type scale struct {
		name    string
		cluster bool
	}
	top := make(map[scale]float64)
	for _, s := range all {
		names = max(names, utf8.RuneCountInString(s.Name))
		peers = max(peers, min(utf8.RuneCountInString(s.Peer), widestPeer))
		if len(s.Values) > 0 {
			of := scale{s.Name, s.Peer == ""}
			top[of] = max(top[of], slices.Max(s.Values))
		}
	}
	peers = max(peers, len("all"))
	shown := make(map[string]int)
	for i, s := range all {
		if s.Peer != "" {
			shown[s.Name]++
		}
		if s.Peer == "" || shown[s.Name] <= shownSeriesPeers {
			fmt.Fprintf(&b, "%s %s %s %s  %s\n", measure, padded(s.Name, names), padded(cmp.Or(s.Peer, "all"), peers), s.bars(top[scale{s.Name, s.Peer == ""}]), s.peak())
		}
		if last := i == len(all)-1 || all[i+1].Name != s.Name; last && shown[s.Name] > shownSeriesPeers {
			fmt.Fprintf(&b, "%s %s and other peers, less than these\n", measure, padded(s.Name, names))
		}
	}
	return b.String()
}

// widestPeer is how much of a peer's name the text of a series shows.
const widestPeer = 10

// padded returns text with so many characters.
func padded(text string, width int) string {
	if n := utf8.RuneCountInString(text); n <= width {
		return text + strings.Repeat(" ", width-n)
	}
	return string([]rune(text)[:width-1]) + "…"
}

// bars draws the values, a column for each.
func (s Series) bars(top float64) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	bars := make([]rune, len(s.Values))
	for i, v := range s.Values {
		bars[i] = '·'
		if v > 0 && top > 0 {
			bars[i] = levels[min(len(levels)-1, int(v/top*float64(len(levels))))]
		}
	}
	return string(bars)
}

// peak says what the highest value is, and when.
func (s Series) peak() string {
	if len(s.Values) == 0 {
		return "nothing"
	}
	top := slices.Max(s.Values)
	at := s.Start + float64(slices.Index(s.Values, top))*s.Step
	if top == 0 {
		return "none"
	}
	return fmt.Sprintf("up to %s at %s", number(top, s.Unit), number(at, "s"))
}
