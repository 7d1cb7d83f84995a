package scenarios

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// TestLinksAtEveryDoor has lines about links mean the same in a scenario and
// to testbed.ParseLinksChange, which peerlab's command line calls.
func TestLinksAtEveryDoor(t *testing.T) {
	for _, test := range []struct {
		name, lines, want string
	}{
		{"a loss is taken away", "link alice -> bob loss=20%; link alice -> bob loss=0", ""},
		{"a delay replaces its jitter", "link alice -> bob delay=50ms±10ms; link alice -> bob delay=20ms", "alice -> bob delay=20ms"},
		{"other keys stay", "link alice -> bob loss=20%; link alice -> bob delay=5ms", "alice -> bob loss=20% delay=5ms"},
		{"a partition replaces the one before", "partition alice / rest; partition bob / rest", "alice,charly,dave -> bob drop=partition; bob -> alice,charly,dave drop=partition"},
		{"a cut survives partitions", "cut alice -> bob; partition alice / rest; partition charly / dave", "alice -> bob drop=all; charly -> dave drop=partition; dave -> charly drop=partition"},
		{"a degraded link survives partitions", "link alice -> bob drop=udp loss=5%; partition alice / bob; partition charly / dave", "alice -> bob drop=udp loss=5%; charly -> dave drop=partition; dave -> charly drop=partition"},
		{"a cut adds", "cut alice -> bob drop=udp; cut alice -> bob drop=tcp", "alice -> bob drop=all"},
		{"heal a peer", "cut alice -> bob; cut charly -> dave; heal alice", "charly -> dave drop=all"},
		{"heal a link", "cut alice <-> bob; heal alice -> bob", "bob -> alice drop=all"},
		{"heal all", "cut alice -> bob; partition alice / rest; heal", ""},
		{"ranges and rest", "cut alice..charly -> rest", "alice,bob,charly -> dave drop=all"},
		{"several words", "cut alice bob -> charly dave", "alice,bob -> charly,dave drop=all"},
		{"each third packet", "link alice -> bob every=3", "alice -> bob every=3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			lines := strings.Split(test.lines, "; ")
			res := play(t, "cluster 4\n"+strings.Join(lines, "\n")+"\n")
			got := ""
			for _, e := range res.Events {
				if slices.Contains([]event.Kind{testbed.LabCut, testbed.LabLink, testbed.LabHeal}, e.Kind) {
					got = e.Text
				}
			}
			if got != test.want {
				t.Errorf("scenario: %q, want %q\n%s", got, test.want, res.Story)
			}
			var now testbed.Links
			for _, line := range lines {
				words := strings.Fields(line)
				change, err := testbed.ParseLinksChange(words[0], words[1:], testbed.NewRoster([]string{"alice", "bob", "charly", "dave", testbed.Bootstrap}), false)
				if err != nil {
					t.Fatal(err)
				}
				if now, err = change(now); err != nil {
					t.Fatal(err)
				}
			}
			if got := now.String(); got != test.want {
				t.Errorf("command line: %q, want %q", got, test.want)
			}
		})
	}
}

func TestAChangeOfNothingSaysSo(t *testing.T) {
	s, err := Parse("x.txt", "cluster 2\ncut alice -> bob\ncut alice -> bob\n")
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	err = sim.Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
		plans, err := s.Plans(ctx, f, "", nil)
		if err != nil {
			return err
		}
		plans[0].Run(ctx, f, Options{Progress: func(_ time.Duration, _ int, text string) { said = append(said, text) }})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(said); n == 0 || said[n-1] != "nothing changes: the links are like that already" {
		t.Errorf("%q", said)
	}
}
