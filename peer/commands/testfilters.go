package commands

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

// recordedCommand is one command that this peer ran in a test.
type recordedCommand struct {
	line   string
	err    error
	expect int // the index of the expectation it made, or -1
}

// multiPeerTest is the test that this peer takes part in. There is always one.
type multiPeerTest struct {
	mu       sync.Mutex
	name     string
	id       string
	after    uint64 // the last event before the test
	expect   []expectation
	steps    []recordedCommand
	begun    bool   // by testreset or a testfilter: before, commands belong to no test
	prepared string // the summary, once prepared

	changed chan struct{} // holds a token when expectations were added or reset
}

// hasExpectations reports whether something is expected.
func (t *multiPeerTest) hasExpectations() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.expect) > 0
}

// notifyChanged says that the expectations have changed.
func (t *multiPeerTest) notifyChanged() {
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// maxSteps bounds what a test remembers.
const maxSteps = 10_000

func (t *multiPeerTest) reset(name string, after uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.name, t.id, t.after = name, uuid.NewString(), after
	t.expect, t.steps, t.prepared = nil, nil, ""
	t.begun = true
	t.notifyChanged()
}

// evaluate counts the lines of the conversation since the test began.
func (b *Builtins) evaluate() ([]expectation, error) {
	t := &b.test
	t.mu.Lock()
	defer t.mu.Unlock()
	events, _ := b.peer.Events.Since(t.after)
	if len(events) > 0 && events[0].Seq > t.after+1 {
		return nil, fmt.Errorf("%d events of the test are no longer kept: testreset, and test in smaller parts", events[0].Seq-t.after-1)
	}
	all := slices.Clone(t.expect)
	view := func(event.Event) string { return "" }
	if b.isConversation() {
		view = b.peer.App.ShowEvent
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

// recordCommand notes a command of the test, without its secrets; the test's own are not
// part of it.
func (b *Builtins) recordCommand(line string, err error) {
	name, _, _ := strings.Cut(line, " ")
	if strings.HasPrefix(name, "test") && name != "testfilter" {
		return
	}
	t := &b.test
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun || len(t.steps) == maxSteps {
		return
	}
	s := recordedCommand{line: line, err: err, expect: -1}
	if name == "testfilter" && err == nil {
		s.expect = len(t.expect) - 1
	}
	t.steps = append(t.steps, s)
}

// filterCommands are about expected lines: there are none without a conversation.
func (b *Builtins) filterCommands() []command.Command {
	if !b.isConversation() {
		return nil
	}
	return []command.Command{
		{
			Name: "testfilter", Group: "test", Usage: messagesView + " N TEXT...", MinArgs: 3, MaxArgs: -1, Text: true, TextAfter: 2,
			Short: "expect exactly N lines of the " + b.peer.App.Name + " view that begin with TEXT", Example: "testfilter messagesView 1 <bob> hello",
			Run: b.addExpectation, Complete: func(args []string, _ string) []string {
				if len(args) == 0 {
					return []string{messagesView}
				}
				return nil
			},
		},
		{
			Name: "testfilters", Group: "test", Data: true,
			Short: "the expectations of all peers and whether they are met, as far as gossip tells", Example: "testfilters",
			Run: b.showAllExpectations,
		},
		{
			Name: "testlocalfilters", Group: "test", Data: true,
			Short: "the expectations of this peer and whether each is met exactly", Example: "testlocalfilters",
			Run: func(_ context.Context, c *command.Call) error {
				all, err := b.evaluate()
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

func (b *Builtins) testCommands() []command.Command {
	return []command.Command{
		{
			Name: "testrun", Group: "test", Data: true,
			Short: "the current multi-peer test", Example: "testrun",
			Long: "It begins with testreset or with the first testfilter: commands before are not part\n" +
				"of it.",
			Run: func(_ context.Context, c *command.Call) error {
				b.test.mu.Lock()
				commands, filters := len(b.test.steps), len(b.test.expect)
				run := map[string]any{"name": b.test.name, "id": b.test.id, "commands": commands, "filters": filters}
				b.test.mu.Unlock()
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
				b.test.reset(name, b.peer.Events.Last())
				return nil
			},
		},
		{
			Name: "testsummaryprepare", Group: "test",
			Short: "wait up to 2s for messages in flight, then fix the summary", Example: "testsummaryprepare",
			Run: b.prepareSummary,
		},
		{
			Name: "testsummary", Group: "test",
			Short: "each command of the test with OK or FAILED, and each expectation", Example: "testsummary",
			Run: func(_ context.Context, c *command.Call) error {
				b.test.mu.Lock()
				prepared := b.test.prepared
				b.test.mu.Unlock()
				if prepared == "" {
					var err error
					if prepared, err = b.summary(); err != nil {
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

// PublishTest keeps the others informed of this peer's expectations, by the
// key/value map, until ctx ends.
func (b *Builtins) PublishTest(ctx context.Context) {
	published := map[string]string{}
	for {
		var more <-chan struct{}
		if b.test.hasExpectations() {
			_, more = b.peer.Events.Since(b.peer.Events.Last())
		}
		select {
		case <-more:
		case <-b.test.changed:
		case <-ctx.Done():
			return
		}
		s, err := b.peer.Layers.Running()
		all, eerr := b.evaluate()
		if err != nil || eerr != nil || !s.Gossiping {
			continue
		}
		now := map[string]string{}
		for i, e := range all {
			now[testKey(b.peer.Name)+strconv.Itoa(i+1)] = fmt.Sprintf("%d %d %s", e.Want, e.Have, e.Text)
		}
		for key, text := range now {
			if published[key] != text && s.Values.Add(key, text) == nil {
				published[key] = text
			}
		}
		for key := range published {
			if now[key] == "" {
				_ = s.Values.Delete(key) // gone already, if it fails
				delete(published, key)
			}
		}
	}
}

// showAllExpectations shows this peer's own and what the others published.
func (b *Builtins) showAllExpectations(_ context.Context, c *command.Call) error {
	own, err := b.evaluate()
	if err != nil {
		return err
	}
	all := map[string][]expectation{}
	if len(own) > 0 {
		all[b.peer.Name] = own
	}
	if s, err := b.peer.Layers.Created(); err == nil {
		for _, entry := range s.Values.List() {
			rest, ok := strings.CutPrefix(entry.Key, "test/")
			name, _, _ := strings.Cut(rest, "/")
			if !ok || name == b.peer.Name {
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

func (b *Builtins) addExpectation(_ context.Context, c *command.Call) error {
	if c.Args[0] != messagesView {
		return fmt.Errorf("testfilter: unknown view %q: there is %s", c.Args[0], messagesView)
	}
	n, err := strconv.ParseUint(c.Args[1], 10, 31)
	if err != nil {
		return fmt.Errorf("testfilter: %q is no number of lines", c.Args[1])
	}
	b.test.mu.Lock()
	defer b.test.mu.Unlock()
	if len(b.test.expect) == maxSteps {
		return errors.New("testfilter: too many expectations: testreset first")
	}
	b.test.begun = true
	b.test.expect = append(b.test.expect, expectation{View: messagesView, Want: int(n), Text: strings.Join(c.Args[2:], " ")})
	b.test.notifyChanged()
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
func (b *Builtins) summary() (string, error) {
	all, err := b.evaluate()
	if err != nil {
		return "", err
	}
	t := &b.test
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	fmt.Fprintf(&text, "Summary of %q (%s)\n\n%s\n", t.name, t.id, b.peer.Name)
	for _, s := range t.steps {
		fmt.Fprintf(&text, "  %-60s %s", s.line, verdict(s.err == nil))
		if s.err != nil {
			fmt.Fprintf(&text, ": %v", s.err)
		}
		text.WriteByte('\n')
		if s.expect >= 0 && s.expect < len(all) {
			e := all[s.expect]
			fmt.Fprintf(&text, "    %-58s %s\n", fmt.Sprintf("event %s %q: %d of %d", e.View, e.Text, e.Have, e.Want), verdict(e.OK))
		}
	}
	return text.String(), nil
}

// settle is how long the peer must have seen nothing new before a test is
// judged: an expectation of no line is met until the line comes.
const settle = 300 * time.Millisecond

func (b *Builtins) prepareSummary(ctx context.Context, c *command.Call) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for quiet := false; !quiet && ctx.Err() == nil; {
		_, more := b.peer.Events.Since(b.peer.Events.Last())
		all, err := b.evaluate()
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
	text, err := b.summary()
	if err != nil {
		return err
	}
	b.test.mu.Lock()
	defer b.test.mu.Unlock()
	b.test.prepared = text
	return nil
}
