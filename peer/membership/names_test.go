package membership_test

import (
	"strings"
	"testing"

	"peerlab/peer/membership"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "alice", "node-1.dc_2", strings.Repeat("x", 64)} {
		if err := membership.CheckName(name); err != nil {
			t.Errorf("CheckName(%q): %v", name, err)
		}
	}
	for _, name := range []string{"", "a b", "a/b", "é", "a\nb", "a:b", strings.Repeat("x", 65)} {
		if err := membership.CheckName(name); err == nil {
			t.Errorf("CheckName(%q) = nil", name)
		}
	}
}
