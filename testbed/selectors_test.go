package testbed

import (
	"errors"
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	r := NewRoster([]string{"alice", "bob", Bootstrap, "charly", "dave"})
	for _, test := range []struct{ text, named, want string }{
		{"alice", "", "alice"},
		{"alice,bob", "", "alice bob"},
		{"alice bob", "", "alice bob"},
		{"alice, bob", "", "alice bob"},
		{"bob..dave", "", "bob charly dave"},
		{"alice,charly..dave", "", "alice charly dave"},
		{"all", "", "alice bob charly dave"},
		{"rest", "", "alice bob charly dave"},
		{"rest", "bob", "alice charly dave"},
		{"rest", "bob charly", "alice dave"},
		{"rest,alice", "", "bob charly dave alice"},
		{"bootstrap", "", "bootstrap"},
		{"alice,bootstrap", "", "alice bootstrap"},
	} {
		for _, words := range [][]string{strings.Fields(test.text), {test.text}} {
			got, err := r.Select(words, strings.Fields(test.named)...)
			if err != nil || strings.Join(got, " ") != test.want {
				t.Errorf("%q beside %q: %q, %v, want %q", words, test.named, got, err, test.want)
			}
		}
	}
	for text, want := range map[string]string{
		"": "want names", " ": "want names", "alice,": "a name is missing", "alice,,bob": "a name is missing",
		"alice alice": "twice", "all,bob": "twice", "alice..bob,bob": "twice", "dave..alice": "alice comes before dave",
		"rest,all": "rest is empty", "alice..zoe": "zoe", "bbo": "did you mean bob?",
	} {
		if got, err := r.Select([]string{text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	if _, err := r.Select([]string{"zoe"}); !errors.Is(err, ErrNoPeer) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := r.Select([]string{"rest"}, "alice", "bob", "charly", "dave"); err == nil || !strings.Contains(err.Error(), "rest is empty") {
		t.Errorf("nobody is left: %v", err)
	}
}

func FuzzSelect(f *testing.F) {
	f.Add("alice..charly,rest")
	f.Fuzz(func(t *testing.T, text string) {
		names, err := quartet.Select([]string{text})
		if (err == nil) != (len(names) > 0) {
			t.Errorf("%q: %q and %v", text, names, err)
		}
		seen := make(map[string]bool)
		for _, name := range names {
			if seen[name] {
				t.Errorf("%q: %s is there twice", text, name)
			}
			seen[name] = true
		}
	})
}
