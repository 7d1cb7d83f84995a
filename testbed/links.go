package testbed

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

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

// Over returns l with top laid on it: for each pair in both, what the link in
// top sets wins and the rest stays. Neither is changed.
func (l Links) Over(top Links) Links {
	sum := make(Links, len(l)+len(top))
	maps.Copy(sum, l)
	for pair, link := range top {
		sum[pair] = sum[pair].Merge(link)
	}
	return sum
}

// Without returns l with the links of the given pairs healthy.
func (l Links) Without(pairs ...Pair) Links {
	rest := maps.Clone(l)
	for _, p := range pairs {
		delete(rest, p)
	}
	return rest
}

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

// Partition cuts every pair of peers that are in different groups, both ways.
// A peer in no group keeps all its links: a bridge. It fails if a peer is in
// two groups.
func Partition(groups ...[]string) (Links, error) {
	home := make(map[string]int)
	for i, group := range groups {
		for _, name := range group {
			if other, ok := home[name]; ok && other != i {
				return nil, fmt.Errorf("%s is in two groups: groups must not overlap", name)
			}
			home[name] = i
		}
	}
	l := make(Links)
	for from, a := range home {
		for to, b := range home {
			if a != b {
				l[Pair{from, to}] = Link{Drop: DropAll}
			}
		}
	}
	return l, nil
}

// Rest is, in groups, everybody in no other group.
const Rest = "rest"

// ParseGroups reads "alice,bob / charly / rest", split into words in any way.
// The names are not checked against peers, who are needed for rest only.
func ParseGroups(words, peers []string) ([][]string, error) {
	var groups [][]string
	rest := -1
	var named []string
	for group := range strings.SplitSeq(strings.Join(words, ""), "/") {
		names, err := ParseNames(group)
		if err != nil {
			return nil, err
		}
		if slices.Equal(names, []string{Rest}) {
			if rest >= 0 {
				return nil, errors.New("rest can be one group only")
			}
			rest, names = len(groups), nil
		} else if slices.Contains(names, Rest) {
			return nil, errors.New("rest is a group of its own: write it after a /")
		}
		groups, named = append(groups, names), append(named, names...)
	}
	if rest >= 0 {
		for _, name := range peers {
			if !slices.Contains(named, name) && name != Bootstrap {
				groups[rest] = append(groups[rest], name)
			}
		}
		if len(groups[rest]) == 0 {
			return nil, errors.New("rest is empty: every peer is in another group")
		}
	}
	if len(groups) < 2 {
		return nil, errors.New("a partition needs two groups, as in alice,bob / rest")
	}
	return groups, nil
}

// ParseNames reads "alice,bob".
func ParseNames(list string) ([]string, error) {
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

// ParseLink reads the words in which String writes a link, in any order:
// drop=udp|tcp|all, over=1000 (bytes), loss=20%, delay=50ms or 50ms±10ms (or
// 50ms+-10ms), reorder=5%, duplicate=5%, corrupt=1%, rate=1mbit (bit, kbit,
// mbit, gbit). At least one is needed; values are checked, too.
func ParseLink(words []string) (Link, error) {
	var l Link
	if len(words) == 0 {
		return l, errors.New("say what the link suffers, such as loss=20% or delay=50ms±10ms")
	}
	seen := make(map[string]bool)
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		if !ok || value == "" {
			return l, fmt.Errorf("%q: want key=value, such as loss=20%%", word)
		}
		if seen[key] {
			return l, fmt.Errorf("%s is given twice", key)
		}
		seen[key] = true
		var err error
		switch key {
		case "drop":
			err = l.Drop.UnmarshalText([]byte(value))
		case "over":
			l.Over, err = strconv.Atoi(value)
		case "loss":
			l.Loss, err = parsePercent(value)
		case "delay":
			l.Shape.Delay, l.Shape.Jitter, err = parseDelay(value)
		case "reorder":
			l.Shape.Reorder, err = parsePercent(value)
		case "duplicate":
			l.Shape.Duplicate, err = parsePercent(value)
		case "corrupt":
			l.Shape.Corrupt, err = parsePercent(value)
		case "rate":
			l.Shape.Rate, err = parseRate(value)
		default:
			err = errors.New("want drop, over, loss, delay, reorder, duplicate, corrupt or rate")
		}
		if err != nil {
			return l, fmt.Errorf("%s: %w", word, err)
		}
	}
	if wrong := l.Problems(); len(wrong) > 0 {
		return l, errors.New(strings.Join(wrong, "; "))
	}
	return l, nil
}

func parsePercent(s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || math.IsNaN(v) {
		return 0, errors.New("want a share in per cent, such as 20%")
	}
	return v, nil
}

func parseDelay(s string) (delay, jitter time.Duration, err error) {
	first, second, spread := strings.Cut(strings.Replace(s, "+-", "±", 1), "±")
	if delay, err = time.ParseDuration(first); err == nil && spread {
		jitter, err = time.ParseDuration(second)
	}
	if err != nil {
		err = errors.New("want a duration, such as 50ms or 50ms±10ms")
	}
	return delay, jitter, err
}

var rateUnits = []struct {
	name string
	bits uint64
}{{"gbit", 1e9}, {"mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}

func parseRate(s string) (uint64, error) {
	for _, unit := range rateUnits {
		if number, ok := strings.CutSuffix(s, unit.name); ok {
			v, err := strconv.ParseFloat(number, 64)
			if err != nil || !(v >= 0 && v < 1e15) {
				break
			}
			return uint64(math.Round(v * float64(unit.bits))), nil
		}
	}
	return 0, errors.New("want bits per second, such as 500kbit or 1mbit")
}

// String writes what ParseLink reads; a healthy link is "healthy".
func (l Link) String() string {
	var words []string
	add := func(set bool, format string, args ...any) {
		if set {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	s := l.Shape
	add(l.Drop != DropNone, "drop=%s", l.Drop)
	add(l.Over != 0, "over=%d", l.Over)
	add(l.Loss != 0, "loss=%g%%", l.Loss)
	add(s.Delay != 0 && s.Jitter == 0, "delay=%s", s.Delay)
	add(s.Jitter != 0, "delay=%s±%s", s.Delay, s.Jitter)
	add(s.Reorder != 0, "reorder=%g%%", s.Reorder)
	add(s.Duplicate != 0, "duplicate=%g%%", s.Duplicate)
	add(s.Corrupt != 0, "corrupt=%g%%", s.Corrupt)
	for _, unit := range rateUnits {
		if s.Rate != 0 && s.Rate%unit.bits == 0 {
			add(true, "rate=%d%s", s.Rate/unit.bits, unit.name)
			break
		}
	}
	if len(words) == 0 {
		return "healthy"
	}
	return strings.Join(words, " ")
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
		from, err := ParseNames(words[0])
		if err != nil {
			return nil, err
		}
		to, err := ParseNames(words[2])
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
