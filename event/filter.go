package event

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerlab/nearest"
)

// All stands for every kind in a Filter.
const All Kind = "all"

// Filter chooses the events to show. The zero Filter chooses all that are not
// periodic.
type Filter struct {
	// Kinds are the kinds to show. A layer, such as member, stands for all of its
	// kinds that are not periodic.
	Kinds []Kind
	// Since is the earliest time; zero is any.
	Since time.Time
}

// Shows reports whether f chooses e.
func (f Filter) Shows(e Event) bool {
	if e.Time.Before(f.Since) {
		return false
	}
	if len(f.Kinds) == 0 {
		return !e.Kind.IsPeriodic()
	}
	return slices.Contains(f.Kinds, All) || slices.Contains(f.Kinds, e.Kind) ||
		slices.Contains(f.Kinds, e.Kind.Layer()) && !e.Kind.IsPeriodic()
}

// Layer returns the part of k before the dot.
func (k Kind) Layer() Kind {
	layer, _, _ := strings.Cut(string(k), ".")
	return Kind(layer)
}

// Layers returns the layers of kinds, in their order.
func Layers(kinds []Kind) []Kind {
	var layers []Kind
	for _, k := range kinds {
		if !slices.Contains(layers, k.Layer()) {
			layers = append(layers, k.Layer())
		}
	}
	return layers
}

// KindWords returns the words that ParseKinds knows: all, the layers, and the
// known kinds.
func KindWords(known []Kind) []string {
	var words []string
	for _, k := range slices.Concat([]Kind{All}, Layers(known), known) {
		words = append(words, string(k))
	}
	return words
}

// ParseKinds reads the Kinds of a Filter. A kind of a layer that is not among
// known is an application's own.
func ParseKinds(words []string, known []Kind) ([]Kind, error) {
	var kinds []Kind
	for _, word := range words {
		kind := Kind(word)
		isOwn := kind != kind.Layer() && !slices.Contains(Layers(known), kind.Layer())
		if all := KindWords(known); !isOwn && !slices.Contains(all, word) {
			hint := "use all, a layer such as member, or a kind such as member.dead"
			if near := nearest.To(word, all); len(near) > 0 {
				hint = "did you mean " + strings.Join(near, ", ") + "?"
			}
			return nil, fmt.Errorf("no such kind of event as %q: %s", word, hint)
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// ParseSince reads the Since of a Filter: how long ago, a time of today or of
// yesterday if that is yet to come, or a time of RFC 3339.
func ParseSince(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		clock, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		year, month, day := now.Date()
		at := func(day int) time.Time {
			return time.Date(year, month, day, clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(), now.Location())
		}
		if t := at(day); !t.After(now) {
			return t, nil
		}
		return at(day - 1), nil
	}
	return time.Time{}, errors.New("use how long ago, such as 5m, or a time such as 15:04:05 or 2026-01-02T15:04:05Z")
}
