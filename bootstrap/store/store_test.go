package store_test

import (
	"testing"

	"go.uber.org/goleak"

	"peerlab/bootstrap/store"
	"peerlab/bootstrap/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	storetest.Conformance(t, func(_ *testing.T, maxPeers, minRefillCandidates int) [2]store.Store {
		m := store.NewMemory(maxPeers, minRefillCandidates)
		return [2]store.Store{m, m}
	})
}
