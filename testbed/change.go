package testbed

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// LinksChange is what one line about links makes of those in force. It changes
// nothing itself.
type LinksChange func(now Links) (Links, error)

// ParseLinksChange reads the words after one of these verbs, which mean the same
// in a scenario and on the command line of peerlab:
//
//	partition alice,bob / rest    no packet passes between the groups, in place of
//	                              the partition before
//	cut alice bob drop=udp        packets that never pass, added to what there is
//	link alice bob loss=20%       each key in place of what it was before
//	heal                          all links; heal alice those from and to alice;
//	                              heal alice -> bob that one
//
// With both, the way back of each link is meant as well.
func ParseLinksChange(verb string, words []string, r Roster, both bool) (LinksChange, error) {
	pairs := func() ([]Pair, []string, error) {
		pairs, after, err := r.selectPairs(words)
		if both {
			for _, p := range pairs {
				if !slices.Contains(pairs, p.Back()) {
					pairs = append(pairs, p.Back())
				}
			}
		}
		return pairs, after, err
	}
	switch verb {
	case "partition":
		groups, err := r.selectGroups(words)
		if err != nil {
			return nil, err
		}
		_, err = Links(nil).Partition(groups...)
		return func(now Links) (Links, error) { return now.Partition(groups...) }, err
	case "cut":
		pairs, options, err := pairs()
		if err != nil {
			return nil, err
		}
		drop, err := parseCut(options)
		return func(now Links) (Links, error) { return now.Cut(pairs, drop), nil }, err
	case "link":
		pairs, options, err := pairs()
		if err != nil {
			return nil, err
		}
		change, err := ParseLinkChange(options)
		return func(now Links) (Links, error) { return now.Set(pairs, change) }, err
	case "heal":
		return parseHeal(words, r, pairs)
	}
	return nil, fmt.Errorf("%q does not change links", verb)
}

// parseCut reads what a cut drops: drop=udp, drop=tcp, or all if it does not say.
func parseCut(options []string) (Drop, error) {
	if len(options) == 0 {
		return DropAll, nil
	}
	for _, word := range options {
		if link, err := ParseLink([]string{word}); err != nil || link.Drop&DropAll == DropNone || link != (Link{Drop: link.Drop & DropAll}) {
			return DropNone, fmt.Errorf("%q: cut takes drop=udp or drop=tcp after the peers, and link takes the other keys", word)
		}
	}
	link, err := ParseLink(options)
	return link.Drop, err
}

func parseHeal(words []string, r Roster, pairs func() ([]Pair, []string, error)) (LinksChange, error) {
	text := strings.Join(words, " ")
	switch {
	case strings.Contains(text, "="):
		return nil, errors.New("heal takes no option: it heals a link altogether")
	case arrow.MatchString(text):
		pairs, _, err := pairs()
		return func(now Links) (Links, error) { return now.Without(pairs...), nil }, err
	case strings.TrimSpace(text) == "":
		return func(Links) (Links, error) { return Links{}, nil }, nil
	}
	peers, err := r.Select(words)
	return func(now Links) (Links, error) { return now.Healed(peers...), nil }, err
}

// Partition returns l with every link cut between peers of different groups, in
// place of every partition before. A peer in no group reaches everyone. Cuts and
// what degrades a link stay, and count again when the partition is replaced. It
// fails if a peer is in two groups.
func (l Links) Partition(groups ...[]string) (Links, error) {
	home := make(map[string]int)
	for i, group := range groups {
		for _, name := range group {
			if other, ok := home[name]; ok && other != i {
				return nil, fmt.Errorf("%s is in two groups: groups must not overlap", name)
			}
			home[name] = i
		}
	}
	divided := make(Links)
	for pair, link := range l {
		link.Drop &^= DropPartition
		divided.put(pair, link)
	}
	for from, a := range home {
		for to, b := range home {
			if a != b {
				pair := Pair{from, to}
				link := divided[pair]
				link.Drop |= DropPartition
				divided[pair] = link
			}
		}
	}
	return divided, nil
}

// Partition returns links that are healthy but for a partition, see
// [Links.Partition].
func Partition(groups ...[]string) (Links, error) { return Links(nil).Partition(groups...) }

// Set returns l with the links of the given pairs changed. It fails if what the
// change says does not suit what stays of a link.
func (l Links) Set(pairs []Pair, change LinkChange) (Links, error) {
	set := maps.Clone(l)
	if set == nil {
		set = make(Links)
	}
	changed := make(map[Link]Link) // many pairs are alike
	for _, pair := range pairs {
		to, ok := changed[l[pair]]
		if !ok {
			var err error
			if to, err = change.apply(l[pair]); err != nil {
				return nil, fmt.Errorf("%s %w", pair, err)
			}
			changed[l[pair]] = to
		}
		set.put(pair, to)
	}
	return set, nil
}

// Cut returns l with packets dropped on the links of the given pairs, in
// addition to what was: nothing that was dropped passes.
func (l Links) Cut(pairs []Pair, drop Drop) Links {
	cut := maps.Clone(l)
	if cut == nil {
		cut = make(Links)
	}
	for _, pair := range pairs {
		link := cut[pair]
		link.Drop |= drop
		cut.put(pair, link)
	}
	return cut
}

// Without returns l with the links of the given pairs healthy.
func (l Links) Without(pairs ...Pair) Links {
	rest := maps.Clone(l)
	for _, p := range pairs {
		delete(rest, p)
	}
	return rest
}

// Healed returns l with every link from and to the given peers healthy; with
// none given, all links.
func (l Links) Healed(peers ...string) Links {
	healed := make(Links)
	if len(peers) == 0 {
		return healed
	}
	for pair, link := range l {
		if !slices.Contains(peers, pair.From) && !slices.Contains(peers, pair.To) {
			healed[pair] = link
		}
	}
	return healed
}

// Changed returns how many links are not alike in l and other.
func (l Links) Changed(other Links) int {
	changed := 0
	for pair, link := range other {
		if l[pair] != link {
			changed++
		}
	}
	for pair, link := range l {
		if _, there := other[pair]; !there && link != (Link{}) {
			changed++
		}
	}
	return changed
}

func (l Links) put(pair Pair, link Link) {
	if link == (Link{}) {
		delete(l, pair)
	} else {
		l[pair] = link
	}
}
