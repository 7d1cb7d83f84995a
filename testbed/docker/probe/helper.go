package probe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// What a helper may take, unless more is asked for: probes share a network with peers,
// and what these send.
const (
	probeMemory = 128 << 20 // bytes, swap included
	probePIDs   = 64
)

// FabricImage returns the image of the fabric: the one that is asked for, "" for the
// daemon's.
func FabricImage(d *dockerd.Daemon, image string) string {
	return cmp.Or(image, d.FabricImage, "peerlab-fabric")
}

// CreateContainer creates a container that goes when it ends, with no rights but
// those given, and the limits of a probe unless others are given.
func CreateContainer(ctx context.Context, d *dockerd.Daemon, name string, labels map[string]string, config *api.Config, host *api.HostConfig) (id string, err error) {
	config.Labels = labels
	if host.Resources.Memory == 0 {
		pids := int64(probePIDs)
		host.Resources = api.Resources{Memory: probeMemory, MemorySwap: probeMemory, PidsLimit: &pids}
	}
	host.AutoRemove, host.ReadonlyRootfs = true, true
	host.CapDrop, host.SecurityOpt = []string{"ALL"}, []string{"no-new-privileges"}
	ctx, cancel, err := dockerd.CreateContext(ctx)
	if err != nil {
		return "", err
	}
	defer cancel()
	made, err := d.API.ContainerCreate(ctx, client.ContainerCreateOptions{Name: name, Config: config, HostConfig: host})
	if errdefs.IsNotFound(err) && strings.Contains(err.Error(), "image") {
		return "", fmt.Errorf("links %w: %w: %s: make image builds ours", testbed.ErrUnable, dockerd.ErrNoImage, config.Image)
	}
	if err != nil {
		return "", fmt.Errorf("create the container of the %s: %w", labels[dockerd.HelperLabel], err)
	}
	return made.ID, nil
}

// Listen copies what a container writes to standard error until it ends, which
// ends the context, or the function is called.
func Listen(ctx context.Context, d *dockerd.Daemon, id string, w io.Writer) (ended context.Context, detach func(), err error) {
	attached, err := d.API.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stderr: true})
	if err != nil {
		return nil, nil, fmt.Errorf("listen to a container: %w", err)
	}
	ended, end := context.WithCancel(context.Background())
	go func() {
		defer end()
		_, _ = stdcopy.StdCopy(io.Discard, w, attached.Reader)
	}()
	return ended, func() { attached.Close(); <-ended.Done() }, nil
}

// LastLine is what a program says before it fails.
func LastLine(text string) string {
	text = strings.TrimSpace(text)
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	if text = strings.TrimPrefix(text, "fabric: "); text == "" {
		return "the agent ended without a word"
	}
	return text
}

// ErrorLimit bounds what is kept of what a command says of its failure.
const ErrorLimit = 64 << 10

// answerLimit bounds what is kept of what a container of the fabric answers.
const answerLimit = 1 << 20

// Output is a buffer that drops what is too much.
type Output struct {
	bytes.Buffer
	Limit int
}

// Write implements io.Writer.
func (b *Output) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(0, b.Limit-b.Len()))])
	return len(p), nil
}

// Unable makes an error of what the kernel cannot do to links.
func Unable(err error) error {
	if err == nil || errors.Is(err, testbed.ErrUnable) {
		return err
	}
	return fmt.Errorf("links such as these %w: %w", testbed.ErrUnable, err)
}
