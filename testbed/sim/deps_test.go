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

// TestFilesAreOpenedInOnePlace: of what runs in a simulation only package
// peer/files touches files of the host, so that no line can reach them.
func TestFilesAreOpenedInOnePlace(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}} {{.Dir}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{
		"peerlab/peer/commands/script.go: import os/exec": true, // for a peer that has the host's files alone
		"peerlab/bootstrap/server/tls.go: os.Stat":        true, // of certificates; the simulator has none
	}
	harmless := map[string]bool{"FileMode": true, "Signal": true, "File": true, "LinkError": true, "Getenv": true, "Environ": true, "NewSyscallError": true}
	const atomic = "peerlab/internal/atomicfile"
	packages := 0
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(path, "peerlab/") || path == "peerlab/peer/files" || path == atomic {
			continue
		}
		packages++
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range names {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			found := func(what string) {
				if use := path + "/" + filepath.Base(file) + ": " + what; !allowed[use] {
					t.Errorf("%s: use peer/files", use)
				}
			}
			for _, imported := range parsed.Imports {
				if name := strings.Trim(imported.Path.Value, `"`); name == "os/exec" || name == atomic {
					found("import " + name)
				}
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				of, ok := sel.X.(*ast.Ident)
				if !ok {
					return true
				}
				switch name := sel.Sel.Name; {
				case of.Name == "os" && !harmless[name] && !strings.HasPrefix(name, "O_") && !strings.HasPrefix(name, "Err") && !strings.HasPrefix(name, "Mode"),
					of.Name == "filepath" && (name == "Abs" || name == "EvalSymlinks" || name == "Glob" || strings.HasPrefix(name, "Walk")):
					found(of.Name + "." + name)
				}
				return true
			})
		}
	}
	if packages < 10 {
		t.Errorf("only %d packages were looked at", packages)
	}
}
