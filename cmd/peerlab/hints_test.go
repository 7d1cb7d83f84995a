package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestHintsNameTheCluster looks at every text of these packages that names a command
// for a cluster. Help, which is about any cluster, may write it down; a next step is
// made by docker.Cluster.Command, which adds --cluster.
func TestHintsNameTheCluster(t *testing.T) {
	step := regexp.MustCompile(`\bpeerlab (attach|exec|logs|events|kill|stop|start|restart|pause|resume|throttle|partition|cut|link|heal|links|ps|down)\b`)
	help := []string{"Long", "Short", "Example", "Use"}
	for _, dir := range []string{".", "host", "../../testbed", "../../testbed/docker", "../../scenarios"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.KeyValueExpr:
					key, ok := n.Key.(*ast.Ident)
					return !ok || !slices.Contains(help, key.Name)
				case *ast.CallExpr: // flags.StringVar(…, usage)
					f, ok := n.Fun.(*ast.SelectorExpr)
					return !ok || !strings.HasSuffix(f.Sel.Name, "Var") && !strings.HasSuffix(f.Sel.Name, "VarP")
				case *ast.BasicLit:
					if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && step.MatchString(text) {
						t.Errorf("%s: %q does not name the cluster", files.Position(n.Pos()), text)
					}
				}
				return true
			})
		}
	}
}
