package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	apicontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"
	tcnetwork "github.com/testcontainers/testcontainers-go/network"

	"peerlab/event"
)

var (
	inspectNetwork  = client.NetworkInspectOptions{}
	removeContainer = client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}
)

// container is one life of a peer or of the bootstrap service: whoever is
// started again gets a new one.
type container struct {
	*testcontainers.DockerContainer
	name string
	read chan struct{} // closed when its log has been read to the end

	mu   sync.Mutex
	tail []string // of standard error
}

// run starts a container that is a member of the cluster and follows what it
// writes.
func (c *cluster) run(ctx context.Context, name, image string, env map[string]string) error {
	life, err := c.launch(ctx, name, image, env)
	if life != nil {
		c.mu.Lock()
		c.lives[name] = life
		c.mu.Unlock()
		if name != bootstrap {
			c.begin(name)
		}
		c.reading.Go(func() { c.readLog(life) })
	}
	return err
}

// launch starts a container at the address of name. On an error too there may
// be one.
func (c *cluster) launch(ctx context.Context, name, image string, env map[string]string) (*container, error) {
	started, err := testcontainers.Run(ctx, image,
		tcnetwork.WithNetworkName([]string{name}, c.net.Name),
		testcontainers.WithEnv(env),
		testcontainers.WithLabels(map[string]string{ownerLabel: string(shared.owner)}),
		testcontainers.WithTmpfs(map[string]string{"/run/peer": "uid=65532,gid=65532,mode=0700"}),
		testcontainers.WithConfigModifier(func(conf *apicontainer.Config) {
			conf.Hostname = name
			// Each check starts a process: what is measured here would notice.
			conf.Healthcheck = &apicontainer.HealthConfig{Test: []string{"NONE"}}
		}),
		testcontainers.WithHostConfigModifier(func(conf *apicontainer.HostConfig) {
			conf.ReadonlyRootfs = true
			conf.CapDrop = []string{"ALL"}
			conf.SecurityOpt = []string{"no-new-privileges"}
		}),
		testcontainers.WithEndpointSettingsModifier(func(settings map[string]*network.EndpointSettings) {
			settings[c.net.Name].IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: c.addr(name)}
		}),
	)
	if err != nil {
		err = fmt.Errorf("start %s: %w", name, err)
	}
	if started == nil {
		return nil, err
	}
	life := &container{DockerContainer: started, name: name, read: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, life)
	return life, err
}

// readLog turns standard output into events until the container ends.
func (c *cluster) readLog(life *container) {
	defer close(life.read)
	var seq uint64
	stdout := lines(func(line []byte) {
		e, err := event.Decode(line)
		switch {
		case err != nil:
			c.problem("%s wrote to standard output what is no event: %v: %q", life.name, err, line)
			return
		case e.Seq != seq+1:
			c.problem("%s: event %d came after %d", life.name, e.Seq, seq)
		case e.Peer != life.name:
			c.problem("%s wrote an event in the name of %q", life.name, e.Peer)
		}
		seq = e.Seq
		c.add(e)
	})
	stderr := lines(func(line []byte) {
		if bytes.HasPrefix(line, []byte("panic: ")) || bytes.HasPrefix(line, []byte("fatal error: ")) {
			c.problem("%s: %s", life.name, line)
		}
		life.mu.Lock()
		defer life.mu.Unlock()
		life.tail = append(life.tail[max(0, len(life.tail)-40):], string(line))
	})
	if err := read(c.follow, life, &stdout, &stderr); err != nil && c.follow.Err() == nil {
		c.problem("%v", err)
	}
}

// read copies all that a container writes until it ends or ctx does.
func read(ctx context.Context, life *container, stdout, stderr io.Writer) error {
	log, err := shared.docker.ContainerLogs(ctx, life.GetContainerID(), client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Follow: true,
	})
	if err == nil {
		defer log.Close()
		_, err = stdcopy.StdCopy(stdout, stderr, log)
	}
	if err != nil {
		return fmt.Errorf("read what %s writes: %w", life.name, err)
	}
	return nil
}

// lastWords is the end of what the container wrote to standard error.
func (life *container) lastWords() string {
	life.mu.Lock()
	defer life.mu.Unlock()
	return strings.Join(life.tail, "\n") + "\n"
}

// lines returns a writer that calls f with each complete line.
func lines(f func([]byte)) lineWriter { return lineWriter{line: f} }

type lineWriter struct {
	line func([]byte)
	rest []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.rest = append(w.rest, b...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		w.line(line)
		w.rest = rest
	}
}

// exec runs the peer's own binary inside its container.
func (c *cluster) exec(t *testing.T, name string, args ...string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	code, reader, err := c.life(t, name).Exec(ctx, append([]string{"/peer"}, args...), tcexec.Multiplexed())
	if err != nil {
		return "", fmt.Errorf("run %q in %s: %w", args, name, err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(reader); err != nil {
		return "", err
	}
	if code != 0 {
		return b.String(), errors.New(strings.TrimSpace(b.String()))
	}
	return b.String(), nil
}

// ask runs one line in a peer, which must succeed.
func (c *cluster) ask(t *testing.T, name string, words ...string) string {
	t.Helper()
	output, err := c.exec(t, name, append([]string{"exec", "--"}, words...)...)
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(words, " "), err)
	}
	return output
}
