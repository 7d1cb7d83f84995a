package observe

import (
	"cmp"
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
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Time      string      `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Host      string      `xml:"hostname,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name       string           `xml:"name,attr"`
	Class      string           `xml:"classname,attr"`
	Time       string           `xml:"time,attr"`
	Properties *junitProperties `xml:"properties"`
	Failure    *junitProblem    `xml:"failure"`
	Error      *junitProblem    `xml:"error"`
	Output     string           `xml:"system-out,omitempty"`
}

type junitProperties struct {
	All []junitProperty `xml:"property"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// JUnit is runs as one JUnit XML file, as CI systems read it.
type JUnit struct {
	// Began is when the first began, by the clock on the wall, and Host where.
	Began time.Time
	Host  string
	Runs  []JUnitRun
}

// JUnitRun is one run as a test case.
type JUnitRun struct {
	// Name is to differ from those of the other runs: CI systems take two test
	// cases of one name for one.
	Name string
	*Record
	// Story is the failure at length; where it is empty, the reason stands there.
	Story string
}

// virtualTime is said of runs whose seconds are not those of the clock on the
// wall.
var virtualTime = &junitProperties{[]junitProperty{{"clock", "virtual: time is what passed for the peers, not for who waited"}}}

// Write writes the file. A run that could not tell is an error and not skipped,
// for CI systems show what is skipped as green.
func (j JUnit) Write(w io.Writer) error {
	suite := &junitSuite{
		Name: "peerlab", Tests: len(j.Runs), Host: clean(j.Host), Timestamp: j.Began.UTC().Format("2006-01-02T15:04:05"),
	}
	var total time.Duration
	for _, r := range j.Runs {
		took := max(0, r.Ended.Sub(r.Began))
		total += took
		c := junitCase{Name: clean(r.Name), Class: clean("peerlab." + r.Engine), Time: junitTime(took), Output: clean(r.findings())}
		if r.Engine == "sim" {
			c.Properties = virtualTime
		}
		problem := &junitProblem{Message: clean(r.Reason), Type: string(r.Verdict), Text: clean(cmp.Or(r.Story, r.Reason))}
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
