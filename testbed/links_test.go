package testbed

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"peerlab/event"
)

func TestPartition(t *testing.T) {
	r := Roster{Peers: []string{"alice", "bob", "charly", "dave"}, Others: []string{Bootstrap}}
	change, err := ParseLinksChange("partition", []string{"alice", "/", "bob", "/rest"}, r, false)
	if err != nil {
		t.Fatal(err)
	}
	l, err := change(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "alice -> bob,charly,dave drop=partition; bob -> alice,charly,dave drop=partition; charly,dave -> alice,bob drop=partition"
	if l.String() != want {
		t.Errorf("got  %s\nwant %s", l, want)
	}
	if !l[Pair{"alice", "bob"}].IsCut() || !l[Pair{"alice", "bob"}].Drops(DropUDP) {
		t.Error("a partition lets packets pass")
	}
	if _, err := Partition([]string{"alice", "bob"}, []string{"bob"}); err == nil || !strings.Contains(err.Error(), "bob is in two groups") {
		t.Errorf("overlap: %v", err)
	}
}

func TestPartitionSaysWhatIsWrong(t *testing.T) {
	for words, want := range map[string]string{
		"alice":             "two groups",
		"alice / ":          "a name is missing",
		"alice,,bob / rest": "a name is missing",
		"alice,alice / bob": "twice",
		"rest / rest":       "one group only",
		"alice,rest / bob":  "a group of its own",
		"alice,bob / rest":  "rest is empty",
		"alice / zoe":       "no such peer",
		"alice / alice":     "in two groups",
	} {
		r := Roster{Peers: []string{"alice", "bob"}}
		if _, err := ParseLinksChange("partition", strings.Fields(words), r, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", words, err, want)
		}
	}
}

func TestParseLink(t *testing.T) {
	for words, want := range map[string]Link{
		"drop=all":                          {Drop: DropAll},
		"drop=udp over=1000":                {Drop: DropUDP, Over: 1000},
		"loss=20%":                          {Loss: 20},
		"loss=0.5%":                         {Loss: 0.5},
		"loss=20":                           {Loss: 20},
		"loss=0":                            {},
		"every=3":                           {Every: 3},
		"drop=udp+tcp":                      {Drop: DropAll},
		"drop=udp+partition":                {Drop: DropUDP | DropPartition},
		"delay=50ms":                        {Shape: Shape{Delay: 50 * time.Millisecond}},
		"delay=50ms±10ms":                   {Shape: Shape{Delay: 50 * time.Millisecond, Jitter: 10 * time.Millisecond}},
		"delay=50ms+-10ms":                  {Shape: Shape{Delay: 50 * time.Millisecond, Jitter: 10 * time.Millisecond}},
		"rate=1mbit":                        {Shape: Shape{Rate: 1e6}},
		"rate=1.5mbit":                      {Shape: Shape{Rate: 1.5e6}},
		"corrupt=1% rate=9001bit":           {Shape: Shape{Corrupt: 1, Rate: 9001}},
		"reorder=5% delay=1ms duplicate=2%": {Shape: Shape{Delay: time.Millisecond, Reorder: 5, Duplicate: 2}},
	} {
		got, err := ParseLink(strings.Fields(words))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", words, got, err)
		}
		if got == (Link{}) {
			continue
		}
		again, err := ParseLink(strings.Fields(got.String()))
		if err != nil || again != want {
			t.Errorf("%s, written as %s: %+v, %v", words, got, again, err)
		}
	}
	for words, want := range map[string]string{
		"":                "say what",
		"loss":            "key=value",
		"loss=120%":       "120 % is not within 0 and 100",
		"loss=NaN":        "per cent",
		"delay=-1ms":      "-1ms is not within",
		"delay=x":         "duration",
		"delay=1ms±2ms":   "jitter",
		"rate=1":          "bits per second",
		"rate=1bit":       "not within",
		"speed=1":         "want drop",
		"los=1%":          "did you mean loss?",
		"loss=0.2":        "0.2% or 20%?",
		"corrupt=1":       "1% or 100%?",
		"every=1":         "not within 2",
		"every=x":         "whole number",
		"drop=some":       "unknown",
		"loss=1% loss=2%": "twice",
		"over=1":          "not within",
		"reorder=1%":      "needs a delay",
	} {
		if _, err := ParseLink(strings.Fields(words)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", words, err, want)
		}
	}
}

func TestLinksKind(t *testing.T) {
	for text, want := range map[string]event.Kind{
		"":                                    LabHeal,
		"a -> b loss=99%":                     LabLink,
		"a -> b delay=1s":                     LabLink,
		"a -> b loss=100%":                    LabCut,
		"a -> b over=1000":                    LabCut,
		"a -> b drop=udp":                     LabCut,
		"a -> b loss=1%; b -> a drop=all":     LabCut,
		"a -> b drop=all; a -> c loss=1%":     LabCut,
		"a -> b loss=1%; b -> a rate=9000bit": LabLink,
	} {
		l, err := ParseLinks(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := l.Kind(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := (Links{{"a", "b"}: {}}).Kind(); got != LabHeal {
		t.Errorf("a healthy link: %s", got)
	}
}

func TestLinksCheck(t *testing.T) {
	peers := []string{"alice", "bob"}
	if err := (Links{{"alice", "bbo"}: {Drop: DropAll}}).Check(peers); !errors.Is(err, ErrNoPeer) || !strings.Contains(err.Error(), "bob") {
		t.Errorf("unknown: %v", err)
	}
	if err := (Links{{"alice", "alice"}: {}}).Check(peers); err == nil || !strings.Contains(err.Error(), "itself") {
		t.Errorf("itself: %v", err)
	}
	if err := (Links{{"alice", "bob"}: {Loss: 120}}).Check(peers); err == nil || !strings.Contains(err.Error(), "alice -> bob: loss: 120 %") {
		t.Errorf("loss: %v", err)
	}
	if err := (Links{{"alice", "bob"}: {Loss: 12}}).Check(peers); err != nil {
		t.Error(err)
	}
}

func FuzzParseLinks(f *testing.F) {
	for _, seed := range []string{"", "alice,bob -> charly drop=all; charly -> alice loss=20% delay=50ms±10ms rate=1mbit", "a -> a", "a -> b loss=1e300%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLinks(text)
		if err != nil {
			return
		}
		again, err := ParseLinks(l.String())
		maps.DeleteFunc(l, func(_ Pair, link Link) bool { return link == Link{} })
		if err != nil || !maps.Equal(l, again) {
			t.Errorf("%q is %v, which reads as %v, %v", text, l, again, err)
		}
	})
}

func FuzzSelectGroups(f *testing.F) {
	f.Add("alice,bob / rest")
	f.Add("alice..bob / charly")
	f.Fuzz(func(t *testing.T, text string) {
		groups, err := Roster{Peers: []string{"alice", "bob", "charly"}}.selectGroups(strings.Fields(text))
		if err == nil && slices.ContainsFunc(groups, func(g []string) bool { return len(g) == 0 }) {
			t.Errorf("%q: an empty group in %q", text, groups)
		}
	})
}
