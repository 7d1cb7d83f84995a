// Package dockertest gives tests the images that testbed/docker runs, made of
// the sources of this repository.
package dockertest

import (
	"bytes"
	"context"
	"crypto/rand"
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
// `prebuilt` of each image under tags of their own. They have the labels of a
// dockerd.Guard, which removes them.
func Build(ctx context.Context, root string, labels map[string]string) (Images, error) {
	refs, err := build(ctx, root, labels, "peer", "bootstrap", "fabric")
	if err != nil {
		return Images{}, err
	}
	return Images{refs[0], refs[1], refs[2]}, nil
}

// BuildSerf does the same for the image of a serf agent, of the module's
// version of serf.
func BuildSerf(ctx context.Context, root string, labels map[string]string) (ref string, err error) {
	refs, err := build(ctx, root, labels, "serf")
	if err != nil {
		return "", err
	}
	return refs[0], nil
}

// BuildHostile does the same for the image of a peer that means harm: see the
// program in hostile. Its labels claim what only the lab may say.
func BuildHostile(ctx context.Context, root string, labels map[string]string) (ref string, err error) {
	refs, err := build(ctx, root, labels, hostile)
	if err != nil {
		return "", err
	}
	return refs[0], nil
}

const hostile = "hostile"

// program is the package that an image is made of.
func program(image string) string {
	switch image {
	case "serf":
		return "github.com/hashicorp/serf/cmd/serf"
	case hostile:
		return "./testbed/docker/dockertest/hostile"
	}
	return "./cmd/" + image
}

// dockerfile is where the repository has that of an image.
func dockerfile(image string) string {
	if image == hostile {
		return "testbed/docker/dockertest/hostile/Dockerfile"
	}
	return "Dockerfile." + image
}

func build(ctx context.Context, root string, labels map[string]string, names ...string) ([]string, error) {
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return nil, fmt.Errorf("connect to Docker: %w", err)
	}
	defer provider.Close()
	dir, err := buildContext(ctx, root, names)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)

	tag := strings.ToLower(rand.Text())
	refs, errs := make([]string, len(names)), make([]error, len(names))
	var building sync.WaitGroup
	for i, name := range names {
		building.Go(func() {
			var output bytes.Buffer
			refs[i], errs[i] = provider.BuildImage(ctx, &testcontainers.ContainerRequest{
				FromDockerfile: testcontainers.FromDockerfile{
					Context: dir, Dockerfile: "Dockerfile." + name,
					Repo: "peerlab-test-" + name, Tag: tag, BuildLogWriter: &output,
					BuildOptionsModifier: func(o *client.ImageBuildOptions) {
						// Of layers of its own: those of the cache go with the images of
						// another test while this one builds on them.
						o.Target, o.NoCache, o.Labels = "prebuilt", true, labels
					},
				},
			})
			if errs[i] != nil {
				errs[i] = fmt.Errorf("build the image of %s: %w\n%s", name, errs[i], output.Bytes())
			}
		})
	}
	building.Wait()
	return refs, errors.Join(errs...)
}

// buildContext returns a directory with what the images are made of.
func buildContext(ctx context.Context, root string, images []string) (dir string, err error) {
	dir, err = os.MkdirTemp("", "peerlab-images-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	files, programs := map[string]string{"LICENSE": "LICENSE"}, []string(nil)
	for _, image := range images {
		files["Dockerfile."+image] = dockerfile(image)
		programs = append(programs, program(image))
	}
	for name, source := range files {
		text, err := os.ReadFile(filepath.Join(root, source))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return "", err
		}
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(dir, ".build") + "/"}
	build := exec.CommandContext(ctx, "go", append(args, programs...)...)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return dir, nil
}
