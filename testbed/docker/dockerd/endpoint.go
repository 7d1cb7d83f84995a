package dockerd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	contexts "github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
	"github.com/moby/moby/client"
)

// contextVariable chooses a context of Docker's client. DOCKER_HOST comes first.
const contextVariable = "DOCKER_CONTEXT"

// defaultContext is the daemon that DOCKER_HOST names, else the one of this host.
const defaultContext = "default"

// Endpoint is the daemon that the docker command of this shell would ask.
type Endpoint struct {
	Context string // of docker context: "default" for what DOCKER_HOST says, or this host's own
	Host    string // its address, such as unix:///run/docker.sock; "" for this host's own
	tls     *contexts.Endpoint
}

// CurrentEndpoint finds the daemon as the docker command does: by DOCKER_HOST,
// by DOCKER_CONTEXT, by what docker context use chose, else that of this host.
func CurrentEndpoint() (Endpoint, error) {
	if host := os.Getenv(client.EnvOverrideHost); host != "" {
		return Endpoint{Context: defaultContext, Host: host}, nil
	}
	name := cmp.Or(os.Getenv(contextVariable), chosenContext(), defaultContext)
	if name == defaultContext {
		return Endpoint{Context: defaultContext}, nil
	}
	e := Endpoint{Context: name}
	kept := store.New(filepath.Join(ConfigDir(os.Getenv), "contexts"), store.NewConfig(
		func() any { return &map[string]any{} },
		store.EndpointTypeGetter(contexts.DockerEndpoint, func() any { return &contexts.EndpointMeta{} }),
	))
	failed := func(err error) (Endpoint, error) {
		return e, fmt.Errorf("the Docker context %s: %w: docker context ls has those there are, docker context use default chooses this host's", name, err)
	}
	metadata, err := kept.GetMetadata(name)
	if err != nil {
		return failed(err)
	}
	meta, err := contexts.EndpointFromContext(metadata)
	if err != nil {
		return failed(err)
	}
	full, err := contexts.WithTLSData(kept, name, meta)
	if err != nil {
		return failed(err)
	}
	e.Host, e.tls = full.Host, &full
	return e, nil
}

// options are those of a client of the daemon. With DOCKER_HOST the environment has
// the rest.
func (e Endpoint) options() ([]client.Opt, error) {
	if e.tls == nil {
		return []client.Opt{client.FromEnv, client.WithHost(cmp.Or(e.Host, client.DefaultDockerHost))}, nil
	}
	return e.tls.ClientOpts()
}

// String names the daemon: its address, and its context unless that is the default.
func (e Endpoint) String() string {
	host := e.Host
	if host == "" {
		host = client.DefaultDockerHost
	}
	if e.Context == defaultContext {
		return host
	}
	return fmt.Sprintf("%s (Docker context %s)", host, e.Context)
}

// IsLocal reports whether the daemon is asked through a socket of this host. Its
// kernel can be another all the same, as with Docker Desktop.
func (e Endpoint) IsLocal() bool {
	return runtime.GOOS == "linux" && (e.Host == "" || strings.HasPrefix(e.Host, "unix://"))
}

// ConfigDir is where Docker's client keeps its configuration.
func ConfigDir(env func(string) string) string {
	if dir := env("DOCKER_CONFIG"); dir != "" {
		return dir
	}
	home := "HOME"
	if runtime.GOOS == "windows" {
		home = "USERPROFILE"
	}
	return filepath.Join(env(home), ".docker")
}

// chosenContext returns what docker context use chose, "" for nothing. Where its
// file cannot be read docker goes on without it, too.
func chosenContext() string {
	text, err := os.ReadFile(filepath.Join(ConfigDir(os.Getenv), "config.json"))
	if err != nil {
		return ""
	}
	var config struct {
		CurrentContext string `json:"currentContext"`
	}
	if json.Unmarshal(text, &config) != nil {
		return ""
	}
	return config.CurrentContext
}
