package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"peerlab/testbed"
)

func TestMatrix(t *testing.T) {
	links, err := testbed.ParseLinks("alice -> bob drop=all; bob -> alice loss=20%; charly -> bob loss=20%; charly -> alice drop=all delay=5ms")
	if err != nil {
		t.Fatal(err)
	}
	want := `
FROM \ TO  alice  bob  charly
alice             cut  .
bob        a           .
charly     b      a
a  loss=20%
b  drop=all delay=5ms
`
	if got := matrix(links, []string{testbed.Bootstrap, "alice", "bob", "charly"}, palette{}, 100); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("got\n%s", got)
	}
	links[testbed.Pair{From: testbed.Bootstrap, To: "bob"}] = testbed.Link{Loss: 1}
	if got := matrix(links, []string{testbed.Bootstrap, "alice", "bob", "charly"}, palette{}, 100); !strings.Contains(got, testbed.Bootstrap) {
		t.Errorf("bootstrap is missing in\n%s", got)
	}

	var wide strings.Builder
	if err := printLinks(&wide, palette{}, links, testbed.Names(50)); err != nil {
		t.Fatal(err)
	}
	if want := strings.ReplaceAll(links.String(), "; ", "\n") + "\n"; wide.String() != want {
		t.Errorf("wide:\n%swant\n%s", &wide, want)
	}
}

// A program that reads links does not have to take a link's text apart.
func TestLinksAsJSON(t *testing.T) {
	links, err := testbed.ParseLinks("alice -> bob drop=udp loss=10% delay=50ms")
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(newInForce(links, time.Time{}, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"links":[{"from":"alice","to":"bob","link":"drop=udp loss=10% delay=50ms",` +
		`"keys":{"drop":"udp","loss":10,"delay":"50ms"}}],"text":"alice -> bob drop=udp loss=10% delay=50ms"}`
	if got := strings.ReplaceAll(string(got), `\u003e`, ">"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLetter(t *testing.T) {
	seen := make(map[string]bool)
	for i := range 100 {
		if l := letter(i); seen[l] || l == "." {
			t.Errorf("%d: %q again", i, l)
		} else {
			seen[l] = true
		}
	}
}

func TestEnding(t *testing.T) {
	now := time.Now()
	if got := ending(now.Add(90*time.Second), now, "peerlab heal"); !strings.HasSuffix(got, ", in 1m30s") {
		t.Error(got)
	}
	if got := ending(time.Time{}, now, "peerlab heal --cluster x"); got != "until peerlab heal --cluster x" {
		t.Error(got)
	}
}

func TestPrintProbes(t *testing.T) {
	var many []probe
	for range 20 {
		many = append(many, probe{From: "alice", To: "bob", Text: "as asked"})
	}
	for range 6 {
		many = append(many, probe{From: "bob", To: "alice", Error: "fault without effect"})
	}
	var out strings.Builder
	if err := printProbes(&out, many); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(out.String(), "\n"); len(lines) != 8 || !strings.Contains(lines[5], "without effect") || !strings.Contains(lines[6], "20 more links behave as declared") {
		t.Errorf("%s", &out)
	}
}
