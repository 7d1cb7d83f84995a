package usage

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestFlagSaysWhatWasMeant(t *testing.T) {
	for args, want := range map[string]string{
		"--clutser x":   "unknown flag: --clutser: did you mean --cluster?",
		"--moon":        "unknown flag: --moon: see prog --help",
		"-x":            "unknown shorthand flag: 'x' in -x: see prog --help",
		"-5":            "-5: prog takes no number below 0: see prog --help",
		"-0.5":          "-0.5: prog takes no number below 0: see prog --help",
		"--repeat many": "invalid argument \"many\" for \"--repeat\" flag: must be an integer: see prog --help",
		"--cluster":     "flag needs an argument: --cluster: see prog --help",
	} {
		cmd := &cobra.Command{Use: "prog", SilenceErrors: true, SilenceUsage: true, Run: func(*cobra.Command, []string) {}}
		cmd.Flags().String("cluster", "", "")
		cmd.Flags().Int("repeat", 1, "")
		cmd.SetFlagErrorFunc(Flag)
		cmd.SetOut(io.Discard)
		cmd.SetArgs(strings.Fields(args))
		if err := cmd.Execute(); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}
