package scenarios

import (
	"errors"
	"slices"

	"peerlab/testbed"
)

// all is, in a list of names, every peer of the cluster.
const all = testbed.All

// roster is whom the words of a line can mean, with others that can be named as
// well.
func (sc *scene) roster(others ...string) testbed.Roster {
	return testbed.Roster{Peers: sc.spec.Peers, Others: others}
}

// names reads a list of members, split into words in any way; rest is who is
// neither in it nor among the others named.
func (sc *scene) names(words []string, named ...string) ([]string, error) {
	if !sc.defined {
		return nil, errors.New("there is no cluster yet: begin with a line such as cluster 5")
	}
	return sc.roster(sc.known()[len(sc.spec.Peers):]...).Select(words, named...)
}

// bothNames reads two lists of members; rest in one of them is who is not in the
// other.
func (sc *scene) bothNames(first, second []string) (one, other []string, err error) {
	if !sc.defined {
		return nil, nil, errors.New("there is no cluster yet: begin with a line such as cluster 5")
	}
	return sc.roster(sc.known()[len(sc.spec.Peers):]...).SelectBoth(first, second)
}

// claimed reports whether another peer calls itself so.
func (sc *scene) claimed(name string) bool {
	for peer, own := range sc.spec.Own {
		if peer != name && own["name"] == name {
			return true
		}
	}
	return false
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
	for _, other := range sc.mistakes.names {
		if !slices.Contains(known, other) {
			known = append(known, other)
		}
	}
	return known
}

// peers is names without the names that only members have.
func (sc *scene) peers(words []string) ([]string, error) {
	if !sc.defined {
		return nil, errors.New("there is no cluster yet: begin with a line such as cluster 5")
	}
	return sc.roster().Select(words)
}
