package main

import (
	"fmt"
	"io"
	"time"
)

// steps tells, on standard error, how long work goes on.
type steps struct {
	out   io.Writer
	began time.Time
	last  time.Time
}

func newSteps(out io.Writer) *steps { return &steps{out: out, began: time.Now()} }

// say prints a line.
func (p *steps) say(format string, args ...any) {
	p.last = time.Now()
	fmt.Fprintf(p.out, format+"\n", args...)
}

// quick says whether what is now said would follow the line before too fast to
// be read.
func (p *steps) quick() bool { return time.Since(p.last) < 200*time.Millisecond }

// took is the time since the beginning, for people.
func (p *steps) took() string { return fmt.Sprintf("%.1f s", time.Since(p.began).Seconds()) }

// during does the work, and tells every two seconds that it goes on.
func during(work func() error, tell func()) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			tell()
		}
	}
}
