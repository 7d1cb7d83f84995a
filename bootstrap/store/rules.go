package store

// The methods below are the rules of the service, to be called in a change
// function of Update. The entries they are given must be valid.

// Join stores e if there is room, in place of an earlier one with its ID. A
// full state stays as it is, even when it holds e's ID: that is how deployed
// servers answer.
func (s *State) Join(e Entry) {
	if len(s.Peers) < s.MaxPeers {
		s.Peers[e.ID] = e
	}
}

// Leave removes the peer with this ID, if there is one.
func (s *State) Leave(id string) { delete(s.Peers, id) }

// Refill stores e if there is room. A full state takes it in place of the
// newest peer, if that one is newer than e: thus the longest-running peers,
// which are the likeliest to stay, fill the list. A peer already stored stays
// as it is.
func (s *State) Refill(e Entry) {
	if _, ok := s.Peers[e.ID]; ok {
		return
	}
	if len(s.Peers) < s.MaxPeers {
		s.Peers[e.ID] = e
		return
	}
	// Equal ages are no reason to replace anyone.
	if newest, ok := s.newest(func(Entry) bool { return true }); ok && since(newest) > since(e) {
		delete(s.Peers, newest.ID)
		s.Peers[e.ID] = e
	}
}

// Register renews e where it is stored, and stores it where there is room, or
// where it speaks for a part of the cluster that has no voice yet. It says
// whether e is stored now.
func (s *State) Register(e Entry) bool {
	if old, ok := s.Peers[e.ID]; ok {
		e.Registered = old.Registered
		s.Peers[e.ID] = e
		return true
	}
	if len(s.Peers) < s.MaxPeers {
		s.Peers[e.ID] = e
		return true
	}
	return s.spread(e)
}

// Replace is Register for a candidate to take the place of peers that have
// gone. As in Refill, an older one replaces the newest, but only one of its
// own part of the cluster or of a part that keeps another voice.
func (s *State) Replace(e Entry) bool {
	if s.Register(e) {
		return true
	}
	voices := s.voices()
	newest, ok := s.newest(func(q Entry) bool { return q.View == e.View || voices[q.View] > 1 })
	if !ok || since(newest) <= since(e) {
		return false
	}
	delete(s.Peers, newest.ID)
	s.Peers[e.ID] = e
	return true
}

// spread keeps the way open between the parts of a split cluster
// (hashicorp/memberlist#222): neither part contacts the other again by itself,
// so the list must hold one of each. A candidate whose part has nobody in a
// full list replaces the newest of the part that has most.
func (s *State) spread(e Entry) bool {
	voices := s.voices()
	if e.View == "" || voices[e.View] > 0 {
		return false
	}
	most := 1 // the only voice of a part is never replaced
	for _, n := range voices {
		most = max(most, n)
	}
	if most == 1 {
		return false
	}
	newest, ok := s.newest(func(q Entry) bool { return voices[q.View] == most })
	if ok {
		delete(s.Peers, newest.ID)
		s.Peers[e.ID] = e
	}
	return ok
}

// voices counts the entries of each part.
func (s *State) voices() map[string]int {
	voices := make(map[string]int)
	for _, e := range s.Peers {
		voices[e.View]++
	}
	return voices
}

// newest returns the newest of the entries that are eligible.
func (s *State) newest(eligible func(Entry) bool) (newest Entry, ok bool) {
	for _, e := range s.Peers {
		if eligible(e) && (!ok || newer(e, newest)) {
			newest, ok = e, true
		}
	}
	return newest, ok
}

// newer says whether a started after b. Among equals the ID decides, so that
// the outcome never depends on the order of a map.
func newer(a, b Entry) bool {
	if ta, tb := since(a), since(b); ta != tb {
		return ta > tb
	}
	return a.ID > b.ID
}

// since is the peer's timestamp as a number: "9" is before "10". One that is
// no number, from a store written by something else, counts as newer than any:
// a peer that does not say since when it runs is the first to be replaced.
func since(e Entry) int64 {
	t, err := e.Since()
	if err != nil {
		return 1<<63 - 1
	}
	return t
}

// Reset removes all peers and keeps the configuration.
func (s *State) Reset() { clear(s.Peers) }

// Configure sets both numbers. Peers beyond a smaller maximum stay until they
// leave.
func (s *State) Configure(maxPeers, minRefillCandidates int) {
	s.MaxPeers, s.MinRefillCandidates = maxPeers, minRefillCandidates
}
