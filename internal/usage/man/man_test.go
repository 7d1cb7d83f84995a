package man

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestPages(t *testing.T) {
	root := &cobra.Command{Use: "prog", Short: "A program", Long: "A program for tests."}
	sub := &cobra.Command{Use: "do THING", Short: "Do it", Example: "  prog do it", Run: func(*cobra.Command, []string) {}}
	sub.Flags().String("out", "", "`DIR` for results")
	root.AddCommand(sub, Command())
	dir := filepath.Join(t.TempDir(), "man1")
	root.SetArgs([]string{"man", dir})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"prog.1": "A program for tests.", "prog-do.1": "results"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.HasPrefix(string(text), `.nh`) || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "prog-man.1")); err == nil {
		t.Error("a page on what users do not see")
	}
	root.SetArgs([]string{"man"})
	root.SetErr(new(strings.Builder))
	root.SetOut(new(strings.Builder))
	if err := root.Execute(); err == nil {
		t.Error("without a directory")
	}
}
