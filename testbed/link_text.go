package testbed

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerlab/internal/suggest"
)

// isSet reports whether the link suffers something by the key.
func (k LinkKey) isSet(l Link) bool {
	return slices.ContainsFunc(k.fields(&l), func(f linkField) bool { return !f.value().IsZero() })
}

// clear takes away what the key sets.
func (k LinkKey) clear(l *Link) {
	for _, f := range k.fields(l) {
		f.value().SetZero()
	}
}

func (f linkField) value() reflect.Value { return reflect.ValueOf(f.at).Elem() }

// Problems says what is wrong with the link, field by field.
func (l Link) Problems() []string {
	wrong := l.valueProblems()
	if l.Shape.Reorder > 0 && l.Shape.Delay == 0 {
		wrong = append(wrong, "reorder: it needs a delay, because packets overtake those that are delayed")
	}
	return wrong
}

// valueProblems says what is wrong with the value of each key by itself.
func (l Link) valueProblems() (wrong []string) {
	for _, key := range linkKeys {
		wrong = append(wrong, key.problems(l)...)
	}
	return wrong
}

// KernelNeeds returns the modules of the kernel that the link takes beside
// nf_tables, sorted.
func (l Link) KernelNeeds() (modules []string) {
	for _, key := range linkKeys {
		if key.Kernel != "" && key.isSet(l) {
			modules = append(modules, key.Kernel)
		}
	}
	slices.Sort(modules)
	return slices.Compact(modules)
}

// String writes what ParseLink reads; a healthy link is "healthy".
func (l Link) String() string {
	var words []string
	for _, key := range linkKeys {
		if key.isSet(l) {
			words = append(words, key.Name+"="+key.print(l))
		}
	}
	if len(words) == 0 {
		return "healthy"
	}
	return strings.Join(words, " ")
}

// MarshalJSON writes the fields that are not zero: durations as "50ms", shares
// in per cent, the rate in bits per second.
func (l Link) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for _, key := range linkKeys {
		for _, f := range key.fields(&l) {
			if f.value().IsZero() {
				continue
			}
			value, err := json.Marshal(f.at)
			if err != nil {
				return nil, err
			}
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(strconv.AppendQuote(out, f.name), ':')
			out = append(out, value...)
		}
	}
	return append(out, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes and ignores other fields. Values
// are for [Link.Problems] to judge.
func (l *Link) UnmarshalJSON(data []byte) error {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil {
		return err
	}
	*l = Link{}
	for _, key := range linkKeys {
		for _, f := range key.fields(l) {
			value, ok := values[f.name]
			if !ok {
				continue
			}
			if err := json.Unmarshal(value, f.at); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
	return nil
}

// duration is written in JSON as people write it.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}

// LinkChange is what words such as loss=20% or delay=50ms make of a link: each
// takes the place of what its key was before, and the rest stays.
type LinkChange struct {
	keys   []LinkKey
	values []string
}

// ParseLinkChange reads words KEY=VALUE in any order, at least one, no key
// twice; see [LinkKeys]. A value that is zero takes away what its key was. It
// checks the values by themselves.
func ParseLinkChange(words []string) (LinkChange, error) {
	var c LinkChange
	if len(words) == 0 {
		return c, errors.New("say what the link suffers, such as loss=20% or delay=50ms±10ms")
	}
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok || value == "" {
			return c, fmt.Errorf("%q: want key=value, such as loss=20%%", word)
		}
		at := slices.IndexFunc(linkKeys, func(k LinkKey) bool { return k.Name == name })
		if at < 0 {
			return c, fmt.Errorf("%s: there is no such key: %s", word, meantKey(name))
		}
		if slices.ContainsFunc(c.keys, func(k LinkKey) bool { return k.Name == name }) {
			return c, fmt.Errorf("%s is given twice", name)
		}
		if err := linkKeys[at].parse(new(Link), value); err != nil {
			return c, fmt.Errorf("%s: %w", word, err)
		}
		c.keys, c.values = append(c.keys, linkKeys[at]), append(c.values, value)
	}
	var alone Link
	c.set(&alone)
	if wrong := alone.valueProblems(); len(wrong) > 0 {
		return c, errors.New(strings.Join(wrong, "; "))
	}
	return c, nil
}

// apply returns l changed. It fails if the values do not suit what stays.
func (c LinkChange) apply(l Link) (Link, error) {
	c.set(&l)
	if wrong := l.Problems(); len(wrong) > 0 {
		return l, fmt.Errorf("would be %s: %s", l, strings.Join(wrong, "; "))
	}
	return l, nil
}

func (c LinkChange) set(l *Link) {
	for i, key := range c.keys {
		key.clear(l)
		_ = key.parse(l, c.values[i]) // it could be parsed before
	}
}

// ParseLink reads the words in which String writes a link, in any order, at
// least one, and checks the link.
func ParseLink(words []string) (Link, error) {
	c, err := ParseLinkChange(words)
	if err != nil {
		return Link{}, err
	}
	var l Link
	c.set(&l)
	if wrong := l.Problems(); len(wrong) > 0 {
		return l, errors.New(strings.Join(wrong, "; "))
	}
	return l, nil
}

// meantKey names the key that was probably meant, or else all there are.
func meantKey(name string) string {
	var names []string
	for _, key := range linkKeys {
		names = append(names, key.Name)
	}
	if near := suggest.Similar(name, names); len(near) > 0 {
		return "did you mean " + strings.Join(near, ", ") + "?"
	}
	last := len(names) - 1
	return "want " + strings.Join(names[:last], ", ") + " or " + names[last]
}

func parseCount(at *int, value string) (err error) {
	if *at, err = strconv.Atoi(value); err != nil {
		return errors.New("want a whole number")
	}
	return nil
}

// parseShare reads a share in per cent. Up to 1 it must say so: 0.2 could be a
// fraction as well.
func parseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil || math.IsNaN(v):
		return 0, errors.New("want a share in per cent, such as 20%")
	case !percent && v > 0 && v <= 1:
		return 0, fmt.Errorf("%s%% or %g%%? write the per cent sign", number, v*100)
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
	if s == "0" {
		return 0, nil
	}
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

// dropNames are the words for sets of kinds, larger sets first.
var dropNames = []struct {
	name string
	drop Drop
}{{"all", DropAll}, {"udp", DropUDP}, {"tcp", DropTCP}, {"partition", DropPartition}}

// String returns "none", "udp", "tcp", "all" or "partition", joined by + where
// there are several.
func (d Drop) String() string {
	if d == DropNone {
		return "none"
	}
	var words []string
	for _, n := range dropNames {
		if d&n.drop == n.drop {
			words = append(words, n.name)
			d &^= n.drop
		}
	}
	if d != DropNone {
		words = append(words, fmt.Sprintf("unknown(%d)", uint8(d)))
	}
	return strings.Join(words, "+")
}

// MarshalText writes what String returns.
func (d Drop) MarshalText() ([]byte, error) {
	if d&^(DropAll|DropPartition) != 0 {
		return nil, fmt.Errorf("drop %d is unknown", uint8(d))
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what String returns.
func (d *Drop) UnmarshalText(text []byte) error {
	*d = DropNone
	if string(text) == "none" {
		return nil
	}
next:
	for word := range strings.SplitSeq(string(text), "+") {
		for _, n := range dropNames {
			if n.name == word {
				*d |= n.drop
				continue next
			}
		}
		return fmt.Errorf("drop %q is unknown: none, udp, tcp and all are known", text)
	}
	return nil
}
