package observe

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

type junitSuites struct {
	XMLName  xml.Name    `xml:"testsuites"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Suite    *junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
	Output  string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes runs as one JUnit XML file, a test case for each, as CI
// systems read it. A run that could not tell is an error and not skipped, for
// those systems show what is skipped as green.
func WriteJUnit(w io.Writer, runs ...*Record) error {
	suite := &junitSuite{Name: "peerlab", Tests: len(runs)}
	var total time.Duration
	for _, r := range runs {
		took := max(0, r.Ended.Sub(r.Began))
		total += took
		c := junitCase{Name: clean(r.Scenario), Class: clean("peerlab." + r.Engine), Time: junitTime(took), Output: clean(r.findings())}
		problem := &junitProblem{Message: clean(r.Reason), Type: string(r.Verdict), Text: clean(r.Reason)}
		switch r.Verdict {
		case Pass:
		case Fail:
			suite.Failures++
			c.Failure = problem
		default:
			suite.Errors++
			c.Error = problem
		}
		suite.Cases = append(suite.Cases, c)
	}
	suite.Time = junitTime(total)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	all := junitSuites{Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors, Time: suite.Time, Suite: suite}
	if err := enc.Encode(all); err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	return nil
}

// findings is what checks and measures found, for people.
func (r *Record) findings() string {
	var b strings.Builder
	for _, c := range r.Checks {
		b.WriteString(c.String())
	}
	for _, m := range r.Measures {
		b.WriteString(m.String())
	}
	return b.String()
}

func junitTime(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// clean drops what XML cannot hold, such as control characters in the text of
// a message.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r >= 0x20 && r <= 0xD7FF, r >= 0xE000 && r <= 0xFFFD, r >= 0x10000:
			return r
		}
		return -1
	}, s)
}
