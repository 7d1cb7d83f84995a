// Package knownpeers remembers, in a file, the peers that were seen: a peer that
// starts while every bootstrap service is down finds its cluster through them.
package knownpeers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"peerlab/peer/files"
)

// Kept is how many peers are remembered, the latest seen.
const Kept = 64

// maxFile bounds what is read: Kept peers with the longest names.
const maxFile = 64 << 10

// Peer is one that was seen online.
type Peer struct {
	Name string    `json:"name"`
	Addr string    `json:"addr"` // membership address, IP:PORT
	Seen time.Time `json:"seen"` // when last
}

// File is where they are kept. Methods must not be called concurrently.
type File struct {
	sys  files.System
	path string
	last string // what is in the file, to write only changes
}

// Open returns the file peers.json in dir, a directory of sys that is made if
// it is missing. Nothing is read yet.
func Open(sys files.System, dir string) (*File, error) {
	if err := sys.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return &File{sys: sys, path: filepath.Join(dir, "peers.json")}, nil
}

// Load returns the peers in the file, the latest seen first; none if there is
// no file. A damaged file is an error, and no reason not to start: the next
// Save replaces it.
func (f *File) Load() ([]Peer, error) {
	b, err := files.Read(f.sys, f.path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("remembered peers: %w", err)
	}
	peers, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("remembered peers in %s: %w", f.path, err)
	}
	return peers, nil
}

func parse(b []byte) ([]Peer, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("%d bytes, at most %d are expected", len(b), maxFile)
	}
	var peers []Peer
	if err := json.Unmarshal(b, &peers); err != nil {
		return nil, err
	}
	for _, p := range peers {
		// An address and no name: a name would be looked up in the DNS.
		if addr, err := netip.ParseAddrPort(p.Addr); err != nil || addr.Port() == 0 || p.Name == "" {
			return nil, fmt.Errorf("peer %.40q at %.60q: want a name and IP:PORT", p.Name, p.Addr)
		}
	}
	return Latest(peers), nil
}

// Latest returns those seen last, the latest first, Kept at
// the most, one of each name.
func Latest(peers []Peer) []Peer {
	peers = slices.Clone(peers)
	slices.SortStableFunc(peers, func(a, b Peer) int {
		if c := b.Seen.Compare(a.Seen); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	names := make(map[string]bool)
	peers = slices.DeleteFunc(peers, func(p Peer) bool {
		again := names[p.Name]
		names[p.Name] = true
		return again
	})
	return peers[:min(len(peers), Kept)]
}

// Save puts these peers into the file, in place of those there, as one step: a
// crash leaves the old file or the new. Nothing is written if only times have
// changed.
func (f *File) Save(peers []Peer) error {
	peers = Latest(peers)
	var who strings.Builder
	for _, p := range peers {
		fmt.Fprintln(&who, p.Name, p.Addr)
	}
	if who.String() == f.last {
		return nil
	}
	b, err := json.MarshalIndent(peers, "", "  ")
	if err == nil {
		err = f.sys.Replace(f.path, append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("remember peers: %w", err)
	}
	f.last = who.String()
	return nil
}
