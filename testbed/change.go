package testbed

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Set returns l with what the words say, as ParseLink reads them, laid on the
// links of the given pairs. Each word takes the place of what its key was
// before: loss=0 takes a loss away, delay=20ms takes the jitter away, too. The
// rest stays. It fails if the words are wrong, alone or with what stays.
func (l Links) Set(pairs []Pair, words []string) (Links, error) {
	top, err := ParseLink(words)
	if err != nil {
		return nil, err
	}
	set := maps.Clone(l)
	if set == nil {
		set = make(Links)
	}
	for _, pair := range pairs {
		link := l[pair]
		for _, word := range words {
			key, _, _ := strings.Cut(word, "=")
			link.clear(key)
		}
		link = link.Merge(top)
		if wrong := link.Problems(); len(wrong) > 0 {
			return nil, fmt.Errorf("%s would be %s: %s", pair, link, strings.Join(wrong, "; "))
		}
		set.put(pair, link)
	}
	return set, nil
}

// Cut returns l with packets dropped on the links of the given pairs, in
// addition to what was: nothing that was dropped passes. UDP and TCP, the one
// cut after the other, are DropAll.
func (l Links) Cut(pairs []Pair, drop Drop) Links {
	cut := maps.Clone(l)
	if cut == nil {
		cut = make(Links)
	}
	for _, pair := range pairs {
		link := l[pair]
		if link.Drop == DropNone || link.Drop == drop || drop == DropNone {
			link.Drop = max(link.Drop, drop)
		} else {
			link.Drop = DropAll
		}
		cut.put(pair, link)
	}
	return cut
}

// clear takes away what a key of ParseLink sets.
func (l *Link) clear(key string) {
	switch key {
	case "drop":
		l.Drop = DropNone
	case "over":
		l.Over = 0
	case "loss":
		l.Loss = 0
	case "delay":
		l.Shape.Delay, l.Shape.Jitter = 0, 0
	case "reorder":
		l.Shape.Reorder = 0
	case "duplicate":
		l.Shape.Duplicate = 0
	case "corrupt":
		l.Shape.Corrupt = 0
	case "rate":
		l.Shape.Rate = 0
	}
}

// Split returns l partitioned as Partition does it, in place of every link that
// was cut (drop=all): there is one partition at a time. What degrades a link,
// loss or delay or the drop of one protocol, stays where it is not cut.
func (l Links) Split(groups ...[]string) (Links, error) {
	cut, err := Partition(groups...)
	if err != nil {
		return nil, err
	}
	split := make(Links)
	for pair, link := range l {
		if link.Drop == DropAll {
			link.Drop = DropNone
		}
		split.put(pair, link)
	}
	return split.Over(cut), nil
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

func (l Links) put(pair Pair, link Link) {
	if link == (Link{}) {
		delete(l, pair)
	} else {
		l[pair] = link
	}
}
