package enginetest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestDocListsTheCases(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var listed, there []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "//   - "); ok && !strings.HasPrefix(name, "refuses ") {
			listed = append(listed, strings.TrimSpace(name))
		}
	}
	for _, tc := range cases() {
		there = append(there, tc.name)
	}
	slices.Sort(listed)
	slices.Sort(there)
	if !slices.Equal(listed, there) {
		t.Errorf("doc.go lists\n%q\nthere are\n%q", listed, there)
	}
	if len(there) < 40 {
		t.Errorf("%d cases", len(there))
	}
}
