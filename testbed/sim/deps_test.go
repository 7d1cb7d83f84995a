package sim

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestImports: a simulation needs no Docker, and its network no other.
func TestImports(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		for _, forbidden := range []string{"docker", "moby", "testcontainers", "peerlab/testbed/fabric", "vishvananda/netlink", "google/nftables"} {
			if strings.Contains(dep, forbidden) {
				t.Errorf("testbed/sim depends on %s", dep)
			}
		}
	}
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, file := range names {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			of, ok := call.X.(*ast.Ident)
			if !ok {
				return true
			}
			name := call.Sel.Name
			switch {
			case of.Name == "net" && (strings.HasPrefix(name, "Dial") || strings.HasPrefix(name, "Listen") && name != "Listener" || strings.HasPrefix(name, "Lookup") || strings.HasPrefix(name, "Resolve")),
				of.Name == "http" && (strings.HasPrefix(name, "Default") || name == "ListenAndServe"):
				t.Errorf("testbed/sim uses %s.%s", of.Name, name)
			}
			return true
		})
	}
}
