package main

import (
	"fmt"
	"io"
	"strings"

	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/scenarios"
)

// runProgress tells how runs go on: in a terminal by a line for each that is
// under way, elsewhere by a line for each line of a scenario. Whoever fails has
// its story told at once.
type runProgress struct {
	live     *live
	colors   palette
	runs     int  // there will be so many
	measures bool // what runs measure is told: else a table at the end has it
	ended    int
	active   []scenarios.Note // the last of each run that is under way
}

// newRunProgress begins. End it with close.
func newRunProgress(w io.Writer, p palette, runs int, measures bool) *runProgress {
	return &runProgress{live: newLive(w), colors: p, runs: runs, measures: measures}
}

// note takes the next step of a run. It is not called concurrently.
func (p *runProgress) note(n scenarios.Note) {
	switch d := n.Done; {
	case d != nil:
		p.forget(n.Run)
		p.ended++
		p.live.set(p.under()...)
		p.live.say(p.end(n)...)
		return
	case n.Line == 0: // measured
		if p.measures || !p.live.redraws {
			indent := strings.Repeat(" ", 12)
			if p.live.redraws { // there the lines before it are gone
				indent = ""
			}
			p.live.say(p.label(n.Run) + indent + terminal.Line(n.Text))
		}
		return
	case !p.live.redraws:
		p.live.say(p.line(n))
		return
	}
	p.remember(n)
	p.live.set(p.under()...)
}

// label begins a line on one of several runs.
func (p *runProgress) label(run string) string {
	if p.runs > 1 {
		return run + ": "
	}
	return ""
}

// line is a run and what it does.
func (p *runProgress) line(n scenarios.Note) string {
	return fmt.Sprintf("%s%9.1fs  %s", p.label(n.Run), n.At.Seconds(), scenarios.ShortLine(terminal.Line(strings.ReplaceAll(n.Text, "\t", " "))))
}

// end is what is told of a run that has ended.
func (p *runProgress) end(n scenarios.Note) []string {
	d := n.Done
	verdict := p.colors.cell(string(d.Verdict))
	switch {
	case d.Earlier:
		return []string{fmt.Sprintf("%s%s, found in %s", p.label(n.Run), verdict, d.Dir)}
	case d.Verdict == observe.Pass:
		return []string{fmt.Sprintf("%s%9.1fs  %s", p.label(n.Run), n.At.Seconds(), verdict)}
	}
	reason := fmt.Sprintf("%s%9.1fs  %s: %s", p.label(n.Run), n.At.Seconds(), verdict, terminal.Join(d.Reason))
	return append([]string{reason}, storyLines(p.colors, d.Story)...)
}

func (p *runProgress) close() { p.live.close() }

// mostDrawn is how many runs have a line in a terminal: they are to fit onto its
// screen.
const mostDrawn = 12

// under are the lines of the runs that are under way.
func (p *runProgress) under() (lines []string) {
	for i, n := range p.active {
		if i == mostDrawn {
			lines = append(lines, fmt.Sprintf("and %d more runs", len(p.active)-i))
			break
		}
		lines = append(lines, p.line(n))
	}
	if p.runs > 1 && p.ended < p.runs {
		lines = append(lines, fmt.Sprintf("%d of %d runs have ended", p.ended, p.runs))
	}
	return lines
}

func (p *runProgress) remember(n scenarios.Note) {
	for i := range p.active {
		if p.active[i].Run == n.Run {
			p.active[i] = n
			return
		}
	}
	p.active = append(p.active, n)
}

func (p *runProgress) forget(run string) {
	for i := range p.active {
		if p.active[i].Run == run {
			p.active = append(p.active[:i:i], p.active[i+1:]...)
			return
		}
	}
}
