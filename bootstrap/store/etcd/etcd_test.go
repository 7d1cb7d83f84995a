package etcd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"peerlab/bootstrap/store"
	"peerlab/bootstrap/store/etcd/etcdtest"
	"peerlab/bootstrap/store/storetest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(asClient); url != "" {
		readAndExit(url)
		return
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEtcd(t *testing.T) {
	addr := etcdtest.Start(t)
	n := 0
	storetest.Conformance(t, func(t *testing.T, maxPeers, minRefillCandidates int) [2]store.Store {
		n++
		var both [2]store.Store
		for i := range both {
			s, err := Open(t.Context(), fmt.Sprintf("etcd://%s/test/%d", addr, n), maxPeers, minRefillCandidates)
			if err != nil {
				t.Fatal(err)
			}
			both[i] = s
		}
		return both
	})
}

// TestLeases looks into etcd: what nobody renews goes without any server, what
// is renewed stays, whatever became of the lease before.
func TestLeases(t *testing.T) {
	addr := etcdtest.Start(t)
	s := open(t, "etcd://"+addr)
	defer s.Close()
	put := func(id string, ttl time.Duration) {
		t.Helper()
		e := storetest.Entry(id, "1")
		e.Renewed, e.TTL = time.Now().UnixMilli(), ttl.Milliseconds()
		if _, err := s.Update(t.Context(), func(s *store.State) error { s.Peers[id] = e; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	gone := s.client.Watch(t.Context(), s.peersKey(), clientv3.WithPrefix(), clientv3.WithFilterPut())
	put("kept", time.Second)
	put("lost", time.Second)
	put("kept", time.Hour)
	for resp := range gone {
		if len(resp.Events) > 0 {
			if key := string(resp.Events[0].Kv.Key); key != s.peersKey()+"lost" {
				t.Errorf("%s was removed", key)
			}
			break
		}
	}
	resp, err := s.client.Get(t.Context(), s.peersKey(), clientv3.WithPrefix())
	if err != nil || len(resp.Kvs) != 1 || string(resp.Kvs[0].Key) != s.peersKey()+"kept" {
		t.Errorf("etcd holds %v, %v", resp, err)
	}
}

func TestDamagedValue(t *testing.T) {
	addr := etcdtest.Start(t)
	s := open(t, "etcd://"+addr)
	defer s.Close()
	for key, value := range map[string]string{s.configKey(): `{"maxpeers":-1}`, s.peersKey() + "x": `{"id":"y"}`} {
		if _, err := s.client.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
		if state, err := s.View(t.Context()); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %+v, %v", key, state, err)
		}
		if _, err := s.client.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	s := open(t, "etcd://"+"127.0.0.1:1")
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.View(ctx); err == nil {
		t.Error("a server that is not there answers")
	}
}

func TestParse(t *testing.T) {
	for raw, want := range map[string]string{
		"etcd://a:1":                  "[http://a:1] /bootstrap/  ",
		"etcd://a:1,b:2/":             "[http://a:1 http://b:2] /bootstrap/  ",
		"etcd://u:p%40x@a:1/x/y":      "[http://a:1] /x/y/ u p@x",
		"etcds://[2001:db8::1]:2379/": "[https://[2001:db8::1]:2379] /bootstrap/  ",
	} {
		conf, prefix, err := parse(raw)
		if got := fmt.Sprintln(conf.Endpoints, prefix, conf.Username, conf.Password); err != nil || strings.TrimSuffix(got, "\n") != want {
			t.Errorf("%s: %q, %v, want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"", "etcd:", "etcd://", "etcd://a", "etcd://a:1,", "http://a:1", "etcd://a:1?x=y", "etcd://%zz@a:1"} {
		if _, _, err := parse(raw); err == nil {
			t.Errorf("%q accepted", raw)
		}
	}
}
