package peer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"peerlab/event"
	"peerlab/peer/command"
)

// messagesView is the one view a testfilter can look at: the conversation.
const messagesView = "messagesView"

// expectation is a testfilter: exactly Want lines of a view begin with Text.
type expectation struct {
	View string `json:"view"`
	Want int    `json:"want"`
	Have int    `json:"have"`
	Text string `json:"text"`
	OK   bool   `json:"ok"`
}

// step is one command this peer ran in a test.
type step struct {
	line   string
	err    error
	expect int // the index of the expectation it made, or -1
}

// test is the multi-peer test this peer takes part in. There is always one.
type test struct {
	mu       sync.Mutex
	name     string
	id       string
	after    uint64 // the last event before the test
	expect   []expectation
	steps    []step
	begun    bool   // by testreset or a testfilter: before, commands are nobody's test
	prepared string // the summary, once prepared

	changed chan struct{} // holds a token when expectations were added or reset
}

// open says whether something is expected.
func (t *test) open() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.expect) > 0
}

// touch says that the expectations are others now.
func (t *test) touch() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// maxSteps bounds what a test remembers.
const maxSteps = 10_000

func (t *test) reset(name string, after uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.name, t.id, t.after = name, uuid.NewString(), after
	t.expect, t.steps, t.prepared = nil, nil, ""
	t.begun = true
	t.touch()
}

// evaluate counts the lines of the conversation since the test began.
func (p *Peer) evaluate() ([]expectation, error) {
	t := &p.test
	t.mu.Lock()
	defer t.mu.Unlock()
	events, _ := p.events.Since(t.after)
	if len(events) > 0 && events[0].Seq > t.after+1 {
		return nil, fmt.Errorf("%d events of the test are no longer kept: testreset, and test in smaller parts", events[0].Seq-t.after-1)
	}
	all := slices.Clone(t.expect)
	view := func(event.Event) string { return "" }
	if app, ok := p.app.(Conversation); ok {
		view = app.ShowEvent
	}
	for i := range all {
		for _, e := range events {
			if line := view(e); line != "" && strings.HasPrefix(line, all[i].Text) {
				all[i].Have++
			}
		}
		all[i].OK = all[i].Have == all[i].Want
	}
	return all, nil
}

// ran notes a command of the test, without its secrets; the test's own are not
// part of it.
func (p *Peer) ran(line string, err error) {
	name, _, _ := strings.Cut(line, " ")
	if strings.HasPrefix(name, "test") && name != "testfilter" {
		return
	}
	t := &p.test
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun || len(t.steps) == maxSteps {
		return
	}
	s := step{line: line, err: err, expect: -1}
	if name == "testfilter" && err == nil {
		s.expect = len(t.expect) - 1
	}
	t.steps = append(t.steps, s)
}

// filterCommands are about expected lines: there are none without a conversation.
func (p *Peer) filterCommands() []command.Command {
	if _, ok := p.app.(Conversation); !ok {
		return nil
	}
	return []command.Command{
		{
			Name: "testfilter", Group: "test", Usage: messagesView + " N TEXT...", MinArgs: 3, MaxArgs: -1, Text: true, TextAfter: 2,
			Short: "expect exactly N lines of the " + p.app.Name() + " view that begin with TEXT", Example: "testfilter messagesView 1 <bob> hello",
			Run: p.addExpectation, Complete: func(args []string, _ string) []string {
				if len(args) == 0 {
					return []string{messagesView}
				}
				return nil
			},
		},
		{
			Name: "testfilters", Group: "test", Data: true,
			Short: "the expectations of all peers and whether they hold, as far as gossip told", Example: "testfilters",
			Run: p.showAllExpectations,
		},
		{
			Name: "testlocalfilters", Group: "test", Data: true,
			Short: "the expectations of this peer and whether each holds exactly", Example: "testlocalfilters",
			Run: func(_ context.Context, c *command.Call) error {
				all, err := p.evaluate()
				if err != nil {
					return err
				}
				if all == nil {
					all = []expectation{}
				}
				return c.Show(all, func() { c.Table(expectationHeader, expectationRows("", all)) })
			},
		},
	}
}

func (p *Peer) testCommands() []command.Command {
	return []command.Command{
		{
			Name: "testrun", Group: "test", Data: true,
			Short: "the current multi-peer test", Example: "testrun",
			Long: "It begins with testreset or with the first testfilter: commands before are not part\n" +
				"of it.",
			Run: func(_ context.Context, c *command.Call) error {
				p.test.mu.Lock()
				commands, filters := len(p.test.steps), len(p.test.expect)
				run := map[string]any{"name": p.test.name, "id": p.test.id, "commands": commands, "filters": filters}
				p.test.mu.Unlock()
				return c.Show(run, func() {
					c.Printf("%q (%s): %s, %s\n", run["name"], run["id"], count(commands, "command"), count(filters, "filter"))
				})
			},
		},
		{
			Name: "testreset", Group: "test", Usage: "[NAME]", MaxArgs: 1,
			Short: "begin a new multi-peer test: forget expectations and commands", Example: "testreset hello",
			Run: func(_ context.Context, c *command.Call) error {
				name := "test"
				if len(c.Args) > 0 {
					name = c.Args[0]
				}
				p.test.reset(name, p.events.Last())
				return nil
			},
		},
		{
			Name: "testsummaryprepare", Group: "test",
			Short: "wait up to 2s for messages in flight, then fix the summary", Example: "testsummaryprepare",
			Run: p.prepareSummary,
		},
		{
			Name: "testsummary", Group: "test",
			Short: "each command of the test with OK or FAILED, and each expectation", Example: "testsummary",
			Run: func(_ context.Context, c *command.Call) error {
				p.test.mu.Lock()
				prepared := p.test.prepared
				p.test.mu.Unlock()
				if prepared == "" {
					var err error
					if prepared, err = p.summary(); err != nil {
						return err
					}
				}
				c.Printf("%s", prepared)
				return nil
			},
		},
	}
}

// testKey begins the keys under which a peer's expectations are in the
// key/value map, where the others see them.
func testKey(peer string) string { return "test/" + peer + "/" }

// publish keeps the others informed of this peer's expectations, by the
// key/value map, until ctx ends.
func (p *Peer) publish(ctx context.Context) {
	told := map[string]string{}
	for {
		var more <-chan struct{}
		if p.test.open() {
			_, more = p.events.Since(p.events.Last())
		}
		select {
		case <-more:
		case <-p.test.changed:
		case <-ctx.Done():
			return
		}
		s, err := p.running()
		all, eerr := p.evaluate()
		if err != nil || eerr != nil || !s.broadcasting() {
			continue
		}
		now := map[string]string{}
		for i, e := range all {
			now[testKey(p.conf.Name)+strconv.Itoa(i+1)] = fmt.Sprintf("%d %d %s", e.Want, e.Have, e.Text)
		}
		for key, text := range now {
			if told[key] != text && s.values.Add(key, text) == nil {
				told[key] = text
			}
		}
		for key := range told {
			if now[key] == "" {
				_ = s.values.Delete(key) // gone already, if it fails
				delete(told, key)
			}
		}
	}
}

// showAllExpectations shows this peer's own and what the others published.
func (p *Peer) showAllExpectations(_ context.Context, c *command.Call) error {
	own, err := p.evaluate()
	if err != nil {
		return err
	}
	all := map[string][]expectation{}
	if len(own) > 0 {
		all[p.conf.Name] = own
	}
	if s, err := p.created(); err == nil {
		for _, entry := range s.values.List() {
			rest, ok := strings.CutPrefix(entry.Key, "test/")
			name, _, _ := strings.Cut(rest, "/")
			if !ok || name == p.conf.Name {
				continue
			}
			e := expectation{View: messagesView}
			words := strings.SplitN(entry.Text, " ", 3)
			if len(words) != 3 {
				continue // not ours
			}
			var werr, herr error
			e.Want, werr = strconv.Atoi(words[0])
			e.Have, herr = strconv.Atoi(words[1])
			e.Text, e.OK = words[2], e.Want == e.Have
			if werr == nil && herr == nil {
				all[name] = append(all[name], e)
			}
		}
	}
	return c.Show(all, func() {
		var rows [][]string
		for _, name := range slices.Sorted(maps.Keys(all)) {
			rows = append(rows, expectationRows(name, all[name])...)
		}
		c.Table(append([]string{"PEER"}, expectationHeader...), rows)
	})
}

func (p *Peer) addExpectation(_ context.Context, c *command.Call) error {
	if c.Args[0] != messagesView {
		return fmt.Errorf("testfilter: unknown view %q: there is %s", c.Args[0], messagesView)
	}
	n, err := strconv.ParseUint(c.Args[1], 10, 31)
	if err != nil {
		return fmt.Errorf("testfilter: %q is no number of lines", c.Args[1])
	}
	p.test.mu.Lock()
	defer p.test.mu.Unlock()
	if len(p.test.expect) == maxSteps {
		return errors.New("testfilter: too many expectations: testreset first")
	}
	p.test.begun = true
	p.test.expect = append(p.test.expect, expectation{View: messagesView, Want: int(n), Text: strings.Join(c.Args[2:], " ")})
	p.test.touch()
	return nil
}

var expectationHeader = []string{"VIEW", "WANT", "HAVE", "HOLDS", "TEXT"}

// expectationRows are the rows of a table, of one peer if named.
func expectationRows(peer string, all []expectation) [][]string {
	var rows [][]string
	for _, e := range all {
		row := []string{e.View, strconv.Itoa(e.Want), strconv.Itoa(e.Have), yesNo(e.OK), e.Text}
		if peer != "" {
			row = append([]string{peer}, row...)
		}
		rows = append(rows, row)
	}
	return rows
}

// count is a number of things, of one in the singular.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

func yesNo(ok bool) string {
	if ok {
		return "yes"
	}
	return "no"
}

func verdict(ok bool) string {
	if ok {
		return "OK"
	}
	return "FAILED"
}

// summary is what the test has come to, as far as this peer saw it.
func (p *Peer) summary() (string, error) {
	all, err := p.evaluate()
	if err != nil {
		return "", err
	}
	t := &p.test
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "Summary of %q (%s)\n\n%s\n", t.name, t.id, p.conf.Name)
	for _, s := range t.steps {
		fmt.Fprintf(&b, "  %-60s %s", s.line, verdict(s.err == nil))
		if s.err != nil {
			fmt.Fprintf(&b, ": %v", s.err)
		}
		b.WriteByte('\n')
		if s.expect >= 0 && s.expect < len(all) {
			e := all[s.expect]
			fmt.Fprintf(&b, "    %-58s %s\n", fmt.Sprintf("event %s %q: %d of %d", e.View, e.Text, e.Have, e.Want), verdict(e.OK))
		}
	}
	return b.String(), nil
}

// settle is how long the peer must have seen nothing new before a test is
// judged: an expectation of no line holds until the line comes.
const settle = 300 * time.Millisecond

func (p *Peer) prepareSummary(ctx context.Context, c *command.Call) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for quiet := false; !quiet && ctx.Err() == nil; {
		_, more := p.events.Since(p.events.Last())
		all, err := p.evaluate()
		if err != nil {
			return err
		}
		var enough <-chan time.Time
		if !slices.ContainsFunc(all, func(e expectation) bool { return !e.OK }) {
			enough = time.After(settle)
		}
		select {
		case <-more:
		case <-enough:
			quiet = true
		case <-ctx.Done():
		}
	}
	text, err := p.summary()
	if err != nil {
		return err
	}
	p.test.mu.Lock()
	defer p.test.mu.Unlock()
	p.test.prepared = text
	return nil
}
