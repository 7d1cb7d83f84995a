package observe

import (
	"fmt"
	"strings"
)

// Checked is what one check found in a history.
type Checked struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	// Judged says, on one line, what was judged or why it could not be.
	Judged string `json:"judged"`
	// Broken are the promises that did not hold, each once.
	Broken []Violation `json:"broken,omitempty"`
}

// Violation is one broken promise, with the smallest evidence.
type Violation struct {
	Promise string `json:"promise"`
	// Witness is the evidence on one line: which message, which peer, which
	// cause.
	Witness string `json:"witness"`
	// Message, Peer and Cause are the parts of the evidence, as far as it has
	// them.
	Message string `json:"message,omitempty"`
	Peer    string `json:"peer,omitempty"`
	Cause   string `json:"cause,omitempty"`
	// Times counts how often the promise was broken, this time included.
	Times int `json:"times"`
}

// String returns the check for people: a line, and one for each broken promise.
func (c Checked) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "check %s: %s: %s\n", c.Name, c.Verdict, c.Judged)
	for _, v := range c.Broken {
		fmt.Fprintf(&b, "  %s: %s", v.Promise, v.Witness)
		if v.Times > 1 {
			fmt.Fprintf(&b, " (%d such)", v.Times)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

var checks = choices[Checked]{
	{Help{"chat", "the chat's promise: validity, agreement, integrity, causal order"}, checkChat},
	{Help{"membership", "what memberlist never does, whatever happens to it"}, checkMembership},
}

// Checks lists what Check knows.
func Checks() []Help { return checks.help() }

// Check judges a run by the check of that name. It does not change the record.
// An unknown name is an error that lists the known ones.
func Check(r *Record, name string) (Checked, error) {
	checked, err := checks.take("check", name, r)
	checked.Name = name
	return checked, err
}

// broken collects violations, of each promise the smallest.
type broken struct {
	order []string
	least map[string]Violation
	size  map[string]int
}

// add notes a violation. Of several of one promise that of the smallest size
// is kept, and of those the first.
func (b *broken) add(v Violation, size int) {
	if b.least == nil {
		b.least, b.size = make(map[string]Violation), make(map[string]int)
	}
	kept, again := b.least[v.Promise]
	if !again {
		b.order = append(b.order, v.Promise)
	}
	times := kept.Times + 1
	if !again || size < b.size[v.Promise] {
		kept, b.size[v.Promise] = v, size
	}
	kept.Times = times
	b.least[v.Promise] = kept
}

func (b *broken) violations() []Violation {
	var all []Violation
	for _, promise := range b.order {
		all = append(all, b.least[promise])
	}
	return all
}

// judge turns what was found into a verdict. A history that is incomplete can
// prove nothing: what seems broken may be what is missing.
func (b *broken) judge(judged, doubt string) Checked {
	c := Checked{Verdict: Pass, Judged: judged, Broken: b.violations()}
	switch {
	case doubt != "":
		c.Verdict, c.Judged = Inconclusive, doubt
	case len(c.Broken) > 0:
		c.Verdict = Fail
	}
	return c
}
