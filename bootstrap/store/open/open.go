// Package open opens the bootstrap service's store that a URL names.
package open

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"peerlab/bootstrap/store"
	"peerlab/bootstrap/store/bolt"
	"peerlab/bootstrap/store/etcd"
	"peerlab/bootstrap/store/firestore"
)

// Options are what URL needs besides the URL.
type Options struct {
	MaxPeers            int // of a store that holds no configuration yet
	MinRefillCandidates int
	// SetAside lets a bolt file that is damaged be renamed, and an empty list
	// take its place; without it such a file is an error.
	SetAside bool
	Log      *slog.Logger
}

// URL opens one of
//
//	memory:
//	bolt:PATH
//	etcd://[USER:PASSWORD@]HOST:PORT[,HOST:PORT][/PREFIX]   (etcds: TLS)
//	firestore://PROJECT[/COLLECTION/DOCUMENT]
func URL(ctx context.Context, raw string, o Options) (store.Store, error) {
	scheme, rest, _ := strings.Cut(raw, ":")
	initial := store.State{MaxPeers: o.MaxPeers, MinRefillCandidates: o.MinRefillCandidates}
	switch {
	case raw == "memory:":
		return store.NewMemory(o.MaxPeers, o.MinRefillCandidates), nil
	case scheme == "bolt" && rest != "":
		return openBolt(strings.TrimPrefix(rest, "//"), initial, o)
	case scheme == "etcd" || scheme == "etcds":
		return etcd.Open(ctx, raw, o.MaxPeers, o.MinRefillCandidates)
	case scheme == "firestore":
		return firestore.Open(ctx, raw, initial)
	}
	return nil, fmt.Errorf("store %q: want memory:, bolt:PATH, etcd://HOST:PORT/PREFIX or firestore://PROJECT", Shown(raw))
}

// Shown returns raw without a password, to be logged.
func Shown(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at < 0 {
		return raw
	}
	user, _, _ := strings.Cut(rest[:at], ":")
	return scheme + "://" + url.PathEscape(user) + ":xxxxx" + rest[at:]
}

func openBolt(path string, initial store.State, o Options) (store.Store, error) {
	s, err := bolt.Open(path, initial)
	if err == nil {
		return s, nil
	}
	if !errors.Is(err, bolt.ErrCorrupt) {
		return nil, err
	}
	if !o.SetAside {
		return nil, fmt.Errorf("%w: restore it from a backup, or start with --set-aside to keep it under another name and begin with an empty list", err)
	}
	aside, moved := bolt.SetAside(path)
	if moved != nil {
		return nil, errors.Join(err, moved)
	}
	o.Log.Error("damaged bolt file set aside, starting with an empty list", "err", err, "kept_as", aside)
	s, err = bolt.Open(path, initial)
	if err != nil {
		return nil, err
	}
	return s, nil
}
