package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/observe/theory"
	"peerlab/peer/broadcast"
	"peerlab/testbed"
)

// conditionsOf has, for every form of condition that follows events, some of it,
// and what it says of the world looked at as a whole.
func conditionsOf() map[string]map[string]func(w *world) bool {
	peers := []string{"alice", "bob", "charly", "dave"}
	meant := func(w *world, names []string, all bool) (some []string) {
		for _, name := range names {
			if !all || w.up[name] && !w.view.Paused(name) {
				some = append(some, name)
			}
		}
		return some
	}
	each := func(names []string, all bool, passes func(w *world, name string) bool) func(w *world) bool {
		return func(w *world) bool {
			some := meant(w, names, all)
			for _, name := range some {
				if !w.view.Runs(name) || !passes(w, name) {
					return false
				}
			}
			return len(some) > 0
		}
	}
	isIn := func(w *world, observer, member, state string) bool {
		return slices.Contains(states[state], w.view.State(observer, member))
	}
	see := func(others []string, state string, butItself bool) func(w *world, name string) bool {
		return func(w *world, name string) bool {
			for _, other := range others {
				if (other != name || !butItself) && !isIn(w, name, other, state) {
					return false
				}
			}
			return true
		}
	}
	sees := func(n int, kinds ...observe.State) func(w *world, name string) bool {
		return func(w *world, name string) bool {
			found := 0
			for _, other := range w.view.Members(name) {
				if slices.Contains(kinds, w.view.State(name, other)) {
					found++
				}
			}
			return found == n
		}
	}
	exactly := func(want ...string) func(w *world, name string) bool {
		return func(w *world, name string) bool {
			for _, other := range w.view.Members(name) {
				if isIn(w, name, other, "member") && other != name && !slices.Contains(want, other) {
					return false
				}
			}
			return !slices.ContainsFunc(want, func(other string) bool { return !isIn(w, name, other, "member") })
		}
	}
	happened := func(is func(e event.Event, live bool) bool) func(w *world) int {
		return func(w *world) (n int) {
			for i := w.from; i < len(w.events); i++ {
				if is(w.events[i], w.live[i]) {
					n++
				}
			}
			return n
		}
	}
	dies := func(but ...string) func(w *world) bool {
		deaths := happened(func(e event.Event, live bool) bool {
			return live && e.Kind == event.MemberDead && !slices.Contains(but, e.Member)
		})
		return func(w *world) bool { return deaths(w) == 0 }
	}
	joins := happened(func(e event.Event, _ bool) bool {
		return e.Kind == event.MemberJoin && (e.Peer == "alice" || e.Peer == "bob") && e.Member == "charly"
	})
	has := func(w *world, name string) bool {
		return slices.ContainsFunc(w.events, func(e event.Event) bool {
			return (e.Kind == event.ChatDelivered || e.Kind == event.ChatSent) && e.Peer == name && e.Text == "hello"
		})
	}
	// text is what the key motd has in a peer's map.
	text := func(w *world, name string) (text string, has bool) {
		for _, e := range w.events {
			switch {
			case e.Peer != name:
			case e.Kind == event.PeerStarted, e.Kind == event.MemberJoin && e.Member == name && e.Was == "", e.Kind == event.BroadcastDeleted && e.Key == "motd":
				text, has = "", false
			case e.Kind == event.BroadcastSet && e.Key == "motd":
				text, has = "hello", e.Digest == digest("hello")
				if !has {
					text, has = "you", true
				}
			}
		}
		return text, has
	}
	hasKey := func(w *world, name string) bool { _, has := text(w, name); return has }
	return map[string]map[string]func(w *world) bool{
		"PEER… has key KEY [TEXT…]": {
			"all have key motd":       each(peers, true, hasKey),
			"alice has key motd":      each(peers[:1], false, hasKey),
			"all have key motd hello": each(peers, true, func(w *world, name string) bool { text, _ := text(w, name); return text == "hello" }),
		},
		"PEER… lacks key KEY": {
			"all lack key motd":       each(peers, true, func(w *world, name string) bool { return !hasKey(w, name) }),
			"alice,bob lack key motd": each(peers[:2], false, func(w *world, name string) bool { return !hasKey(w, name) }),
		},
		"PEER… see N alive|members": {
			"all see 4 alive":         each(peers, true, sees(4, observe.Alive)),
			"alice,bob see 4 members": each(peers[:2], false, sees(4, observe.Alive, observe.Suspect)),
		},
		"PEER… see exactly PEER…": {
			"all see exactly all":                each(peers, true, exactly(peers...)),
			"alice,bob see exactly all":          each(peers[:2], false, exactly(peers...)),
			"not all see exactly alice":          func(w *world) bool { return !each(peers, true, exactly("alice"))(w) },
			"charly sees exactly alice,bob,dave": each(peers[2:3], false, exactly("alice", "bob", "dave")),
		},
		"PEER… see PEER… alive|suspect|dead|left|unknown|gone|member": {
			"all see all alive":        each(peers, true, see(peers, "alive", true)),
			"all see all member":       each(peers, true, see(peers, "member", true)),
			"alice sees alice left":    each(peers[:1], false, see(peers[:1], "left", false)),
			"alice,bob see rest gone":  each(peers[:2], false, see(peers[2:], "gone", false)),
			"bob sees eve unknown":     each(peers[1:2], false, see([]string{"eve"}, "unknown", false)),
			"not all see dave suspect": func(w *world) bool { return !each(peers, true, see(peers[3:], "suspect", true))(w) },
			"alice sees dave dead":     each(peers[:1], false, see(peers[3:], "dead", false)),
		},
		"health PEER…>=N": {
			"health all>=1": each(peers, true, func(w *world, name string) bool { return w.view.Health(name) >= 1 }),
			"health bob=0":  each(peers[1:2], false, func(w *world, name string) bool { return w.view.Health(name) == 0 }),
		},
		"nobody [but PEER…] dies": {
			"nobody dies":           dies(),
			"nobody but alice dies": dies("alice"),
		},
		"events KIND>=N [by PEER…] [about PEER…]": {
			"events member.join>=2 by alice,bob about charly": func(w *world) bool { return joins(w) >= 2 },
			"events lab.kill<2": func(w *world) bool {
				return happened(func(e event.Event, _ bool) bool { return e.Kind == testbed.LabKill })(w) < 2
			},
		},
		"chat complete": {
			"chat complete": func(w *world) bool {
				anew := newMail()
				for _, e := range w.events {
					anew.take(w, e)
				}
				l, _ := anew.firstOpen(w)
				return l == nil
			},
		},
		"PEER… has message TEXT…": {
			"all have message hello":       each(peers, true, has),
			"alice,bob have message hello": each(peers[:2], false, has),
		},
	}
}

// digest is that of a text of the key motd in these tests.
func digest(text string) string { return broadcast.Digest("motd", "eve", 1, text) }

// conditionScene is what is known at the lines of these conditions.
func conditionScene(t interface{ Fatal(...any) }, n int) *scene {
	sc := newScene(nil, arm{}, nil)
	sc.spec = testbed.Spec{Peers: testbed.Names(n), Own: map[string]map[string]string{}}
	if n == 4 {
		sc.spec = testbed.Spec{Peers: []string{"alice", "bob", "charly", "dave"}, Own: map[string]map[string]string{"dave": {"name": "eve"}}}
	}
	sc.defined = true
	return sc
}

func compile(t interface{ Fatal(...any) }, sc *scene, text string) condition {
	words := strings.Fields(text)
	c, err := parseCondition(sc, args{words: make([]word, len(words)), text: words})
	if err != nil {
		t.Fatal(text, err)
	}
	return c.instance()
}

// randomEvent draws an event such as no cluster might report: predicates must be
// right whatever happens.
func randomEvent(t *rapid.T, i int) event.Event {
	names := []string{"alice", "bob", "charly", "dave", "eve", "frank"}
	who, whom := rapid.SampledFrom(names).Draw(t, "who"), rapid.SampledFrom(names).Draw(t, "whom")
	e := event.Event{Time: time.Unix(int64(i), 0), Peer: who, Member: whom}
	if rapid.IntRange(0, 9).Draw(t, "late") == 0 {
		e.Time = time.Unix(int64(max(0, i-5)), 0)
	}
	e.Kind = rapid.SampledFrom([]event.Kind{
		event.PeerStarted, event.PeerStopping, event.PeerHealth, event.PeerTraffic,
		event.MemberJoin, event.MemberJoin, event.MemberJoin, event.MemberJoin, event.MemberSuspect, event.MemberRefute, event.MemberDead, event.MemberLeft, event.MemberReap,
		event.ChatStart, event.ChatJoin, event.ChatJoin, event.ChatLeave, event.ChatSent, event.ChatDelivered, event.ChatDelivered, event.ChatDelivered, event.ChatSkipped,
		event.BroadcastSet, event.BroadcastSet, event.BroadcastDeleted,
		testbed.LabStart, testbed.LabStart, testbed.LabStop, testbed.LabKill, testbed.LabExit, testbed.LabPause, testbed.LabResume, testbed.LabMark,
	}).Draw(t, "kind")
	switch e.Kind {
	case event.PeerHealth, event.MemberSuspect, event.MemberDead:
		e.Health = rapid.IntRange(0, 2).Draw(t, "health")
	case event.MemberJoin:
		e.Was = rapid.SampledFrom([]string{"", "dead"}).Draw(t, "was")
	case event.BroadcastSet, event.BroadcastDeleted:
		e.Key = rapid.SampledFrom([]string{"motd", "other"}).Draw(t, "key")
		e.Member, e.Version = "eve", 1
		e.Digest = digest(rapid.SampledFrom([]string{"hello", "you"}).Draw(t, "text"))
	case event.ChatStart, event.ChatJoin:
		e.Life = rapid.Uint64Range(0, 2).Draw(t, "life")
	case event.ChatLeave:
		e.Reason = rapid.SampledFrom([]string{"leave", "gone"}).Draw(t, "reason")
	case event.ChatSent:
		e.Member = ""
		e.Message = fmt.Sprintf("%s/1/%d", who, rapid.IntRange(1, 4).Draw(t, "seq"))
		e.Text = rapid.SampledFrom([]string{"hello", "you"}).Draw(t, "text")
	case event.ChatDelivered, event.ChatSkipped:
		e.Message = fmt.Sprintf("%s/1/%d", whom, rapid.IntRange(1, 4).Draw(t, "seq"))
		e.Text = rapid.SampledFrom([]string{"hello", "you"}).Draw(t, "text")
	}
	if strings.HasPrefix(string(e.Kind), "lab.") {
		e.Peer = testbed.Lab
	}
	return e
}

// start is what a peer reports that is started and meets the others.
func start(at int, name string) (events []event.Event) {
	now := time.Unix(int64(at), 0)
	events = append(events,
		event.Event{Time: now, Peer: testbed.Lab, Kind: testbed.LabStart, Member: name},
		event.Event{Time: now, Peer: name, Kind: event.PeerStarted},
		event.Event{Time: now, Peer: name, Kind: event.ChatStart, Life: 1})
	for _, other := range []string{"alice", "bob", "charly", "dave"} {
		events = append(events, event.Event{Time: now, Peer: name, Kind: event.MemberJoin, Member: other})
		if other != name {
			events = append(events, event.Event{Time: now, Peer: name, Kind: event.ChatJoin, Member: other, Life: 1})
		}
	}
	return events
}

// message is what is reported of one that all get, but for those left out.
func message(at int, author string, seq int, without func(peer string) bool) []event.Event {
	id := fmt.Sprintf("%s/1/%d", author, seq)
	events := []event.Event{{Time: time.Unix(int64(at), 0), Peer: author, Kind: event.ChatSent, Message: id, Text: "hello"}}
	for _, other := range []string{"alice", "bob", "charly", "dave"} {
		if other != author && !without(other) {
			events = append(events, event.Event{Time: time.Unix(int64(at), 0), Peer: other, Kind: event.ChatDelivered, Message: id, Text: "hello"})
		}
	}
	return events
}

// rareEvents are those on which a condition turns and which seldom come by
// chance.
func rareEvents(at int) [][]event.Event {
	of := func(kind event.Kind, who, whom string) event.Event {
		return event.Event{Time: time.Unix(int64(at), 0), Peer: who, Kind: kind, Member: whom}
	}
	kill := of(testbed.LabKill, testbed.Lab, "charly")
	var suspects, unwell, keys []event.Event
	for _, name := range []string{"alice", "bob", "charly", "dave"} {
		suspects = append(suspects, of(event.MemberSuspect, name, "dave"))
		ill := of(event.PeerHealth, name, "")
		ill.Health = 1
		unwell = append(unwell, ill)
		e := of(event.BroadcastSet, name, "eve")
		e.Key, e.Version, e.Digest = "motd", 1, digest("hello")
		keys = append(keys, e)
	}
	return [][]event.Event{
		{of(event.MemberDead, "alice", "dave")},
		{of(event.MemberLeft, "alice", "alice")},
		{kill, kill},
		suspects,
		keys,
		slices.Concat(start(at, "alice"), start(at, "bob"), []event.Event{
			of(event.MemberDead, "alice", "charly"), of(event.MemberDead, "alice", "dave"), of(event.MemberDead, "bob", "charly"), of(event.MemberDead, "bob", "dave"),
		}),
		slices.Concat(start(at, "alice"), start(at, "bob"), start(at, "charly"), start(at, "dave"), unwell),
		slices.Concat(start(at, "alice"), start(at, "bob"), start(at, "charly"), start(at, "dave"), keys),
	}
}

// randomHistory draws events: most of the time of a cluster that is well or has
// just been made well.
func randomHistory(t *rapid.T) (events []event.Event) {
	names := []string{"alice", "bob", "charly", "dave"}
	for _, name := range names {
		events = append(events, start(0, name)...)
	}
	for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
		switch rapid.IntRange(0, 9).Draw(t, "step") {
		case 0:
			events = append(events, start(i, rapid.SampledFrom(names).Draw(t, "starts"))...)
		case 1:
			lacks := rapid.SampledFrom(append(names, "")).Draw(t, "lacks")
			events = append(events, message(i, rapid.SampledFrom(names).Draw(t, "author"), i+10, func(peer string) bool { return peer == lacks })...)
		case 2:
			events = append(events, rapid.SampledFrom(rareEvents(i)).Draw(t, "rare")...)
		default:
			events = append(events, randomEvent(t, i))
		}
	}
	return events
}

// TestPredicatesFollowEvents: after every event each condition that has followed
// the history holds exactly if it holds for one that looks at the whole world, and
// says the same of why not.
func TestPredicatesFollowEvents(t *testing.T) {
	all := conditionsOf()
	for _, k := range slices.Concat(views(), happenings()) {
		if all[k.form] == nil {
			t.Errorf("%s has no test", k.form)
		}
	}
	came := make(map[string][2]int) // how often each did not hold, and did
	rapid.Check(t, func(t *rapid.T) {
		sc, w := conditionScene(t, 4), newWorld(nil, nil, theory.Model{})
		following := make(map[string]condition)
		oracles := make(map[string]func(w *world) bool)
		for _, some := range all {
			for text, oracle := range some {
				oracles[text] = oracle
			}
		}
		for _, e := range randomHistory(t) {
			if rapid.IntRange(0, 20).Draw(t, "mark") == 0 { // a mark comes between two lines
				w.mark()
				clear(following)
			}
			for text := range oracles {
				if _, ok := following[text]; !ok {
					c := compile(t, sc, text)
					c.begin(w)
					following[text] = c
				}
			}
			u := w.add(e)
			for text, oracle := range oracles {
				c := following[text]
				c.take(w, u)
				got := c.holds(w)
				n := came[text]
				n[asInt(got)]++
				came[text] = n
				if want := oracle(w); got != want {
					t.Fatalf("after %s of %s about %s: %s: %t, it is %t", e.Kind, e.Peer, e.Member, text, got, want)
				}
				anew := compile(t, sc, text)
				anew.begin(w)
				if anew.holds(w) != got || !got && anew.why(w) != c.why(w) {
					t.Fatalf("%s: %t, %q; begun now: %t, %q", text, got, c.why(w), anew.holds(w), anew.why(w))
				}
			}
		}
	})
	for text, n := range came {
		if (n[0] == 0 || n[1] == 0) && !testing.Short() { // which draws few
			t.Errorf("%s: it came to the same each time: %v", text, n)
		}
	}
}

// TestPredicatesLookAtWhatChanges counts: of an event that changes a view one
// pair of peers is looked at, of others none.
func TestPredicatesLookAtWhatChanges(t *testing.T) {
	const n = 60
	for _, text := range []string{"all see exactly all", "all see all alive", "all see all member"} {
		sc, w := conditionScene(t, n), newWorld(nil, nil, theory.Model{})
		c := compile(t, sc, text)
		test := c.predicate.(*each).test.(*cellTest)
		looked, wrong := 0, test.wrong
		test.wrong = func(observer, member string, state observe.State) bool {
			looked++
			return wrong(observer, member, state)
		}
		c.begin(w)
		began, changes := looked, 0
		take := func(e event.Event) {
			u := w.add(e)
			c.take(w, u)
			if u.change.Member != "" {
				changes++
			}
		}
		for _, name := range sc.spec.Peers {
			take(event.Event{Peer: testbed.Lab, Kind: testbed.LabStart, Member: name})
			take(event.Event{Peer: name, Kind: event.PeerStarted})
		}
		started := looked
		for _, name := range sc.spec.Peers {
			for _, other := range sc.spec.Peers {
				take(event.Event{Peer: name, Kind: event.MemberJoin, Member: other})
				take(event.Event{Peer: name, Kind: event.ChatJoin, Member: other})
				take(event.Event{Peer: name, Kind: event.PeerTraffic})
			}
		}
		if !c.holds(w) {
			t.Errorf("%s: %s", text, c.why(w))
		}
		if began > n*n || started-began > n*n {
			t.Errorf("%s: looked %d times to begin, %d times at rows that were forgotten", text, began, started-began)
		}
		if joins := looked - started; joins > 2*changes {
			t.Errorf("%s: looked %d times for %d changes", text, joins, changes)
		}
	}
}

// TestChatCompleteIsLinear: awaiting a backlog looks once at each message and
// peer.
func TestChatCompleteIsLinear(t *testing.T) {
	const messages = 2000
	w := newWorld(nil, nil, theory.Model{})
	names := []string{"alice", "bob", "charly", "dave"}
	for _, name := range names {
		for _, e := range start(0, name) {
			w.add(e)
		}
	}
	c := compile(t, conditionScene(t, 4), "chat complete")
	c.begin(w)
	for i := range messages {
		for _, e := range message(1, "bob", i+1, func(string) bool { return true }) {
			c.take(w, w.add(e))
		}
		if c.holds(w) {
			t.Fatal("nobody has it, and it is complete")
		}
	}
	for _, name := range []string{"alice", "charly", "dave"} {
		for i := range messages {
			c.take(w, w.add(event.Event{Peer: name, Kind: event.ChatDelivered, Message: fmt.Sprintf("bob/1/%d", i+1), Text: "hello"}))
			if complete := name == "dave" && i == messages-1; c.holds(w) != complete {
				t.Fatalf("%s has %d: complete: %t", name, i+1, !complete)
			}
		}
	}
	if most := 2 * messages * len(names); w.mail.looked > most {
		t.Errorf("looked %d times, want at most %d", w.mail.looked, most)
	}
}
