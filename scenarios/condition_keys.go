package scenarios

import (
	"errors"
	"fmt"
	"strings"

	"peerlab/event"
	"peerlab/peer/broadcast"
)

func keyText(words []string) bool {
	return len(words) == 3 && isHas(words[0]) && words[1] == "key"
}

func parseHasKey(sc *scene, a args) (func() predicate, bool, error) {
	who, what, ok := cutAt(a.text, "has", "have")
	if !ok || len(what) == 0 || what[0] != "key" {
		return nil, false, nil
	}
	s, err := parseSubject(sc, who)
	if err != nil {
		return nil, true, err
	}
	if len(what) == 1 {
		return nil, true, errors.New("want a key of the broadcast map, such as motd")
	}
	key, text := what[1], strings.Join(what[2:], " ")
	if err := broadcast.Check(key, text); err != nil {
		return nil, true, err
	}
	return func() predicate {
		return &each{subject: s, test: &keyTest{key: key, text: text, anyText: len(what) == 2}}
	}, true, nil
}

func parseLacksKey(sc *scene, a args) (func() predicate, bool, error) {
	who, what, ok := cutAt(a.text, "lacks", "lack")
	if !ok {
		return nil, false, nil
	}
	s, err := parseSubject(sc, who)
	if err != nil {
		return nil, true, err
	}
	if len(what) > 2 && what[0] == "key" {
		return nil, true, fmt.Errorf("lacks takes a key and no text: write key %s, whatever text it has", what[1])
	}
	if len(what) != 2 || what[0] != "key" {
		return nil, true, errors.New("lacks what? want key and one key of the broadcast map, such as key motd")
	}
	if err := broadcast.Check(what[1], ""); err != nil {
		return nil, true, err
	}
	return func() predicate {
		return &each{subject: s, test: &keyTest{key: what[1], lacks: true}}
	}, true, nil
}

// keyTest is the test whether a peer has a key of the broadcast map, or lacks it.
type keyTest struct {
	key     string
	text    string
	anyText bool // it may have any text
	lacks   bool
	has     map[string]event.Event // what set it, by peer
}

func (t *keyTest) begin(w *world, _ []string) {
	t.has = make(map[string]event.Event)
	for _, e := range w.events {
		t.read(e)
	}
}

func (t *keyTest) take(_ *world, u update) bool { return t.read(u.event) }

// read reports whether the peer of an event may pass now and did not before, or
// the other way round.
func (t *keyTest) read(e event.Event) bool {
	switch e.Kind {
	case event.BroadcastSet:
		if e.Key != t.key {
			return false
		}
		t.has[e.Peer] = e
		return true
	case event.BroadcastDeleted:
		if e.Key != t.key {
			return false
		}
	case event.PeerStarted:
	case event.MemberJoin:
		// A membership that begins has a new map.
		if e.Member != e.Peer || e.Was != "" {
			return false
		}
	default:
		return false
	}
	_, had := t.has[e.Peer]
	delete(t.has, e.Peer)
	return had
}

func (t *keyTest) passes(_ *world, peer string) bool {
	e, has := t.has[peer]
	switch {
	case t.lacks, !has:
		return t.lacks && !has
	case t.anyText:
		return true
	}
	return e.Digest == broadcast.Digest(e.Key, e.Member, e.Version, t.text)
}

func (t *keyTest) why(_ *world, peer string) string {
	e, has := t.has[peer]
	switch {
	case !has:
		return peer + " does not have it"
	case t.lacks:
		return fmt.Sprintf("%s has it, set by %s", peer, e.Member)
	}
	return fmt.Sprintf("%s has another text, set by %s", peer, e.Member)
}
