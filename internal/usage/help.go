package usage

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Help has root and all commands below it list their flags as [Flags] does, in
// what cobra writes otherwise. A template of ours would do as well, but a program
// that has text/template in it is some megabytes larger.
func Help(root *cobra.Command) {
	write := root.UsageFunc()
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		var text strings.Builder
		out := cmd.OutOrStderr()
		cmd.SetOut(&text)
		err := write(cmd)
		cmd.SetOut(out)
		if err != nil {
			return err
		}
		usage := text.String()
		for _, flags := range []*pflag.FlagSet{cmd.LocalFlags(), cmd.InheritedFlags()} {
			if before := strings.TrimSpace(flags.FlagUsages()); before != "" {
				usage = strings.Replace(usage, before, strings.TrimSpace(Flags(flags)), 1)
			}
		}
		_, err = io.WriteString(out, usage)
		return err
	})
}

// Flags lists flags for a help text, a line each. A flag without a value is shown
// as -h, --help. Of a usage that begins with the name of the value, as in
// "`DIR` for results", the line has that name once: --out DIR  for results.
func Flags(flags *pflag.FlagSet) string {
	shown := pflag.NewFlagSet("", pflag.ContinueOnError)
	shown.SortFlags = flags.SortFlags
	flags.VisitAll(func(f *pflag.Flag) {
		one := *f
		name, rest, begins := strings.Cut(strings.TrimPrefix(f.Usage, "`"), "`")
		switch {
		case f.Value.Type() == "bool":
			one.Value = valueOf{f.Value, "boolfunc"} // pflag adds nothing to the name of one
		case begins && strings.HasPrefix(f.Usage, "`"):
			one.Value, one.Usage = valueOf{f.Value, name}, strings.TrimLeft(rest, " ,:")
			switch f.DefValue {
			case "0s", "[]":
				one.DefValue = "" // not worth showing, which pflag knows by the value's type
			}
		}
		shown.AddFlag(&one)
	})
	return shown.FlagUsages()
}

// valueOf is a value with another name of its type.
type valueOf struct {
	pflag.Value
	typeName string
}

// Type implements pflag.Value.
func (v valueOf) Type() string { return v.typeName }
