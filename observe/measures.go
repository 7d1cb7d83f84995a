package observe

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"peerlab/observe/theory"
)

var measures = choices[Measured]{
	{Help{"detection", "for each member killed, paused or cut off: time until the first and until all others held it dead"}, measureDetection},
	{Help{"isolation", "for each peer cut off from everybody: time until it held the first and the last of the others dead"}, measureIsolation},
	{Help{"fp", "false positives (FP), those by healthy observers (FP⁻), flaps, suspicions, refutations"}, measureFalsePositives},
	{Help{"heal", "for each heal and resume: time until all views were equal, and until they stayed so"}, measureHeal},
	{Help{"chat", "messages, share delivered, duplicates, reorderings, latency percentiles"}, measureChat},
	{Help{"dissemination", "for each broadcast key, deletion, metadata update and join: time until the first and until all others had it, rounds of gossip, how many it missed"}, measureDissemination},
	{Help{"traffic", "messages and bytes of the membership per peer and second, and over time"}, measureTraffic},
	{Help{"queues", "depth of the broadcast queues by kind over time, how long the oldest message waited, messages dropped unread"}, measureQueues},
}

// Measures lists what Measure knows.
func Measures() []Help { return measures.help() }

// Measure takes the measure of that name of a run: of what began at r.Since or
// later, though it takes notice of all that happened. It does not change the
// record. An unknown name is an error that lists the known ones.
func Measure(r *Record, name string) (Measured, error) {
	measured, err := measures.take("measure", name, r)
	measured.Name = name
	if measured.Figures == nil {
		measured.Figures = []Figure{} // [] in JSON, not null
	}
	for i := range measured.Figures {
		if f := &measured.Figures[i]; f.Values == nil {
			f.Values = []float64{}
		}
	}
	return measured, err
}

// predicted collects values whose expectation may differ from one to the next.
type predicted struct {
	values []float64
	bands  []theory.Band
}

func (p *predicted) add(v time.Duration, b theory.Band) {
	p.values, p.bands = append(p.values, v.Seconds()), append(p.bands, b)
}

// figure returns the values with the band that covers all of theirs.
func (p *predicted) figure(name string) Figure {
	f := Figure{Name: name, Unit: "s", Values: p.values}
	var all theory.Band
	for i, b := range p.bands {
		if b == (theory.Band{}) {
			return f
		}
		if i == 0 {
			all = b
		}
		all.Least, all.Most = min(all.Least, b.Least), max(all.Most, b.Most)
		all.Expected += (b.Expected - all.Expected) / time.Duration(i+1)
	}
	if len(p.bands) > 0 {
		f.Expected = bandOf(all)
	}
	return f
}

// model returns the run's model for a cluster of n, false if there is none.
func (r *Record) model(n int) (theory.Model, bool) {
	m := r.Model
	m.Nodes = n
	return m, m.ProbeInterval > 0 && n > 1
}

func measureDetection(r *Record) Measured {
	var m Measured
	failures, _ := Detections(r.Events)
	failures = slices.DeleteFunc(failures, func(f Failure) bool { return f.At.Before(r.Since) })
	for _, cause := range []string{"kill", "exit", "pause", "cut"} {
		var unnoticed []string
		for _, alone := range []bool{true, false} {
			var first, all predicted
			name := cause
			if !alone {
				name = "concurrent " + cause
			}
			seen := false
			for _, f := range failures {
				if f.Cause != cause || f.Alone != alone {
					continue
				}
				seen = true
				var firstBand, allBand theory.Band
				if model, ok := r.model(f.Nodes); ok && alone {
					firstBand, allBand = model.FirstDead(), model.AllDead()
				}
				if f.Detected > 0 {
					first.add(f.First, firstBand)
				}
				if f.Missed == 0 && f.Detected > 0 {
					all.add(f.All, allBand)
				}
				if f.Missed > 0 {
					unnoticed = append(unnoticed, fmt.Sprintf("%s by %d of %d", f.Member, f.Missed, f.Missed+f.Detected))
				}
			}
			if seen {
				m.Figures = append(m.Figures, first.figure(name+" first"), all.figure(name+" all"))
			}
		}
		if len(unnoticed) > 0 {
			m.note("%s not noticed when it was back or the run ended: %s", cause, counted(unnoticed))
		}
	}
	if len(failures) == 0 {
		m.note("nobody failed")
	}
	return m
}

// counted joins texts, each once, with how often it occurs.
func counted(texts []string) string {
	times := make(map[string]int)
	var each []string
	for _, text := range texts {
		if times[text]++; times[text] == 1 {
			each = append(each, text)
		}
	}
	for i, text := range each {
		if n := times[text]; n > 1 {
			each[i] = fmt.Sprintf("%s (%d times)", text, n)
		}
	}
	return strings.Join(each, ", ")
}

func measureIsolation(r *Record) Measured {
	var m Measured
	var unnoticed []string
	_, isolations := Detections(r.Events)
	isolations = slices.DeleteFunc(isolations, func(i Isolation) bool { return i.At.Before(r.Since) })
	var first, last predicted
	for _, i := range isolations {
		var firstBand, lastBand theory.Band
		if model, ok := r.model(i.Nodes); ok {
			firstBand, lastBand = model.IsolatedFirst(), model.IsolatedLast()
		}
		if i.Detected > 0 {
			first.add(i.First, firstBand)
		}
		if i.Missed > 0 {
			unnoticed = append(unnoticed, fmt.Sprintf("%s %d of %d", i.Peer, i.Missed, i.Missed+i.Detected))
		} else if i.Detected > 0 {
			last.add(i.Last, lastBand)
		}
	}
	if len(unnoticed) > 0 {
		m.note("still held alive when it was back or the run ended: by %s", counted(unnoticed))
	}
	if len(isolations) == 0 {
		m.note("nobody was cut off from everybody")
		return m
	}
	m.Figures = append(m.Figures, first.figure("first"), last.figure("last"))
	return m
}

func measureFalsePositives(r *Record) Measured {
	var m Measured
	recovery := time.Duration(0)
	if r.Model.Nodes > 0 {
		recovery = r.Model.SuspicionMax()
	}
	found := FalsePositives(r.Events, recovery, r.Since)
	m.count("FP", len(found.False))
	m.count("FP⁻", found.Healthy())
	m.count("of impaired", found.Unreachable)
	m.count("flaps", found.Flaps)
	m.count("suspicions", found.Suspicions)
	m.count("refutations", found.Refutations)
	const shown = 5
	for i, a := range found.False {
		if i == shown {
			m.note("and %d more", len(found.False)-shown)
			break
		}
		m.note("%s declared %s dead at %s", a.Observer, a.Member, a.At.UTC().Format("15:04:05.000"))
	}
	return m
}

func measureHeal(r *Record) Measured {
	var m Measured
	healings := slices.DeleteFunc(Healings(r.Events), func(h Healing) bool { return h.At.Before(r.Since) })
	for _, cause := range []string{"heal", "resume"} {
		var whole, settled predicted
		var seen, not int
		for _, h := range healings {
			if h.Cause != cause {
				continue
			}
			seen++
			if h.Whole {
				whole.add(h.First, theory.Band{})
			}
			if h.Settled {
				settled.add(h.Last, theory.Band{})
			} else {
				not++
			}
		}
		if seen > 0 {
			m.Figures = append(m.Figures, whole.figure("whole after "+cause), settled.figure("settled after "+cause))
			m.count("not settled after "+cause, not)
		}
	}
	if len(healings) == 0 {
		m.note("nothing was healed or resumed")
	}
	return m
}

func measureChat(r *Record) Measured {
	var m Measured
	d := Deliveries(r.Events, r.Since)
	m.count("sent", d.Sent)
	if d.Expected > 0 {
		m.Figures = append(m.Figures, Figure{Name: "delivered", Unit: "%", Values: []float64{100 * float64(d.Delivered) / float64(d.Expected)}})
		m.note("%d of %d deliveries to those who were in the chat", d.Delivered, d.Expected)
	}
	m.count("late", d.Late)
	m.count("duplicates", d.Duplicates)
	m.count("reordered", d.Reordered)
	if d.Latency.TotalCount() == 0 {
		return m
	}
	for _, p := range []float64{50, 90, 99, 99.9, 100} {
		seconds := float64(d.Latency.ValueAtQuantile(p)) / 1e6
		m.Figures = append(m.Figures, Figure{Name: fmt.Sprintf("latency p%g", p), Unit: "s", Values: []float64{seconds}})
	}
	return m
}
