package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"peerlab/testbed"
)

// all is, in a list of names, every peer of the cluster.
const all = testbed.All

// names reads a list of peers, split into words in any way: alice,bob or
// alice..dave (in the order of the cluster), all, and rest: those who are not
// in others.
func (sc *scene) names(words []string, others []string) ([]string, error) {
	list := strings.Join(words, " ")
	if strings.TrimSpace(list) == "" {
		return nil, errors.New("want names of peers, such as alice,bob")
	}
	var names []string
	for item := range strings.SplitSeq(strings.Join(strings.Fields(list), ","), ",") {
		if item == "" {
			continue // after "alice, bob"
		}
		some, err := sc.item(item, others)
		if err != nil {
			return nil, err
		}
		for _, name := range some {
			if slices.Contains(names, name) {
				return nil, fmt.Errorf("%s is there twice", name)
			}
			names = append(names, name)
		}
	}
	return names, nil
}

func (sc *scene) item(item string, others []string) ([]string, error) {
	if !sc.defined {
		return nil, errors.New("there is no cluster yet: begin with a line such as cluster 5")
	}
	peers := sc.spec.Peers
	if first, last, is := strings.Cut(item, ".."); is {
		from, to := slices.Index(peers, first), slices.Index(peers, last)
		switch {
		case from < 0:
			return nil, testbed.NoPeer(first, peers)
		case to < 0:
			return nil, testbed.NoPeer(last, peers)
		case to < from:
			return nil, fmt.Errorf("%s: %s comes before %s", item, last, first)
		}
		return peers[from : to+1], nil
	}
	switch {
	case item == all:
		return peers, nil
	case item == testbed.Rest:
		rest := slices.DeleteFunc(slices.Clone(peers), func(name string) bool { return slices.Contains(others, name) })
		if len(rest) == 0 {
			return nil, errors.New("rest is empty: every peer is named already")
		}
		return rest, nil
	case !slices.Contains(sc.known(), item):
		return nil, testbed.NoPeer(item, sc.known())
	}
	return []string{item}, nil
}

// known are the names that members can have: those of the peers, and those
// that peers are told to take instead.
func (sc *scene) known() []string {
	known := slices.Clone(sc.spec.Peers)
	for _, name := range sc.spec.Peers {
		if other := sc.spec.Own[name]["name"]; other != "" && !slices.Contains(known, other) {
			known = append(known, other)
		}
	}
	return known
}

// peers is names without the names that only members have.
func (sc *scene) peers(words []string) ([]string, error) {
	names, err := sc.names(words, nil)
	for _, name := range names {
		if !slices.Contains(sc.spec.Peers, name) {
			return nil, testbed.NoPeer(name, sc.spec.Peers)
		}
	}
	return names, err
}

// pairs reads "alice -> bob,charly" (one way) or "alice <-> rest" (both), and
// returns the words after it.
func (sc *scene) pairs(words []string) (pairs []testbed.Pair, options []string, err error) {
	if words, err = sc.ranges(words); err != nil {
		return nil, nil, err
	}
	return testbed.ParsePairs(words, append([]string{testbed.Bootstrap}, sc.spec.Peers...))
}

// ranges replaces ranges of names in lists: what testbed parses has none.
func (sc *scene) ranges(words []string) ([]string, error) {
	replaced := slices.Clone(words)
	for i, w := range words {
		items := strings.Split(w, ",")
		for k, item := range items {
			if !strings.Contains(item, "..") || strings.Contains(item, "=") {
				continue
			}
			names, err := sc.item(item, nil)
			if err != nil {
				return nil, err
			}
			items[k] = strings.Join(names, ",")
		}
		replaced[i] = strings.Join(items, ",")
	}
	return replaced, nil
}
