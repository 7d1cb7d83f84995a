package testbed

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Words that mean several peers.
const (
	// All is every peer of the cluster.
	All = "all"
	// Rest is every peer that the line does not name.
	Rest = "rest"
)

// Roster is whom the words of a line can mean: a line of a scenario or a command
// of peerlab, by the same rules.
type Roster struct {
	// Peers are those of the cluster, in its order.
	Peers []string
	// Others can be named as well, but all and rest leave them out: the bootstrap
	// service.
	Others []string
}

// NewRoster returns the roster of a cluster in which these run; the bootstrap
// service may be among them.
func NewRoster(names []string) Roster {
	var r Roster
	for _, name := range names {
		if name == Bootstrap {
			r.Others = append(r.Others, name)
		} else {
			r.Peers = append(r.Peers, name)
		}
	}
	return r
}

// SelectorKind is one way to say which peers are meant.
type SelectorKind struct {
	// Form is an example, Text what it means.
	Form, Text string
	// choose returns the peers that item means; not ok is an item of another kind.
	choose func(r Roster, item string, named []string) (names []string, ok bool, err error)
}

// selectorKinds are tried in this order.
var selectorKinds = []SelectorKind{
	{"all", "every peer", func(r Roster, item string, _ []string) ([]string, bool, error) {
		return r.Peers, item == All, nil
	}},
	{"rest", "every peer that the line does not name", func(r Roster, item string, named []string) ([]string, bool, error) {
		if item != Rest {
			return nil, false, nil
		}
		rest := slices.DeleteFunc(slices.Clone(r.Peers), func(name string) bool { return slices.Contains(named, name) })
		if len(rest) == 0 {
			return nil, true, errors.New("rest is empty: the line names every peer")
		}
		return rest, true, nil
	}},
	{"alice..dave", "the peers from alice to dave, in the order of the cluster", func(r Roster, item string, _ []string) ([]string, bool, error) {
		first, last, is := strings.Cut(item, "..")
		if !is {
			return nil, false, nil
		}
		from, to := slices.Index(r.Peers, first), slices.Index(r.Peers, last)
		switch {
		case from < 0:
			return nil, true, NoPeer(first, r.Peers)
		case to < 0:
			return nil, true, NoPeer(last, r.Peers)
		case to < from:
			return nil, true, fmt.Errorf("%s: %s comes before %s", item, last, first)
		}
		return r.Peers[from : to+1], true, nil
	}},
	{"alice", "one peer", func(r Roster, item string, _ []string) ([]string, bool, error) {
		if known := r.names(); !slices.Contains(known, item) {
			return nil, true, NoPeer(item, known)
		}
		return []string{item}, true, nil
	}},
}

// SelectorKinds returns the table, for help texts.
func SelectorKinds() []SelectorKind { return slices.Clone(selectorKinds) }

func (r Roster) names() []string { return slices.Concat(r.Peers, r.Others) }

var comma = regexp.MustCompile(`\s*,\s*`)

// selectorItems cuts words into the items of a list: alice, bob..dave, rest.
func selectorItems(words []string) ([]string, error) {
	var items []string
	for _, word := range strings.Fields(comma.ReplaceAllString(strings.Join(words, " "), ",")) {
		for item := range strings.SplitSeq(word, ",") {
			if item == "" {
				return nil, fmt.Errorf("%q: a name is missing", word)
			}
			items = append(items, item)
		}
	}
	if len(items) == 0 {
		return nil, errors.New("want names of peers, such as alice,bob")
	}
	return items, nil
}

// Select reads which peers are meant: a list of items as in [SelectorKinds],
// separated by commas or blanks. Nobody may be meant twice. rest is who is
// neither in the list nor among those named elsewhere on the line. The error for
// somebody who is not in the roster is ErrNoPeer.
func (r Roster) Select(words []string, named ...string) ([]string, error) {
	items, err := selectorItems(words)
	if err != nil {
		return nil, err
	}
	chosen := make([][]string, len(items))
	choose := func(i int) error {
		for _, kind := range selectorKinds {
			names, ok, err := kind.choose(r, items[i], named)
			if err != nil {
				return err
			}
			if ok {
				chosen[i] = names
				return nil
			}
		}
		return NoPeer(items[i], r.names())
	}
	// rest comes last: it depends on what the others mean.
	seen := make(map[string]bool)
	for _, rest := range []bool{false, true} {
		for i, item := range items {
			if (item == Rest) != rest {
				continue
			}
			if err := choose(i); err != nil {
				return nil, err
			}
			for _, name := range chosen[i] {
				if seen[name] {
					return nil, fmt.Errorf("%s is there twice", name)
				}
				seen[name] = true
			}
			named = append(slices.Clip(named), chosen[i]...)
		}
	}
	return slices.Concat(chosen...), nil
}

// selectGroups reads "alice,bob / charly / rest", split into words in any way.
// Who is in no group is not returned.
func (r Roster) selectGroups(words []string) ([][]string, error) {
	texts := strings.Split(strings.Join(words, " "), "/")
	if len(texts) < 2 {
		return nil, errors.New("a partition needs two groups, as in alice,bob / rest")
	}
	groups := make([][]string, len(texts))
	rest := -1
	var named []string
	for i, text := range texts {
		items, err := selectorItems([]string{text})
		switch {
		case err != nil && strings.TrimSpace(text) == "":
			return nil, errors.New("a name is missing: write groups as in alice,bob / rest")
		case err != nil:
			return nil, err
		case !slices.Contains(items, Rest):
		case len(items) > 1:
			return nil, errors.New("rest is a group of its own: write it after a /")
		case rest >= 0:
			return nil, errors.New("rest can be one group only")
		default:
			rest = i
			continue
		}
		if groups[i], err = r.Select([]string{text}); err != nil {
			return nil, err
		}
		named = append(named, groups[i]...)
	}
	if rest >= 0 {
		var err error
		if groups[rest], err = r.Select([]string{Rest}, named...); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

// arrow is what can stand between the two ends of a link.
var arrow = regexp.MustCompile(`\s*(<->|->|:)\s*`)

// selectPairs reads which links are meant, in one of the forms
//
//	alice,bob charly         what alice and bob send to charly
//	alice,bob:charly         the same
//	alice,bob -> charly      the same; a shell wants quotes around it
//	alice,bob <-> charly     both ways; quotes as well
//
// split into words in any way, and returns the words that follow, which begin at
// the first KEY=VALUE. rest is who is not at the other end.
func (r Roster) selectPairs(words []string) (pairs []Pair, after []string, err error) {
	text := comma.ReplaceAllString(strings.Join(words, " "), ",")
	from, to, after, both := linkEnds(text)
	if len(from) == 0 || len(to) == 0 {
		return nil, nil, errors.New("say from whom to whom, such as alice bob, or alice,bob rest; all all is every link")
	}
	sources, targets, err := r.SelectBoth(from, to)
	if err != nil {
		return nil, nil, err
	}
	seen := make(map[Pair]bool)
	add := func(p Pair) {
		if p.From != p.To && !seen[p] {
			seen[p] = true
			pairs = append(pairs, p)
		}
	}
	for _, a := range sources {
		for _, b := range targets {
			add(Pair{a, b})
			if both {
				add(Pair{b, a})
			}
		}
	}
	if len(pairs) == 0 {
		return nil, nil, fmt.Errorf("%s: a peer has no link to itself", strings.Join(slices.Concat(from, to), " "))
	}
	return pairs, after, nil
}

// linkEnds cuts the text of a link at its arrow, or after its first word where
// there is none.
func linkEnds(text string) (from, to, after []string, both bool) {
	isKey := func(word string) bool { return strings.Contains(word, "=") }
	at := arrow.FindStringSubmatchIndex(text)
	if at == nil || isKey(text[:at[0]]) {
		fields := strings.Fields(text)
		if len(fields) < 2 || isKey(fields[0]) || isKey(fields[1]) {
			return nil, nil, nil, false
		}
		return fields[:1], fields[1:2], fields[2:], false
	}
	from, to = strings.Fields(text[:at[0]]), strings.Fields(text[at[1]:])
	if i := slices.IndexFunc(to, isKey); i >= 0 {
		to, after = to[:i], to[i:]
	}
	return from, to, after, text[at[2]:at[3]] == "<->"
}

// SelectBoth reads two lists of one line, each as Select does. In one of them, not
// in both, rest can be who is not in the other.
func (r Roster) SelectBoth(from, to []string) (sources, targets []string, err error) {
	hasRest := func(words []string) bool {
		items, err := selectorItems(words)
		return err == nil && slices.Contains(items, Rest)
	}
	switch {
	case hasRest(from) && hasRest(to):
		return nil, nil, errors.New("rest is who is not on the other side: it cannot be on both")
	case hasRest(from):
		if targets, err = r.Select(to); err == nil {
			sources, err = r.Select(from, targets...)
		}
	default:
		if sources, err = r.Select(from); err == nil {
			targets, err = r.Select(to, sources...)
		}
	}
	return sources, targets, err
}
