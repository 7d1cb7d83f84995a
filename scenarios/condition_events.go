package scenarios

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"peerlab/event"
	"peerlab/internal/suggest"
	"peerlab/testbed"
)

// happenings are the conditions on events. They count from the last mark, or
// else from the beginning; in a hold, from where it begins.
func happenings() []kind {
	return []kind{
		{
			form: "nobody [but PEER…] dies", short: "no peer has declared another dead", example: "nobody but erin dies",
			detail: "Counts from the last mark, in a hold from its beginning. What a killed peer said last does not count.",
			parse:  parseNobody,
		},
		{
			form: "events KIND>=N [by PEER…] [about PEER…]", short: "so many events of a kind; also <=, =, < and >", example: "events member.refute>=1 by alice",
			detail: "by is who reported them, about the member they are about. Counts from the last mark, in a hold from its beginning.",
			parse:  parseEvents,
		},
		{
			form: "chat complete", short: "what was sent, all have", example: "chat complete",
			detail: "All are those to whom it is owed, as in check chat: who runs now, and of whose present life its author had seen chat.join when it sent it. Of a message whose author's life has ended, it counts if somebody has it.",
			parse:  parseChat,
		},
		{
			form: "PEER… has message TEXT…", text: messageText, short: "a chat message of this text was delivered to each of them, or sent by it", example: "all have message 'left side'",
			detail: "Counts from the beginning of the scenario.",
			parse:  parseHas,
		},
		{
			form: "PEER… has key KEY [TEXT…]", text: keyText, short: "each of them has this key of the broadcast map, with this text if there is one", example: "all have key motd 'hello, cluster'",
			detail: "What counts is what a peer has now: a key that it set, or took over from another, and that was not deleted since. A restarted peer begins without keys.",
			parse:  parseHasKey,
		},
		{
			form: "PEER… lacks key KEY", short: "none of them has this key of the broadcast map", example: "all lack key motd",
			detail: "Each of them runs.",
			parse:  parseLacksKey,
		},
	}
}

func parseNobody(sc *scene, a args) (func() predicate, bool, error) {
	n := len(a.text)
	if n < 2 || a.text[0] != "nobody" || a.text[n-1] != "dies" {
		return nil, false, nil
	}
	var but []string
	if n > 2 {
		if a.text[1] != "but" || n == 3 {
			return nil, true, at(a.words[1], errors.New("want nobody dies, or nobody but PEER… dies"))
		}
		var err error
		if but, err = sc.names(a.text[2 : n-1]); err != nil {
			return nil, true, err
		}
	}
	spared := setOf(but)
	return func() predicate {
		return &counter{
			counts: func(e event.Event, live bool) bool { return live && e.Kind == event.MemberDead && !spared[e.Member] },
			want:   comparison{"=", 0},
			tell:   func(c *counter) string { return fmt.Sprintf("%s declared %s dead", c.first.Peer, c.first.Member) },
		}
	}, true, nil
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// counter holds when the number of events since the last mark is as wanted.
type counter struct {
	counts func(e event.Event, live bool) bool
	want   comparison
	tell   func(c *counter) string // what is wrong
	n      int
	first  event.Event
}

func (c *counter) begin(w *world) {
	c.n = 0
	for i := w.from; i < len(w.events); i++ {
		c.add(w.events[i], w.live[i])
	}
}

func (c *counter) take(_ *world, u update) { c.add(u.event, u.live) }

func (c *counter) add(e event.Event, live bool) {
	if !c.counts(e, live) {
		return
	}
	if c.n == 0 {
		c.first = e
	}
	c.n++
}

func (c *counter) holds(*world) bool { return c.want.holds(c.n) }
func (c *counter) why(*world) string { return c.tell(c) }

// eventKinds are the kinds of events there are.
var eventKinds = append(event.Kinds(),
	testbed.LabStart, testbed.LabStop, testbed.LabKill, testbed.LabPause, testbed.LabResume, testbed.LabThrottle, testbed.LabMove, testbed.LabExit, testbed.LabDisconnect, testbed.LabConnect,
	testbed.LabCut, testbed.LabLink, testbed.LabHeal, testbed.LabProbe, testbed.LabBusy, testbed.LabMark, testbed.LabError,
)

// EventKinds returns the kinds of events there are: those of peers, then those of
// the lab.
func EventKinds() []event.Kind { return slices.Clone(eventKinds) }

// comparison is how a number must be: >=3.
type comparison struct {
	op string
	n  int
}

func (c comparison) holds(n int) bool {
	switch c.op {
	case ">=":
		return n >= c.n
	case "<=":
		return n <= c.n
	case ">":
		return n > c.n
	case "<":
		return n < c.n
	}
	return n == c.n
}

var compared = regexp.MustCompile(`^(.*?)(>=|<=|=|<|>)([0-9]{1,9})$`)

// parseComparison reads KIND>=N, split into words in any way.
func parseComparison(words []string) (what string, c comparison, ok bool) {
	m := compared.FindStringSubmatch(strings.Join(words, ""))
	if m == nil {
		return "", c, false
	}
	n, err := strconv.Atoi(m[3])
	return m[1], comparison{m[2], n}, err == nil
}

func parseEvents(sc *scene, a args) (func() predicate, bool, error) {
	if a.text[0] != "events" {
		return nil, false, nil
	}
	if len(a.text) == 1 {
		return nil, true, errors.New("want the kind of events, and how many, such as events member.dead>=3")
	}
	rest := a.text[1:]
	words := map[string][]string{} // of each list
	for _, word := range []string{"about", "by"} {
		before, after, ok := cutAt(rest, word)
		if !ok {
			continue
		}
		// The other one may come after it.
		if end := slices.IndexFunc(after, func(w string) bool { return w == "by" || w == "about" }); end >= 0 {
			before, after = append(slices.Clone(before), after[end:]...), after[:end]
		}
		words[word], rest = after, before
	}
	by, about, err := sc.byAndAbout(words)
	if err != nil {
		return nil, true, err
	}
	what, want, ok := parseComparison(rest)
	if !ok {
		return nil, true, at(a.words[1], fmt.Errorf("%q: want the kind of events, and how many, such as member.dead>=3", strings.Join(rest, " ")))
	}
	if !slices.Contains(eventKinds, event.Kind(what)) {
		var names []string
		for _, k := range eventKinds {
			names = append(names, string(k))
		}
		text := "see docs/scenarios.md"
		if near := suggest.Similar(what, names); len(near) > 0 {
			text = "did you mean " + strings.Join(near, ", ") + "?"
		}
		return nil, true, at(a.words[1], fmt.Errorf("there are no events %q: %s", what, text))
	}
	if want.op == "<" && want.n == 0 {
		return nil, true, at(a.words[1], errors.New("there cannot be fewer than none"))
	}
	return func() predicate {
		return &counter{
			counts: func(e event.Event, _ bool) bool {
				return e.Kind == event.Kind(what) && (len(by) == 0 || by[e.Peer]) && (len(about) == 0 || about[e.Member])
			},
			want: want,
			tell: func(c *counter) string { return fmt.Sprintf("there are %d", c.n) },
		}
	}, true, nil
}

// byAndAbout reads who reported events, and about whom. rest in one of the lists
// is who is not in the other.
func (sc *scene) byAndAbout(words map[string][]string) (by, about map[string]bool, err error) {
	var reporters, members []string
	switch who, whom := words["by"], words["about"]; {
	case who != nil && whom != nil:
		reporters, members, err = sc.bothNames(who, whom)
	case who != nil:
		reporters, err = sc.names(who)
	case whom != nil:
		members, err = sc.names(whom)
	}
	return setOf(reporters), setOf(members), err
}

func isHas(verb string) bool { return verb == "has" || verb == "have" }

func messageText(words []string) bool {
	return len(words) == 2 && isHas(words[0]) && words[1] == "message"
}

func parseHas(sc *scene, a args) (func() predicate, bool, error) {
	who, what, ok := cutAt(a.text, "has", "have")
	if !ok || len(what) == 0 || what[0] != "message" {
		return nil, false, nil
	}
	s, err := parseSubject(sc, who)
	if err != nil {
		return nil, true, err
	}
	if len(what) == 1 {
		return nil, true, errors.New("want the text of the message: quote it")
	}
	text := strings.Join(what[1:], " ")
	return func() predicate {
		return &each{subject: s, test: &hasMessage{text: text}}
	}, true, nil
}

// hasMessage is the test whether a message of this text was delivered to a peer,
// or sent by it.
type hasMessage struct {
	text string
	has  map[string]bool
}

func (t *hasMessage) begin(w *world, _ []string) {
	t.has = make(map[string]bool)
	for _, e := range w.events {
		t.read(e)
	}
}

func (t *hasMessage) take(_ *world, u update) bool { return t.read(u.event) }

func (t *hasMessage) read(e event.Event) bool {
	if e.Kind != event.ChatDelivered && e.Kind != event.ChatSent || e.Text != t.text {
		return false
	}
	t.has[e.Peer] = true
	return true
}

func (t *hasMessage) passes(_ *world, peer string) bool { return t.has[peer] }
func (t *hasMessage) why(_ *world, peer string) string  { return peer + " does not have it" }
