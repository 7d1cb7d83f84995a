package store

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"peerlab/bootstrap"
)

func peer(id, timestamp string) Entry {
	id, view, _ := strings.Cut(id, "/")
	return Entry{View: view, Peer: bootstrap.Peer{
		ID: id, Name: id, IP: "192.0.2.1", Port: "7946",
		Protocol: "tcp", Status: "0", Timestamp: timestamp,
	}}
}

// state reads "id@timestamp id/view@timestamp …".
func state(maxPeers int, peers string) State {
	s := State{MaxPeers: maxPeers, MinRefillCandidates: 7, Peers: map[string]Entry{}}
	for _, word := range strings.Fields(peers) {
		id, timestamp, _ := strings.Cut(word, "@")
		e := peer(id, timestamp)
		s.Peers[e.ID] = e
	}
	return s
}

func (s State) String() string {
	var words []string
	for _, id := range slices.Sorted(maps.Keys(s.Peers)) {
		e := s.Peers[id]
		if e.View != "" {
			id += "/" + e.View
		}
		words = append(words, id+"@"+e.Timestamp)
	}
	return strings.Join(words, " ")
}

func TestRules(t *testing.T) {
	join := func(id, timestamp string) func(*State) {
		return func(s *State) { s.Join(peer(id, timestamp)) }
	}
	refill := func(id, timestamp string) func(*State) {
		return func(s *State) { s.Refill(peer(id, timestamp)) }
	}
	register := func(id, timestamp string) func(*State) {
		return func(s *State) { s.Register(peer(id, timestamp)) }
	}
	replace := func(id, timestamp string) func(*State) {
		return func(s *State) { s.Replace(peer(id, timestamp)) }
	}
	leave := func(id string) func(*State) { return func(s *State) { s.Leave(id) } }
	tests := []struct {
		name   string
		max    int
		before string
		change func(*State)
		after  string
	}{
		{"join an empty list", 2, "", join("a", "5"), "a@5"},
		{"join with room", 2, "a@5", join("b", "6"), "a@5 b@6"},
		{"join a full list", 2, "a@5 b@6", join("c", "1"), "a@5 b@6"},
		{"join again with room", 2, "a@5", join("a", "6"), "a@6"},
		{"join again when full", 2, "a@5 b@6", join("a", "9"), "a@5 b@6"},
		{"join when none is kept", 0, "", join("a", "5"), ""},
		{"join after the maximum went down", 1, "a@5 b@6", join("c", "1"), "a@5 b@6"},

		{"leave", 2, "a@5 b@6", leave("a"), "b@6"},
		{"leave of an unknown one", 2, "a@5", leave("b"), "a@5"},

		{"refill with room", 2, "a@5", refill("b", "6"), "a@5 b@6"},
		{"refill by a stored one", 2, "a@5", refill("a", "1"), "a@5"},
		{"refill a full list by the oldest", 2, "a@5 b@6", refill("c", "1"), "a@5 c@1"},
		{"refill a full list by one in between", 2, "a@4 b@6", refill("c", "5"), "a@4 c@5"},
		{"refill a full list by the newest", 2, "a@5 b@6", refill("c", "7"), "a@5 b@6"},
		{"refill a full list by one as old", 2, "a@5 b@6", refill("c", "6"), "a@5 b@6"},
		{"refill a full list of equals, last ID goes", 2, "b@6 a@6", refill("c", "5"), "a@6 c@5"},
		{"refill when none is kept", 0, "", refill("a", "5"), ""},
		{"refill after the maximum went down", 1, "a@5 b@6", refill("c", "1"), "a@5 c@1"},
		// As text "9" is after "10": the old server threw out the wrong one.
		{"timestamps are numbers: 9 is older than 10", 1, "a@10", refill("b", "9"), "b@9"},
		{"timestamps are numbers: 10 is newer than 9", 1, "a@9", refill("b", "10"), "a@9"},
		{"timestamps are numbers: 09 is 9", 1, "a@9", refill("b", "09"), "a@9"},
		{"a stored timestamp that is no number goes first", 2, "a@x b@6", refill("c", "7"), "b@6 c@7"},

		{"register with room", 2, "a@5", register("b", "6"), "a@5 b@6"},
		{"register a full list", 2, "a@5 b@6", register("c", "1"), "a@5 b@6"},
		{"register again when full renews", 2, "a@5 b@6", register("a/x", "5"), "a/x@5 b@6"},
		{"register when none is kept", 0, "", register("a/x", "5"), ""},
		{"register of a part without a voice", 2, "a/x@5 b/x@6", register("c/y", "9"), "a/x@5 c/y@9"},
		{"register of a part with a voice", 3, "a/x@5 b/x@6 c/y@9", register("d/y", "1"), "a/x@5 b/x@6 c/y@9"},
		{"register of a third part takes from the largest", 3, "a/x@5 b/x@6 c/y@9", register("d/z", "7"), "a/x@5 c/y@9 d/z@7"},
		{"register never takes an only voice", 2, "a/x@5 c/y@9", register("d/z", "1"), "a/x@5 c/y@9"},
		{"register without a view takes nobody's place", 2, "a/x@5 b/x@6", register("c", "1"), "a/x@5 b/x@6"},
		{"peers without a view are a part", 2, "a@5 b@6", register("c/y", "9"), "a@5 c/y@9"},
		{"replace the newest of the own part", 3, "a/x@5 b/x@6 c/y@9", replace("d/x", "1"), "a/x@5 c/y@9 d/x@1"},
		{"replace an own only voice", 2, "a/x@5 c/y@9", replace("d/y", "1"), "a/x@5 d/y@1"},
		{"replace takes no other's only voice", 2, "a/x@5 c/y@9", replace("d/x", "6"), "a/x@5 c/y@9"},
		{"replace by one as old", 1, "a/x@5", replace("b/x", "5"), "a/x@5"},
		{"replace when none is kept", 0, "", replace("a/x", "5"), ""},

		{"reset", 2, "a@5 b@6", (*State).Reset, ""},
		{"configure", 2, "a@5 b@6", func(s *State) { s.Configure(1, 0) }, "a@5 b@6"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := state(test.max, test.before)
			test.change(&s)
			if s.String() != test.after {
				t.Errorf("got %q, want %q", s, test.after)
			}
		})
	}
}

func TestConfiguration(t *testing.T) {
	s := state(2, "a@5")
	s.Configure(0, 9)
	s.Reset()
	want := bootstrap.Config{MinRefillCandidates: 9}
	if got := s.Data(); got.Config != want || len(got.Peers) != 0 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.Configure(1, 1)
	s.Join(peer("b", "6"))
	want = bootstrap.Config{MaxPeers: 1, MinRefillCandidates: 1, NumPeers: 1}
	if got := s.Data(); got.Config != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
