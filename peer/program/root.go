package program

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"peerlab/peer"
	"peerlab/usage"
	"peerlab/usage/man"
)

// usageError is a mistake in the command line or the environment: exit 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

const defaultSocket = "/run/peer/control.sock"

func (p Program) root() *cobra.Command {
	run := p.runCommand()
	short, flag := "One peer of a cluster: membership by hashicorp/memberlist, a shell inside", "bind"
	if app := p.config("").App; app != nil {
		short = strings.Replace(short, "a shell", "a "+app.Name()+" on top, a shell", 1)
		if own := app.Name() + "-bind"; run.Flags().Lookup(own) != nil {
			flag = own
		}
	}
	root := &cobra.Command{
		Use:   "peer",
		Short: short,
		Long: short + `.

Every flag is also an environment variable: --` + flag + ` is ` + variable(flag) + `.
A flag wins over its variable.`,
		SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usageError{usage.UnknownCommand(cmd, args[0])}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	usage.Help(root)
	root.Version = p.version()
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(run, p.attachCommand(), p.execCommand(), healthCommand(), p.versionCommand(), p.commandsCommand(), man.Command())
	return root
}

// flagError is wrong usage of a flag.
func flagError(cmd *cobra.Command, err error) error { return usageError{usage.Flag(cmd, err)} }

// aliases are older names of environment variables.
var aliases = map[string]string{"bootstrap": "BOOTSTRAP_DATA_SERVER"}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "PEER_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// unusedAlias says, for people, that an older name of a variable is set and does
// not count.
func unusedAlias(cmd *cobra.Command, flag *pflag.Flag) {
	name := aliases[flag.Name]
	if old := os.Getenv(name); name != "" && old != "" && old != flag.Value.String() {
		fmt.Fprintf(cmd.ErrOrStderr(), "peer: %s is not used: --%s or %s counts\n", name, flag.Name, variable(flag.Name))
	}
}

// fromEnvironment sets the flags that were not given from PEER_ variables.
func fromEnvironment(cmd *cobra.Command) error {
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || failed != nil {
			return
		}
		defer unusedAlias(cmd, f)
		if f.Changed {
			return
		}
		name := variable(f.Name)
		value, ok := os.LookupEnv(name)
		if !ok && aliases[f.Name] != "" {
			name = aliases[f.Name]
			value, ok = os.LookupEnv(name)
		}
		if !ok || value == "" {
			return
		}
		if err := peer.SetFlag(f, value); err != nil {
			failed = usageError{fmt.Errorf("environment variable %s=%q: %w", name, value, err)}
		}
	})
	return failed
}

// noArgs is cobra.NoArgs with our exit status.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q: see %s --help", args[0], cmd.CommandPath())}
	}
	return nil
}

// version is the program's, or else what the Go toolchain knows.
func (p Program) version() string { return cmp.Or(p.Version, usage.Version()) }

func (p Program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "peer "+p.version())
			return err
		},
	}
}

// commandsCommand prints the reference of what can be typed at a peer, from
// the registry of one that does not run: docs/commands.md is made of it.
func (p Program) commandsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "commands", Short: "Print the reference of what can be typed at a peer, as Markdown", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			made, err := p.new(p.config("peer"))
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), made.Commands().Markdown())
			return err
		},
	}
}
