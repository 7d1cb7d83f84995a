// Package etcd keeps the bootstrap service's state in etcd, shared by any
// number of servers.
//
// The configuration is one key and every peer another, each with a lease, so
// that etcd itself removes what nobody renews, even with no server running.
// Every write compares the configuration's revision and rewrites that key:
// thus two servers never change the same state, whichever part of it.
package etcd

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"peerlab/bootstrap"
	"peerlab/bootstrap/store"
	"peerlab/bootstrap/store/internal/rpc"
)

const (
	dialTimeout = 5 * time.Second
	// maxOps is below the 128 operations etcd takes in one transaction.
	maxOps = 120
	// maxPause is the longest wait after another server was faster.
	maxPause = 50 * time.Millisecond
)

// Store is one server's access to the shared state.
type Store struct {
	client *clientv3.Client
	prefix string
	first  config
	turn   chan struct{} // held while writing: one server's requests need not race each other
}

var _ store.Store = (*Store)(nil)

// config is the value of the configuration's key.
type config struct {
	MaxPeers            int `json:"maxpeers"`
	MinRefillCandidates int `json:"minrefillcandidates"`
}

// Open returns the store at a URL of the form
// etcd://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…][/PREFIX], with etcds for TLS
// under the system's authorities. The configuration is set where etcd holds
// none. Nothing is contacted yet, except to log in where there is a user.
func Open(ctx context.Context, rawURL string, maxPeers, minRefillCandidates int) (*Store, error) {
	conf, prefix, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	conf.Context = context.WithoutCancel(ctx)
	client, err := clientv3.New(conf)
	if err != nil {
		return nil, fmt.Errorf("etcd %s: %w", strings.Join(conf.Endpoints, ","), err)
	}
	return &Store{client, prefix, config{maxPeers, minRefillCandidates}, make(chan struct{}, 1)}, nil
}

// parse is by hand because net/url takes one host.
func parse(rawURL string) (conf clientv3.Config, prefix string, err error) {
	wrong := errors.New("etcd URL: want etcd://[USER:PASSWORD@]HOST:PORT[,HOST:PORT][/PREFIX], or etcds:// for TLS")
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok || scheme != "etcd" && scheme != "etcds" || strings.ContainsAny(rest, "?#") {
		return conf, "", wrong
	}
	rest, path, _ := strings.Cut(rest, "/")
	prefix = "/" + strings.Trim(path, "/") + "/"
	if prefix == "//" {
		prefix = "/bootstrap/"
	}
	hosts := rest
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		u, err := url.Parse("x://" + rest[:i] + "@x")
		if err != nil {
			return conf, "", wrong
		}
		conf.Username = u.User.Username()
		conf.Password, _ = u.User.Password()
		hosts = rest[i+1:]
	}
	web := "http://"
	if scheme == "etcds" {
		web, conf.TLS = "https://", &tls.Config{MinVersion: tls.VersionTLS12}
	}
	local := true
	for host := range strings.SplitSeq(hosts, ",") {
		u, err := url.Parse(web + host)
		if err != nil || u.Hostname() == "" || u.Port() == "" {
			return conf, "", wrong
		}
		local = local && bootstrap.IsLocal(u.Hostname())
		conf.Endpoints = append(conf.Endpoints, web+host)
	}
	conf.DialTimeout = dialTimeout
	conf.Logger = zap.NewNop() // what fails is an error of the call
	// Otherwise a server that went is asked again after up to two minutes.
	conf.DialKeepAliveTime, conf.DialKeepAliveTimeout = 10*time.Second, 5*time.Second
	conf.DialOptions = []grpc.DialOption{grpc.WithUserAgent("peerlab-bootstrap")}
	if local { // as for the clients of the service itself
		conf.DialOptions = append(conf.DialOptions, grpc.WithNoProxy())
	}
	return conf, prefix, nil
}

func (s *Store) configKey() string { return s.prefix + "config" }
func (s *Store) peersKey() string  { return s.prefix + "peers/" }

// View implements store.Store. It asks etcd each time, for what a majority of
// its servers holds.
func (s *Store) View(ctx context.Context) (store.State, error) {
	state, _, err := s.read(ctx)
	if err != nil {
		return store.State{}, fmt.Errorf("read etcd: %w", rpc.Cause(ctx, err))
	}
	return state, nil
}

// read returns the state and the revision of the configuration's key, 0 if
// there is none.
func (s *Store) read(ctx context.Context) (store.State, int64, error) {
	state := store.State{MaxPeers: s.first.MaxPeers, MinRefillCandidates: s.first.MinRefillCandidates, Peers: map[string]store.Entry{}}
	resp, err := s.client.Get(ctx, s.prefix, clientv3.WithPrefix())
	if err != nil {
		return state, 0, err
	}
	var revision int64
	for _, kv := range resp.Kvs {
		switch key := string(kv.Key); {
		case key == s.configKey():
			var c config
			if err := json.Unmarshal(kv.Value, &c); err != nil {
				return state, 0, fmt.Errorf("key %s: %w", key, err)
			}
			if err := (bootstrap.Config{MaxPeers: c.MaxPeers, MinRefillCandidates: c.MinRefillCandidates}).Validate(); err != nil {
				return state, 0, fmt.Errorf("key %s: %w", key, err)
			}
			state.MaxPeers, state.MinRefillCandidates = c.MaxPeers, c.MinRefillCandidates
			revision = kv.ModRevision
		case strings.HasPrefix(key, s.peersKey()):
			id := strings.TrimPrefix(key, s.peersKey())
			e, err := store.DecodeEntry(id, kv.Value)
			if err != nil {
				return state, 0, fmt.Errorf("key %q: %w", key, err)
			}
			state.Peers[id] = e
		}
	}
	return state.At(time.Now()), revision, nil
}

// Update implements store.Store. One update changes at most about a hundred
// peers, or removes all.
func (s *Store) Update(ctx context.Context, change func(*store.State) error) (store.State, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return store.State{}, ctx.Err()
	}
	for {
		before, revision, err := s.read(ctx)
		if err != nil {
			return store.State{}, fmt.Errorf("read etcd: %w", rpc.Cause(ctx, err))
		}
		next := before.Clone(time.Now())
		if err := change(&next); err != nil {
			return store.State{}, err
		}
		if revision != 0 && next.Equal(before) {
			return next, nil
		}
		done, err := s.swap(ctx, revision, before, next)
		if err != nil {
			return store.State{}, fmt.Errorf("write etcd: %w", rpc.Cause(ctx, err))
		}
		if done {
			return next, nil
		}
		// Servers that were in step would be again.
		select {
		case <-time.After(rand.N(maxPause)):
		case <-ctx.Done():
			return store.State{}, ctx.Err()
		}
	}
}

// swap writes what differs if the configuration's key is still at revision.
func (s *Store) swap(ctx context.Context, revision int64, before, next store.State) (bool, error) {
	c, err := json.Marshal(config{next.MaxPeers, next.MinRefillCandidates})
	if err != nil {
		return false, err
	}
	ops := []clientv3.Op{clientv3.OpPut(s.configKey(), string(c))}
	if len(next.Peers) == 0 {
		ops = append(ops, clientv3.OpDelete(s.peersKey(), clientv3.WithPrefix()))
	} else {
		for id := range before.Peers {
			if _, ok := next.Peers[id]; !ok {
				ops = append(ops, clientv3.OpDelete(s.peersKey()+id))
			}
		}
	}
	for id, e := range next.Peers {
		if e == before.Peers[id] {
			continue
		}
		put, err := s.put(ctx, e)
		if err != nil {
			return false, err
		}
		ops = append(ops, put)
	}
	if len(ops) > maxOps {
		return false, fmt.Errorf("%d changes at once, at most %d fit one transaction", len(ops), maxOps)
	}
	resp, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(s.configKey()), "=", revision)).
		Then(ops...).
		Commit()
	if err != nil {
		return false, err
	}
	return resp.Succeeded, nil
}

// put returns the write of e under a lease of its own. The lease of an earlier
// write ends by itself, and takes nothing with it: a key has one lease.
func (s *Store) put(ctx context.Context, e store.Entry) (clientv3.Op, error) {
	var with []clientv3.OpOption
	if expires := e.Expires(); !expires.IsZero() {
		seconds := int64(max(time.Until(expires), 0)/time.Second) + 1
		lease, err := s.client.Grant(ctx, seconds)
		if err != nil {
			return clientv3.Op{}, err
		}
		with = append(with, clientv3.WithLease(lease.ID))
	}
	return clientv3.OpPut(s.peersKey()+e.ID, string(store.EncodeEntry(e)), with...), nil
}

// Close implements store.Store.
func (s *Store) Close() error { return s.client.Close() }
