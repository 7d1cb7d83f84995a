// Package dockerd is what an engine on containers needs of a Docker daemon, whatever
// cluster it makes: the connection ([Connect]), the containers of all clusters and
// their labels ([Member]), the removal of what is left ([Daemon.Clean]) and the
// watchdog, a second process that removes a cluster when the first ends.
//
// It makes no cluster and knows no engine: package docker does that, with the client in
// [Daemon.API]. Package docker and the programs are its callers. A new way to start a
// cluster is a case in classify and an [Origin].
//
// The Docker API is used directly, from version 1.41 (Docker 20.10): what
// testcontainers starts is removed when the starting process ends, and a cluster of
// `peerlab up` is to stay.
package dockerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
)

// Errors of Connect.
var (
	ErrNoDocker = errors.New("no Docker daemon answers")
	ErrDenied   = errors.New("no permission to use Docker")
	ErrOld      = errors.New("the Docker daemon is too old")
)

// ErrNoImage is an image that the daemon does not have.
var ErrNoImage = errors.New("there is no such image")

// MinAPI is that of Docker 20.10.
const MinAPI = "1.41"

// connectTimeout bounds the first question to the daemon.
const connectTimeout = 5 * time.Second

// Daemon is a connection to a Docker daemon. Its methods may be called
// concurrently.
type Daemon struct {
	// FabricImage is the image that cuts and measures the links of clusters
	// that do not say; empty means peerlab-fabric. It is not to be changed once
	// the Daemon is used.
	FabricImage string
	// API is for what this package has no method for.
	API *client.Client

	endpoint  Endpoint
	neighbors neighborTable
}

// Connect connects to the daemon of CurrentEndpoint and returns within five
// seconds. The error is ErrNoDocker, ErrDenied or ErrOld and says what to do.
func Connect(ctx context.Context) (*Daemon, error) {
	where, err := CurrentEndpoint()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDocker, err)
	}
	return where.connect(ctx)
}

func (e Endpoint) connect(ctx context.Context) (*Daemon, error) {
	options, err := e.options()
	if err != nil {
		return nil, fmt.Errorf("%w at %s: %w", ErrNoDocker, e, err)
	}
	api, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("%w at %s: see DOCKER_HOST and its kin: %w", ErrNoDocker, e, err)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	pong, err := api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	switch {
	case err != nil && denied(ctx, api.DaemonHost()):
		err = fmt.Errorf("%w at %s: use sudo, or join the group of the socket (usermod -aG docker $USER, then log in again)", ErrDenied, e)
	case err != nil && e.Context != defaultContext:
		err = fmt.Errorf("%w at %s: is it running, and is the context right? docker context use default chooses this host's (%w)", ErrNoDocker, e, innermost(err))
	case err != nil:
		err = fmt.Errorf("%w at %s: is it running (systemctl start docker), and is DOCKER_HOST right? (%w)", ErrNoDocker, e, innermost(err))
	case pong.APIVersion != "" && versions.LessThan(pong.APIVersion, MinAPI):
		err = fmt.Errorf("%w: it speaks API %s, and %s (Docker 20.10) is needed", ErrOld, pong.APIVersion, MinAPI)
	}
	if err != nil {
		_ = api.Close()
		return nil, err
	}
	root := ""
	if e.IsLocal() {
		root = "/"
	}
	d := New(api, root)
	d.endpoint = e
	return d, nil
}

// New returns a Daemon that uses a client. The root is the directory with /proc of
// the daemon's host, "" if that is another host.
func New(api *client.Client, root string) *Daemon {
	return &Daemon{API: api, neighbors: neighborTable{root: root}}
}

// Endpoint is where the daemon is.
func (d *Daemon) Endpoint() Endpoint { return d.endpoint }

// Close drops the connections.
func (d *Daemon) Close() error { return d.API.Close() }

// denied says whether the socket may not be opened: the client's own error
// says so in text only.
func denied(ctx context.Context, host string) bool {
	path, isUnix := strings.CutPrefix(host, "unix://")
	if !isUnix {
		return false
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, fs.ErrPermission)
}

func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// retryAfter is how long a broken connection to the daemon rests.
const retryAfter = time.Second

// WaitToRetry waits before a broken connection is tried again. It returns false if ctx
// ends first.
func WaitToRetry(ctx context.Context) bool {
	timer := time.NewTimer(retryAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Stamp returns a time in Docker's form.
func Stamp(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

// ParseTime parses what Docker has of a container's life: the zero time is none.
func ParseTime(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 2000 {
		return time.Time{}
	}
	return t
}

// Tail is a number of last lines in Docker's words: all, unless it is above 0.
func Tail(lines int) string {
	if lines <= 0 {
		return "all"
	}
	return strconv.Itoa(lines)
}

// CreateContext returns the context for a request that creates something, unless
// ctx has ended. Once sent, such a request is not cut off: Docker would create
// the thing all the same, perhaps after the clean-up has looked.
func CreateContext(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	return ctx, cancel, nil
}
