package main

import (
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/bootstrap"
)

// settings is what the flags say.
type settings struct {
	listen     string
	maxPeers   int
	minRefill  int
	logLevel   string
	healthBase string
}

func newRoot(env lookup, stderr io.Writer) *cobra.Command {
	var s settings
	root := &cobra.Command{
		Use:   "bootstrap",
		Short: "Tell new peers whom to contact first",
		Long: `The bootstrap service keeps the addresses of a few peers and gives them to new
ones. It answers HTTP until SIGTERM or SIGINT.

Every flag can be set by an environment variable as well, --max-peers by
BOOTSTRAP_MAX_PEERS and so on; the flag wins. PORT sets the port where neither
--listen nor BOOTSTRAP_LISTEN is given.`,
		Args:          onlyCommands,
		SilenceErrors: true,
		SilenceUsage:  true,
		// 0, cobra's own default, suggests nothing where Args is set.
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRunE:          func(cmd *cobra.Command, _ []string) error { return fromEnv(cmd.Flags(), env) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			level, err := s.validate()
			if err != nil {
				return usageError{err}
			}
			log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
			return serve(cmd.Context(), s, log)
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := root.Flags()
	f.StringVar(&s.listen, "listen", ":8080", "address to answer on, `HOST:PORT`")
	f.IntVar(&s.maxPeers, "max-peers", 2, "how many peers to keep, until a client sets another number")
	f.IntVar(&s.minRefill, "min-refill-candidates", 2, "what to tell clients about refill, until a client sets another number")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")

	health := &cobra.Command{
		Use:   "health",
		Short: "Exit with 0 if the service answers, with 1 if not",
		Long: `Ask a running service for its health: the check for a container without a shell.
Without --url it asks this machine, on the port that BOOTSTRAP_LISTEN or PORT sets.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.healthBase == "" {
				s.healthBase = ownURL(env)
			}
			return checkHealth(cmd.Context(), s.healthBase, cmd.OutOrStdout())
		},
	}
	health.Flags().StringVar(&s.healthBase, "url", "", "base `URL` of the service")
	version := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), "bootstrap", buildVersion(), runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
		},
	}
	root.AddCommand(health, version)
	return root
}

// validate checks what the flags' types do not, except the address: whether
// that is good only listening on it can tell.
func (s settings) validate() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return 0, fmt.Errorf("--log-level %q: want debug, info, warn or error", s.logLevel)
	}
	return level, bootstrap.Config{MaxPeers: s.maxPeers, MinRefillCandidates: s.minRefill}.Validate()
}

func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return usageError{fmt.Errorf("unknown command %q%s", args[0], hint)}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument, got %q", cmd.Name(), args[0])}
	}
	return nil
}

// buildVersion is what the Go command wrote into the binary: a module version,
// or (devel) where it was built without version control.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}
