package scenarios

import (
	"strings"
	"testing"
)

func TestWith(t *testing.T) {
	for _, test := range []struct {
		text, want string
		settings   []string
	}{
		{"cluster 3\n", "cluster 3 'rejoin=0'\n", []string{"rejoin=0"}},
		{"cluster alice bob profile=lan SuspicionMult=$M rejoin=1s\nstart\n", "cluster alice bob profile=lan rejoin=1s 'SuspicionMult=2'\nstart\n", []string{"SuspicionMult=2"}},
		{"[sim] cluster 3 'rejoin=2s'\n[!sim] cluster 5\n", "[sim] cluster 3 'rejoin=0'\n[!sim] cluster 5 'rejoin=0'\n", []string{"rejoin=0"}},
		{"cluster 3\n", "cluster 3\n", nil},
	} {
		s, err := Parse("x.txt", test.text)
		if err != nil {
			t.Fatal(err)
		}
		changed, err := s.With(test.settings...)
		if err != nil || changed.Text != test.want {
			t.Errorf("%q with %q: %q %v, want %q", test.text, test.settings, changed.Text, err, test.want)
		}
	}
	s, err := Parse("x.txt", "start\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.With("rejoin=0"); err == nil || !strings.Contains(err.Error(), "no cluster line") {
		t.Errorf("without a cluster line: %v", err)
	}
}
