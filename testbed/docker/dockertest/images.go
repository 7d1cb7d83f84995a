// Package dockertest gives tests the images that testbed/docker runs, made of
// the sources of this repository.
package dockertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// Images are the references of the three images.
type Images struct{ Peer, Bootstrap, Fabric string }

// Build builds the programs in the repository at root, and from them the stage
// `prebuilt` of each image under tags of their own. The function it returns
// removes them.
func Build(ctx context.Context, root, tag string) (Images, func(), error) {
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return Images{}, nil, fmt.Errorf("connect to Docker: %w", err)
	}
	dir, err := buildContext(ctx, root)
	if err != nil {
		return Images{}, nil, errors.Join(err, provider.Close())
	}
	defer os.RemoveAll(dir)

	names := []string{"peer", "bootstrap", "fabric"}
	refs, errs := make([]string, len(names)), make([]error, len(names))
	var building sync.WaitGroup
	for i, name := range names {
		building.Go(func() {
			var output bytes.Buffer
			refs[i], errs[i] = provider.BuildImage(ctx, &testcontainers.ContainerRequest{
				FromDockerfile: testcontainers.FromDockerfile{
					Context: dir, Dockerfile: "Dockerfile." + name,
					Repo: "peerlab-test-" + name, Tag: strings.ToLower(tag), BuildLogWriter: &output,
					BuildOptionsModifier: func(o *client.ImageBuildOptions) { o.Target = "prebuilt" },
				},
			})
			if errs[i] != nil {
				errs[i] = fmt.Errorf("build the image of %s: %w\n%s", name, errs[i], output.Bytes())
			}
		})
	}
	building.Wait()
	remove := func() {
		for _, ref := range refs {
			if ref != "" {
				_, _ = provider.Client().ImageRemove(context.WithoutCancel(ctx), ref, client.ImageRemoveOptions{Force: true, PruneChildren: true})
			}
		}
		_ = provider.Close()
	}
	if err := errors.Join(errs...); err != nil {
		remove()
		return Images{}, nil, err
	}
	return Images{refs[0], refs[1], refs[2]}, remove, nil
}

// buildContext returns a directory with what the images are made of.
func buildContext(ctx context.Context, root string) (dir string, err error) {
	dir, err = os.MkdirTemp("", "peerlab-images-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	for _, name := range []string{"LICENSE", "Dockerfile.peer", "Dockerfile.bootstrap", "Dockerfile.fabric"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return "", err
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w",
		"-o", filepath.Join(dir, ".build")+"/", "./cmd/peer", "./cmd/bootstrap", "./cmd/fabric")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return dir, nil
}
