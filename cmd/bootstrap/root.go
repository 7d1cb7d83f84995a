package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peerlab/bootstrap"
	"peerlab/bootstrap/server"
	"peerlab/internal/usage"
	"peerlab/internal/usage/man"
)

// settings is what the flags say.
type settings struct {
	listen         string
	store          string
	setAside       bool
	maxPeers       int
	minRefill      int
	ttl            time.Duration
	legacyTTL      time.Duration
	tokensFile     string
	tokens         server.Tokens
	tlsCert        string
	tlsKey         string
	allowLoopback  bool
	rate           int
	trustedProxies []string
	hosts          []string
	networks       []string
	prefixes       []netip.Prefix // networks
	logLevel       string
	logFormat      string
	healthBase     string
}

func newRoot(env lookup, stderr io.Writer) *cobra.Command {
	var s settings
	root := &cobra.Command{
		Use:   "bootstrap",
		Short: "Give new peers the addresses of peers to contact first",
		Long: `The bootstrap service keeps the addresses of a few peers and gives them to new peers.
It serves HTTP until SIGTERM or SIGINT.

An environment variable can set every flag, too: BOOTSTRAP_MAX_PEERS sets --max-peers,
and so on. The flag takes precedence. PORT sets the port if neither --listen nor
BOOTSTRAP_LISTEN is given.`,
		Args: onlyCommands,
		// 0, cobra's own default, suggests nothing where Args is set.
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{HiddenDefaultCmd: true},
		PersistentPreRunE:          func(cmd *cobra.Command, _ []string) error { return fromEnv(cmd.Flags(), env) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			// What is on one machine alone and forgets is for trying out.
			if !cmd.Flags().Changed("allow-loopback") {
				s.allowLoopback = s.store == "memory:"
			}
			level, err := s.validate()
			if err == nil {
				s.prefixes, err = parseNetworks("--networks", s.networks)
			}
			if err == nil {
				s.tokens, err = readTokens(s.tokensFile, env)
			}
			if err != nil {
				return usage.Wrong(err)
			}
			options := &slog.HandlerOptions{Level: level}
			var handler slog.Handler = slog.NewTextHandler(stderr, options)
			if s.logFormat == "json" {
				handler = slog.NewJSONHandler(stderr, options)
			}
			log := slog.New(handler)
			return serve(cmd.Context(), s, log)
		},
	}
	usage.Help(root)
	root.Version = usage.Version()
	f := root.Flags()
	f.StringVar(&s.listen, "listen", ":8080", "address to listen on, `HOST:PORT`")
	f.IntVar(&s.maxPeers, "max-peers", 2, "number of peers to keep, until a client changes it")
	f.IntVar(&s.minRefill, "min-refill-candidates", 2, "number of refill candidates that clients are told, until a client changes it")
	f.StringVar(&s.store, "store", "memory:", "`URL` of the store for the list: memory:, bolt:PATH, etcd://HOST:PORT[,HOST:PORT]/PREFIX, firestore://PROJECT")
	f.BoolVar(&s.setAside, "set-aside", false, "rename a damaged bolt file and start with an empty list")
	f.DurationVar(&s.ttl, "ttl", server.DefaultTTL, "time after which a peer that does not renew is removed, 3s to 24h")
	f.DurationVar(&s.legacyTTL, "legacy-ttl", server.DefaultLegacyTTL, "the same for peers of the legacy API, which cannot renew; 0 for never")
	f.StringVar(&s.tokensFile, "tokens-file", "", "`FILE` of lines like admin TOKEN, for read, write and admin; also BOOTSTRAP_READ_TOKEN, BOOTSTRAP_WRITE_TOKEN, BOOTSTRAP_ADMIN_TOKEN")
	f.StringVar(&s.tlsCert, "tls-cert", "", "PEM `FILE` of the certificate chain; reloaded when it changes")
	f.StringVar(&s.tlsKey, "tls-key", "", "PEM `FILE` of its key")
	f.BoolVar(&s.allowLoopback, "allow-loopback", false, "accept peers at loopback addresses (default: with --store memory:)")
	f.IntVar(&s.rate, "rate", 6000, "requests per minute from one client; 0 for no limit")
	f.StringSliceVar(&s.trustedProxies, "trusted-proxies", nil, "`NETWORKS`, as in 10.0.0.0/8, whose X-Forwarded-For names the client")
	f.StringSliceVar(&s.hosts, "host", nil, "`NAME` that clients use for this service if it needs neither a token nor TLS; addresses and names without a dot are always accepted")
	f.StringSliceVar(&s.networks, "networks", nil, "`NETWORKS`, as in 10.0.0.0/8, whose peers may be registered (default: any)")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.logFormat, "log-format", "text", "text or json")

	health := &cobra.Command{
		Use:   "health",
		Short: "Check that the service answers: exit with 0 if it does, with 1 if not",
		Long: `Ask a running service for its health. This is the health check for a container without
a shell. Without --url it asks this machine, on the port of BOOTSTRAP_LISTEN or PORT.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			own := s.healthBase == ""
			if own {
				s.healthBase = ownURL(env)
			}
			return checkHealth(cmd.Context(), s.healthBase, own, cmd.OutOrStdout())
		},
	}
	health.Flags().StringVar(&s.healthBase, "url", "", "base `URL` of the service")
	version := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), "bootstrap", usage.Version(), runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
		},
	}
	root.AddCommand(health, version, man.Command())
	return root
}

// validate checks what the flags' types do not, except the address and the
// store: whether those are good only using them can tell.
func (s settings) validate() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return 0, fmt.Errorf("--log-level %q: want debug, info, warn or error", s.logLevel)
	}
	switch {
	case s.logFormat != "text" && s.logFormat != "json":
		return 0, fmt.Errorf("--log-format %q: want text or json", s.logFormat)
	case s.ttl < server.MinTTL || s.ttl > server.MaxTTL:
		return 0, fmt.Errorf("--ttl must be between 3s and 24h, not %s", s.ttl)
	case s.legacyTTL < 0:
		return 0, fmt.Errorf("--legacy-ttl %s: want a duration, or 0 for never", s.legacyTTL)
	case s.rate < 0:
		return 0, fmt.Errorf("--rate %d: want requests a minute, or 0 for any number", s.rate)
	case (s.tlsCert == "") != (s.tlsKey == ""):
		return 0, errors.New("--tls-cert and --tls-key go together")
	}
	if _, err := parseNetworks("--trusted-proxies", s.trustedProxies); err != nil {
		return 0, err
	}
	for _, name := range s.hosts {
		if name == "" || strings.ContainsAny(name, ":/@* ") {
			return 0, fmt.Errorf("--host %q: want a name such as bootstrap.example.com, without scheme and port", name)
		}
	}
	return level, bootstrap.Config{MaxPeers: s.maxPeers, MinRefillCandidates: s.minRefill}.Validate()
}

// parseNetworks reads what the flag called name says.
func parseNetworks(name string, networks []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, network := range networks {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return nil, fmt.Errorf("%s %q: want networks such as 10.0.0.0/8, separated by commas", name, network)
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

// readTokens returns the tokens of the file and of the environment.
func readTokens(file string, env lookup) (server.Tokens, error) {
	var text string
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return server.Tokens{}, fmt.Errorf("--tokens-file: %w", err)
		}
		text = string(b) + "\n"
	}
	for _, role := range []string{"read", "write", "admin"} {
		if token := env.get("BOOTSTRAP_" + strings.ToUpper(role) + "_TOKEN"); token != "" {
			text += role + " " + token + "\n"
		}
	}
	return server.ParseTokens(text)
}

func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage.Wrong(fmt.Errorf("unknown command %q%s", args[0], hint))
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage.Wrong(fmt.Errorf("%s takes no argument, got %q", cmd.Name(), args[0]))
	}
	return nil
}
