package usage

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestHelpListsFlagsAsPeopleKnowThem(t *testing.T) {
	root := &cobra.Command{Use: "prog", Run: func(*cobra.Command, []string) {}}
	flags := root.Flags()
	flags.Bool("both", false, "the way back as well")
	flags.Bool("on", true, "is on")
	flags.Duration("for", 0, "`DURATION` after which it ends")
	flags.StringArray("set", nil, "`VAR=value`, repeatable")
	flags.String("engine", "docker", "`docker|sim`: where")
	flags.Int("repeat", 1, "run each `N` times")
	Help(root)
	var out strings.Builder
	root.SetOut(&out)
	root.SetArgs([]string{"--help"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(out.String(), "Flags:\n")
	want := `      --both                the way back as well
      --engine docker|sim   where (default docker)
      --for DURATION        after which it ends
  -h, --help                help for prog
      --on                  is on (default true)
      --repeat N            run each N times (default 1)
      --set VAR=value       repeatable
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if v, err := flags.GetDuration("for"); err != nil || v != time.Duration(0) {
		t.Error("the flags themselves are not to change")
	}
}
