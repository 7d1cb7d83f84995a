package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"peerlab/bootstrap"
)

// MaxEncoded is the longest encoded state Decode accepts, in bytes: what
// Firestore keeps in one document, and twice what bootstrap.Limit peers with
// long names take.
const MaxEncoded = 1 << 20

// MaxViewLen is the longest View of an entry, in bytes: the name of a peer.
const MaxViewLen = bootstrap.MaxNameLen

// encoded is the stored form. The checksum tells a value that a disk has
// changed from one that was written.
type encoded struct {
	Version             int              `json:"version"`
	Checksum            uint32           `json:"checksum"` // CRC-32 of the value with checksum 0
	MaxPeers            int              `json:"maxpeers"`
	MinRefillCandidates int              `json:"minrefillcandidates"`
	Peers               map[string]Entry `json:"peers"`
}

func (e encoded) marshal() []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and integers: no value can fail
	}
	return b
}

// Encode returns s as bytes for a store to keep.
func Encode(s State) []byte {
	e := encoded{Version: 1, MaxPeers: s.MaxPeers, MinRefillCandidates: s.MinRefillCandidates, Peers: s.Peers}
	e.Checksum = crc32.ChecksumIEEE(e.marshal())
	return e.marshal()
}

// Decode returns what Encode was given. It fails on anything that Encode did
// not make of a state that the service may have: a value changed on the disk,
// a version of the future, an invalid peer.
func Decode(b []byte) (State, error) {
	if len(b) > MaxEncoded {
		return State{}, fmt.Errorf("decode bootstrap state: %d bytes, at most %d are expected", len(b), MaxEncoded)
	}
	var e encoded
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return State{}, fmt.Errorf("decode bootstrap state: %w", err)
	}
	if e.Version != 1 {
		return State{}, fmt.Errorf("decode bootstrap state: version %d, this program knows 1", e.Version)
	}
	sum := e.Checksum
	e.Checksum = 0
	if got := crc32.ChecksumIEEE(e.marshal()); got != sum {
		return State{}, fmt.Errorf("decode bootstrap state: checksum %08x, want %08x: the value was changed", got, sum)
	}
	s := State{MaxPeers: e.MaxPeers, MinRefillCandidates: e.MinRefillCandidates, Peers: e.Peers}
	if s.Peers == nil {
		s.Peers = map[string]Entry{}
	}
	if err := s.Config().Validate(); err != nil {
		return State{}, fmt.Errorf("decode bootstrap state: %w", err)
	}
	for id, entry := range s.Peers {
		if err := entry.check(id); err != nil {
			return State{}, fmt.Errorf("decode bootstrap state: %w", err)
		}
	}
	return s, nil
}

// EncodeEntry returns e as bytes, for a store that keeps entries apart.
func EncodeEntry(e Entry) []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and integers: no value can fail
	}
	return b
}

// DecodeEntry returns the entry stored under id, or what is wrong with it.
func DecodeEntry(id string, b []byte) (Entry, error) {
	var e Entry
	err := json.Unmarshal(b, &e)
	if err == nil {
		err = e.check(id)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("decode entry %.64q: %w", id, err)
	}
	return e, nil
}

func (e Entry) check(id string) error {
	switch {
	case e.ID != id:
		return fmt.Errorf("peer %.64q is stored under %.64q", e.ID, id)
	case e.TTL < 0 || e.Renewed < 0 || e.Registered < 0 || e.Renewed+e.TTL < 0:
		return fmt.Errorf("peer %.64q has a time before 1970", id)
	case len(e.View) > MaxViewLen:
		return fmt.Errorf("peer %.64q has a view of %d bytes", id, len(e.View))
	}
	return e.Validate()
}
