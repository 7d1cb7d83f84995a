package suggest_test

import (
	"slices"
	"testing"

	"peerlab/internal/suggest"
)

func TestTo(t *testing.T) {
	fields := []string{"SuspicionMult", "SuspicionMaxTimeoutMult", "ProbeInterval", "ProbeTimeout", "GossipNodes"}
	for _, tc := range []struct {
		word string
		want []string
	}{
		{"SuspicionMlt", []string{"SuspicionMult"}},
		{"suspicionmult", []string{"SuspicionMult"}},
		{"probeinterval", []string{"ProbeInterval"}},
		{"probe", []string{"ProbeTimeout", "ProbeInterval"}},
		{"GossipNdoes", []string{"GossipNodes"}},
		{"xyzzy", nil},
		{"", nil},
	} {
		if got := suggest.Similar(tc.word, fields); !slices.Equal(got, tc.want) {
			t.Errorf("Similar(%q) = %q, want %q", tc.word, got, tc.want)
		}
	}
}
