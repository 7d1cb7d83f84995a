package store

import "peerlab/bootstrap"

// The methods below are the rules of the service, to be called in a change
// function of Update. The peers they are given must be valid.

// Join stores p if there is room, in place of an earlier one with its ID. A
// full state stays as it is, even when it holds p's ID: that is how deployed
// servers answer.
func (s *State) Join(p bootstrap.Peer) {
	if len(s.Peers) < s.MaxPeers {
		s.Peers[p.ID] = p
	}
}

// Leave removes the peer with this ID, if there is one.
func (s *State) Leave(id string) { delete(s.Peers, id) }

// Refill stores p if there is room. A full state takes it in place of the
// newest peer, if that one is newer than p: thus the longest-running peers,
// which are the likeliest to stay, fill the list. A peer already stored stays
// as it is.
func (s *State) Refill(p bootstrap.Peer) {
	if _, ok := s.Peers[p.ID]; ok {
		return
	}
	if len(s.Peers) < s.MaxPeers {
		s.Peers[p.ID] = p
		return
	}
	var newest bootstrap.Peer // with no ID, so that any stored peer beats it
	for _, q := range s.Peers {
		if newest.ID == "" || newer(q, newest) {
			newest = q
		}
	}
	// Equal ages are no reason to replace anyone.
	if newest.ID != "" && since(newest) > since(p) {
		delete(s.Peers, newest.ID)
		s.Peers[p.ID] = p
	}
}

// newer says whether a started after b. Among equals the ID decides, so that
// the outcome never depends on the order of a map.
func newer(a, b bootstrap.Peer) bool {
	if ta, tb := since(a), since(b); ta != tb {
		return ta > tb
	}
	return a.ID > b.ID
}

// since is the peer's timestamp as a number: "9" is before "10". One that is
// no number, from a store written by something else, counts as newer than any:
// a peer that does not say since when it runs is the first to be replaced.
func since(p bootstrap.Peer) int64 {
	t, err := p.Since()
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
