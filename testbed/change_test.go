package testbed

import (
	"errors"
	"strings"
	"testing"
)

var quartet = NewRoster([]string{Bootstrap, "alice", "bob", "charly", "dave"})

func TestSelectPairs(t *testing.T) {
	for _, test := range []struct{ text, pairs, after string }{
		{"alice bob", "alice -> bob", ""},
		{"alice:bob", "alice -> bob", ""},
		{"alice -> bob", "alice -> bob", ""},
		{"alice->bob loss=20%", "alice -> bob", "loss=20%"},
		{"alice <-> bob delay=5ms rate=1mbit", "alice -> bob, bob -> alice", "delay=5ms rate=1mbit"},
		{"alice<->bob", "alice -> bob, bob -> alice", ""},
		{"alice, bob charly,dave", "alice -> charly, alice -> dave, bob -> charly, bob -> dave", ""},
		{"alice rest", "alice -> bob, alice -> charly, alice -> dave", ""},
		{"rest alice,bob", "charly -> alice, charly -> bob, dave -> alice, dave -> bob", ""},
		{"all dave", "alice -> dave, bob -> dave, charly -> dave", ""},
		{"bootstrap alice", "bootstrap -> alice", ""},
		{"alice,bob <-> alice,bob", "alice -> bob, bob -> alice", ""},
		{"alice bob -> charly dave loss=5%", "alice -> charly, alice -> dave, bob -> charly, bob -> dave", "loss=5%"},
		{"alice..charly dave", "alice -> dave, bob -> dave, charly -> dave", ""},
		{"rest -> alice..charly", "dave -> alice, dave -> bob, dave -> charly", ""},
	} {
		for _, words := range [][]string{strings.Fields(test.text), {test.text}} {
			pairs, after, err := quartet.selectPairs(words)
			var got []string
			for _, p := range pairs {
				got = append(got, p.String())
			}
			if err != nil || strings.Join(got, ", ") != test.pairs || strings.Join(after, " ") != test.after {
				t.Errorf("%q: %q %q %v, want %q %q", words, got, after, err, test.pairs, test.after)
			}
		}
	}
	if pairs, _, err := quartet.selectPairs([]string{"all", "all"}); err != nil || len(pairs) != 12 {
		t.Errorf("all all: %d pairs, %v", len(pairs), err)
	}
}

func TestSelectPairsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"": "from whom to whom", "alice": "from whom to whom", "alice loss=20%": "from whom to whom", "-> bob": "from whom to whom",
		"alice bbo": "did you mean bob?", "alice,,bob charly": "a name is missing", "alice,alice bob": "twice",
		"alice alice": "no link to itself", "rest rest": "cannot be on both", "rest all": "empty", "all rest": "empty",
		"alice,bob,charly,dave rest": "empty",
	} {
		if _, _, err := quartet.selectPairs(strings.Fields(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, _, err := quartet.selectPairs([]string{"zoe", "bob"}); !errors.Is(err, ErrNoPeer) {
		t.Errorf("unknown: %v", err)
	}
}

func FuzzSelectPairs(f *testing.F) {
	f.Add("alice,bob -> charly loss=20%")
	f.Add("all <-> rest")
	f.Add("a:b:c")
	f.Fuzz(func(t *testing.T, text string) {
		pairs, _, err := quartet.selectPairs(strings.Fields(text))
		seen := make(map[Pair]bool)
		for _, p := range pairs {
			if p.From == p.To || seen[p] {
				t.Errorf("%q: %s", text, p)
			}
			seen[p] = true
		}
		if (err == nil) != (len(pairs) > 0) {
			t.Errorf("%q: %d pairs and %v", text, len(pairs), err)
		}
	})
}

func mustLinks(t *testing.T, text string) Links {
	t.Helper()
	l, err := ParseLinks(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSet(t *testing.T) {
	ab := []Pair{{"alice", "bob"}}
	for _, test := range []struct{ was, words, want string }{
		{"", "loss=20%", "alice -> bob loss=20%"},
		{"alice -> bob loss=20%; bob -> alice drop=udp", "delay=50ms±10ms", "alice -> bob loss=20% delay=50ms±10ms; bob -> alice drop=udp"},
		{"alice -> bob delay=50ms±10ms", "delay=5ms", "alice -> bob delay=5ms"},
		{"alice -> bob loss=20% delay=50ms", "loss=0", "alice -> bob delay=50ms"},
		{"alice -> bob loss=20%", "loss=0%", ""},
		{"alice -> bob drop=all loss=20%", "drop=none", "alice -> bob loss=20%"},
		{"alice -> bob over=1000 duplicate=5% rate=1mbit", "rate=0bit over=0 duplicate=0", ""},
		{"alice -> bob delay=1ms reorder=5% corrupt=1%", "reorder=0 corrupt=0", "alice -> bob delay=1ms"},
		{"alice -> bob delay=1ms", "reorder=5%", "alice -> bob delay=1ms reorder=5%"},
		{"alice -> bob loss=5% every=3", "every=0", "alice -> bob loss=5%"},
	} {
		was := mustLinks(t, test.was)
		change, err := ParseLinkChange(strings.Fields(test.words))
		if err != nil {
			t.Errorf("%q: %v", test.words, err)
			continue
		}
		got, err := was.Set(ab, change)
		if err != nil || got.String() != test.want {
			t.Errorf("%q set %q: %q, %v, want %q", test.was, test.words, got, err, test.want)
		}
		if was.String() != test.was {
			t.Errorf("%q has been changed to %q", test.was, was)
		}
	}
	if change, err := ParseLinkChange([]string{"loss=1%"}); err != nil {
		t.Error(err)
	} else if got, err := Links(nil).Set(ab, change); err != nil || len(got) != 1 {
		t.Errorf("on no links: %v, %v", got, err)
	}
	for was, words := range map[string]string{
		"": "loss=120%", "alice -> bob loss=1%": "delay=-1ms", "alice -> bob delay=1ms reorder=5%": "delay=0s",
	} {
		change, err := ParseLinkChange(strings.Fields(words))
		if err != nil {
			continue
		}
		if got, err := mustLinks(t, was).Set(ab, change); err == nil {
			t.Errorf("%q set %q: %q", was, words, got)
		}
	}
}

func TestCut(t *testing.T) {
	ab := Pair{"alice", "bob"}
	for _, test := range []struct{ was, drop, want Drop }{
		{DropNone, DropAll, DropAll},
		{DropNone, DropTCP, DropTCP},
		{DropUDP, DropUDP, DropUDP},
		{DropUDP, DropTCP, DropAll},
		{DropTCP, DropUDP, DropAll},
		{DropAll, DropUDP, DropAll},
		{DropUDP, DropNone, DropUDP},
	} {
		was := Links{ab: {Drop: test.was, Loss: 5}}
		got := was.Cut([]Pair{ab, ab.Back()}, test.drop)
		if want := (Links{ab: {Drop: test.want, Loss: 5}}); got[ab] != want[ab] || got[ab.Back()].Drop != test.drop {
			t.Errorf("%s, then %s: %v", test.was, test.drop, got)
		}
		if was[ab].Drop != test.was {
			t.Error("the links it is of have changed")
		}
	}
	if got := Links(nil).Cut([]Pair{ab}, DropAll); len(got) != 1 {
		t.Errorf("on no links: %v", got)
	}
}

func TestPartitionReplacesThePartitionBefore(t *testing.T) {
	was := mustLinks(t, "alice -> bob drop=partition loss=5%; bob -> charly drop=udp delay=5ms; charly -> dave drop=partition; dave -> alice drop=all")
	got, err := was.Partition([]string{"alice", "bob"}, []string{"charly"})
	want := "alice -> bob loss=5%; alice -> charly drop=partition; bob -> charly drop=udp+partition delay=5ms; charly -> alice,bob drop=partition; dave -> alice drop=all"
	if err != nil || got.String() != mustLinks(t, want).String() {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	healed, err := got.Partition([]string{"alice"}, []string{"dave"})
	if link := healed[Pair{"bob", "charly"}]; err != nil || link.Drop != DropUDP || !healed[Pair{"dave", "alice"}].IsCut() {
		t.Errorf("after the next partition: %q, %v", healed, err)
	}
	if _, err := was.Partition([]string{"alice", "bob"}, []string{"bob"}); err == nil {
		t.Error("overlapping groups are accepted")
	}
}

func TestHealed(t *testing.T) {
	was := mustLinks(t, "alice -> bob drop=all; bob -> charly delay=5ms; charly -> dave drop=udp")
	for peers, want := range map[string]string{
		"": "", "alice": "bob -> charly delay=5ms; charly -> dave drop=udp", "alice charly": "", "bob": "charly -> dave drop=udp",
	} {
		if got := was.Healed(strings.Fields(peers)...).String(); got != want {
			t.Errorf("heal %s: %q, want %q", peers, got, want)
		}
	}
}

func TestCutNamesTheWrongWord(t *testing.T) {
	for _, test := range []struct{ words, want string }{
		{"alice bob drop=udp loss=3%", `"loss=3%": `},
		{"alice bob loss=3% drop=udp", `"loss=3%": `},
		{"alice bob drop=none", `"drop=none": `},
		{"alice bob drop=udp bogus", `"bogus"`},
	} {
		if _, err := ParseLinksChange("cut", strings.Fields(test.words), quartet, false); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.words, err, test.want)
		}
	}
}
