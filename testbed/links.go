package testbed

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"peerlab/event"
)

// Pair names the packets that one peer sends to another. The way back is
// another pair.
type Pair struct{ From, To string }

// Back returns the pair of the opposite direction.
func (p Pair) Back() Pair { return Pair{From: p.To, To: p.From} }

// String returns "alice -> bob".
func (p Pair) String() string { return p.From + " -> " + p.To }

// Links says what happens to packets, for each ordered pair of peers. A pair
// it does not hold has a healthy link; empty Links heal everything. It is a
// plain value: nothing changes until an engine is told.
type Links map[Pair]Link

// Pairs returns the pairs that l holds, in order.
func (l Links) Pairs() []Pair {
	return slices.SortedFunc(maps.Keys(l), func(a, b Pair) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
}

// Kind returns what a change to l is in the history, on every engine: lab.cut,
// lab.link or lab.heal. Loss at random cuts nothing, unless it is of everything.
func (l Links) Kind() event.Kind {
	kind := LabHeal
	for _, link := range l {
		switch {
		case link.Drop != DropNone, link.Over != 0, link.Loss >= 100:
			return LabCut
		case link != Link{}:
			kind = LabLink
		}
	}
	return kind
}

// Check says everything that is wrong with l in a cluster of these peers, one
// line; unknown names are ErrNoPeer.
func (l Links) Check(peers []string) error {
	var told []string
	var unknown error
	for _, pair := range l.Pairs() {
		for _, name := range []string{pair.From, pair.To} {
			if unknown == nil && !slices.Contains(peers, name) {
				unknown = NoPeer(name, peers)
			}
		}
		if pair.From == pair.To {
			told = append(told, fmt.Sprintf("%s: a peer has no link to itself", pair))
		}
		for _, problem := range l[pair].Problems() {
			told = append(told, fmt.Sprintf("%s: %s", pair, problem))
		}
	}
	if unknown != nil {
		return unknown
	}
	const shown = 5
	if more := len(told) - shown; more > 0 {
		told = append(told[:shown], fmt.Sprintf("and %d more", more))
	}
	if len(told) == 0 {
		return nil
	}
	return errors.New(strings.Join(told, "; "))
}

// String writes l on one line, peers with like links together: what ParseLinks
// reads. Empty links are "".
func (l Links) String() string {
	// For each source the destinations that are alike, then the sources whose
	// destinations are.
	type row struct{ to, link string }
	var rows []row
	from := make(map[row][]string)
	pairs := l.Pairs()
	for i := 0; i < len(pairs); {
		source := pairs[i].From
		var alike []row
		to := make(map[string][]string)
		for ; i < len(pairs) && pairs[i].From == source; i++ {
			link := l[pairs[i]]
			if link == (Link{}) {
				continue
			}
			text := link.String()
			if to[text] == nil {
				alike = append(alike, row{link: text})
			}
			to[text] = append(to[text], pairs[i].To)
		}
		for _, r := range alike {
			r.to = strings.Join(to[r.link], ",")
			if from[r] == nil {
				rows = append(rows, r)
			}
			from[r] = append(from[r], source)
		}
	}
	parts := make([]string, len(rows))
	for i, r := range rows {
		parts[i] = fmt.Sprintf("%s -> %s %s", strings.Join(from[r], ","), r.to, r.link)
	}
	return strings.Join(parts, "; ")
}

// ParseLinks reads what String writes.
func ParseLinks(text string) (Links, error) {
	l := make(Links)
	if strings.TrimSpace(text) == "" {
		return l, nil
	}
	for part := range strings.SplitSeq(text, ";") {
		words := strings.Fields(part)
		if len(words) < 4 || words[1] != "->" {
			return nil, fmt.Errorf("%q: want A,B -> C what, such as alice -> bob loss=20%%", strings.TrimSpace(part))
		}
		from, err := parseNames(words[0])
		if err != nil {
			return nil, err
		}
		to, err := parseNames(words[2])
		if err != nil {
			return nil, err
		}
		link, err := ParseLink(words[3:])
		if err != nil {
			return nil, err
		}
		for _, a := range from {
			for _, b := range to {
				pair := Pair{a, b}
				if _, twice := l[pair]; twice {
					return nil, fmt.Errorf("%s is there twice", pair)
				}
				l[pair] = link
			}
		}
	}
	return l, nil
}

// parseNames reads "alice,bob".
func parseNames(list string) ([]string, error) {
	names := strings.Split(list, ",")
	for i, name := range names {
		if name == "" {
			return nil, fmt.Errorf("%q: a name is missing", list)
		}
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("%q: %s is there twice", list, name)
		}
	}
	return names, nil
}
