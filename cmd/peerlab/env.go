package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/bootstrap"
)

// place is where a peer finds its bootstrap service.
type place struct {
	Bootstrap string `json:"bootstrap"`       // URLs, separated by commas
	Token     string `json:"token,omitempty"` // for it, if it wants one

	inClear bool // the token crosses networks without encryption
}

// localBootstrap is where cmd/bootstrap answers by default.
const localBootstrap = "http://127.0.0.1:8080"

// oldBootstrap is the predecessor's variable for what PEER_BOOTSTRAP is now. A peer
// still takes it, but where both are set, PEER_BOOTSTRAP counts.
const oldBootstrap = "BOOTSTRAP_DATA_SERVER"

func (l *lab) envCommand(env func(string) string) *cobra.Command {
	return withFormats(&cobra.Command{
		Use:   "env local|cloud",
		Short: "Print shell commands that select a bootstrap service for peers",
		Long: `Print shell commands that set PEER_BOOTSTRAP, and PEER_BOOTSTRAP_TOKEN where there
is a token, for the service on this machine or for the one in the cloud.

Where they are is taken from PEERLAB_LOCAL_BOOTSTRAP, PEERLAB_LOCAL_TOKEN,
PEERLAB_CLOUD_BOOTSTRAP and PEERLAB_CLOUD_TOKEN, or else from the file
$XDG_CONFIG_HOME/peerlab/config.json (~/.config without that variable):

  {"local": {"bootstrap": "http://127.0.0.1:8080"},
   "cloud": {"bootstrap": "https://…", "token": "…"}}`,
		Example:   `  eval "$(peerlab env cloud)"`,
		ValidArgs: []string{"local\tthe service on this machine", "cloud\tthe one in the cloud"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] != "local" && args[0] != "cloud" {
				return usageError{errors.New("env needs an argument: local or cloud")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := find(args[0], env)
			if err != nil {
				return err
			}
			if env(oldBootstrap) != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "peerlab: %s is not used here: PEER_BOOTSTRAP replaces it, and PEERLAB_LOCAL_BOOTSTRAP and PEERLAB_CLOUD_BOOTSTRAP hold the URLs of the services\n", oldBootstrap)
			}
			if p.inClear {
				fmt.Fprintf(cmd.ErrOrStderr(), "peerlab: %s: the token is sent without encryption: use https\n", args[0])
			}
			if l.json() {
				return printJSON(cmd, p)
			}
			fmt.Fprint(cmd.OutOrStdout(), p.shell())
			return nil
		},
	}, formatJSON)
}

// find returns the place called name.
func find(name string, env func(string) string) (place, error) {
	places, path, err := readConfig(env)
	if err != nil {
		return place{}, err
	}
	p := places[name]
	prefix := "PEERLAB_" + strings.ToUpper(name) + "_"
	if v := env(prefix + "BOOTSTRAP"); v != "" {
		p = place{Bootstrap: v} // the file's token is for the file's service
	}
	if v := env(prefix + "TOKEN"); v != "" {
		p.Token = v
	}
	if p.Bootstrap == "" && name == "local" {
		p.Bootstrap = localBootstrap
	}
	if p.Bootstrap == "" {
		return place{}, fmt.Errorf("the URL of the bootstrap service for %s is not set: set %sBOOTSTRAP, or add it to %s", name, prefix, path)
	}
	for u := range strings.SplitSeq(p.Bootstrap, ",") {
		client, err := bootstrap.NewClient(strings.TrimSpace(u), nil)
		if err != nil {
			return place{}, fmt.Errorf("%s: %w", name, err)
		}
		p.inClear = p.inClear || client.WithToken(p.Token).SendsTokenInClear()
	}
	return p, nil
}

// readConfig reads the file, which need not be there.
func readConfig(env func(string) string) (map[string]place, string, error) {
	dir := cmp.Or(env("XDG_CONFIG_HOME"), filepath.Join(env("HOME"), ".config"))
	path := filepath.Join(dir, "peerlab", "config.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, path, nil
	}
	if err != nil {
		return nil, path, fmt.Errorf("configuration: %w", err)
	}
	var places map[string]place
	if err := json.Unmarshal(b, &places); err != nil {
		return nil, path, fmt.Errorf("configuration %s: %w", path, err)
	}
	return places, path, nil
}

// shell returns the commands, for any shell of the Bourne family. A token left
// from another place is removed: it is none of this one's business.
func (p place) shell() string {
	s := "export PEER_BOOTSTRAP=" + quote(p.Bootstrap) + "\n"
	if p.Token == "" {
		return s + "unset PEER_BOOTSTRAP_TOKEN\n"
	}
	return s + "export PEER_BOOTSTRAP_TOKEN=" + quote(p.Token) + "\n"
}

// quote makes one word of s that a shell takes as it is.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
