package scenarios

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"peerlab/event"
)

// TestReferenceIsCurrent says whether docs/scenarios.md holds the reference of
// this program: make docs writes it.
func TestReferenceIsCurrent(t *testing.T) {
	page, err := os.ReadFile("../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	_, reference, ok := strings.Cut(string(page), "<!-- reference -->\n\n")
	if !ok || reference != Reference() {
		t.Error("docs/scenarios.md is not current: make docs")
	}
}

// TestExamplesAreRight lints the example of each verb and condition.
func TestExamplesAreRight(t *testing.T) {
	const before = "cluster 5\nstart\n"
	for _, v := range verbs() {
		text := before + v.example + "\n"
		switch v.name {
		case "cluster", "arm", "set":
			text = v.example + "\ncluster 5\n"
		}
		switch v.name {
		case "cluster":
			text = v.example + "\n"
		case "peer":
			text = "cluster 5\n" + v.example + "\n"
		}
		if got := lint(t, text); got != "" {
			t.Errorf("%s\n%s", text, got)
		}
	}
	for _, k := range kindTable() {
		if got := lint(t, before+"check "+k.example+"\n"); got != "" {
			t.Errorf("%s\n%s", k.example, got)
		}
	}
}

// TestExampleOfThePage lints the scenario with which the page begins.
func TestExampleOfThePage(t *testing.T) {
	page, err := os.ReadFile("../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```\n")
	text, _, ok := strings.Cut(text, "```\n")
	if !ok {
		t.Fatal("there is no example")
	}
	if got := lint(t, text); got != "" {
		t.Error(got)
	}
}

// TestEventKinds finds kinds of events that conditions do not know.
func TestEventKinds(t *testing.T) {
	for _, file := range []string{"../event/event.go", "../testbed/history.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			kind, err := strconv.Unquote(literal.Value)
			if err == nil && strings.Contains(kind, ".") && !slices.Contains(eventKinds, event.Kind(kind)) {
				t.Errorf("%s: conditions do not know %s", file, kind)
			}
			return true
		})
	}
}
