package scenarios

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"peerlab/observe"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// smaller are the scenarios that are too long to be tested as they are: a
// minute of two processors has to do for all.
var smaller = map[string]map[string]string{
	"lifeguard": {"LONG": "50s", "MANY": "150", "FEW": "100"},
}

// TestGallery runs every arm of every built-in scenario in virtual time.
func TestGallery(t *testing.T) {
	all, err := Gallery()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if testing.Short() && slices.Contains([]string{"lifeguard", "join-storm-at-a-slow-seed"}, s.Name) {
			continue // a hundred peers and more
		}
		arms := s.Arms()
		if len(arms) == 0 {
			arms = []string{""}
		}
		for _, arm := range arms {
			t.Run(strings.TrimSuffix(s.Name+"/"+arm, "/"), func(t *testing.T) {
				t.Parallel()
				// memberlist's choices come from no seed: once in some hundred runs
				// gossip misses somebody in a way that the bounds do not foresee. What
				// is wrong fails again.
				for try := 1; ; try++ {
					res := inVirtualTime(t, s, arm)
					sameAgain(t, &res.Record)
					if res.Verdict == observe.Pass {
						return
					}
					report := t.Logf
					if try == 2 {
						report = t.Fatalf
					}
					report("run %d: %s: %s\n%s", try, res.Verdict, res.Reason, res.Story)
				}
			})
		}
	}
}

// inVirtualTime runs one arm of a scenario.
func inVirtualTime(t *testing.T, s *Scenario, arm string) (res *Result) {
	t.Helper()
	err := sim.Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
		plans, err := s.Plans(ctx, f, arm, smaller[s.Name])
		if err == nil {
			res = plans[0].Run(ctx, f, Options{})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestGalleryTellsWhereItIsFrom: each case of documented failures has its
// thread, its cause and what was seen.
func TestGalleryTellsWhereItIsFrom(t *testing.T) {
	all, err := Gallery()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		switch {
		case s.Title == "" || !strings.HasSuffix(s.Title, "."):
			t.Errorf("%s: its first line is no sentence: %q", s.Name, s.Title)
		case strings.Contains(s.Text, "https://") && s.seen() == "":
			t.Errorf("%s does not say what was seen", s.Name)
		}
	}
}

// TestForContainersHasEverything: of what CI runs on containers, each verb,
// condition and fault is a part.
func TestForContainersHasEverything(t *testing.T) {
	missing := map[string]bool{}
	for _, v := range verbs() {
		missing["verb "+v.name] = true
	}
	for _, k := range kindTable() {
		missing["condition "+k.form] = true
	}
	for _, fault := range []string{"drop=udp", "drop=tcp", "drop=all", "over", "loss", "delay", "±", "reorder", "duplicate", "corrupt", "rate"} {
		missing["link "+fault] = true
	}
	for _, name := range ForContainers() {
		s, err := Open(GalleryPrefix + name)
		if err != nil {
			t.Fatal(err)
		}
		arms, _ := s.arms()
		sc := newScene(nil, arms[0], nil)
		for _, l := range s.lines {
			name := l.name.raw()
			delete(missing, "verb "+name)
			text, problem := sc.expand(l.args)
			if problem != nil {
				t.Fatal(problem)
			}
			if name == "link" {
				for fault := range maps.Clone(missing) {
					if what, is := strings.CutPrefix(fault, "link "); is && strings.Contains(strings.Join(text, " "), what) {
						delete(missing, fault)
					}
				}
			}
			a := args{words: l.args, text: text}
			if name == "await" || name == "hold" {
				a = a.rest(1)
			}
			if slices.Contains([]string{"await", "hold", "check"}, name) && len(a.text) > 1 {
				if a.text[0] == "not" {
					a = a.rest(1)
				}
				for _, k := range kindTable() {
					if _, ok, _ := k.parse(sc, a); ok {
						delete(missing, "condition "+k.form)
						break
					}
				}
			}
			if _, err := sc.parse(l.command, text); err != nil {
				t.Fatalf("%s:%d: %v", s.Path, l.number, err)
			}
		}
	}
	for what := range missing {
		t.Errorf("nothing has the %s", what)
	}
}

func TestCatalogIsCurrent(t *testing.T) {
	want, err := Catalog()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/gallery.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), want) {
		t.Error("docs/gallery.md is not current: make docs")
	}
}
