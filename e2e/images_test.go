package e2e

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

// images are the references of the two images under test.
type images struct{ peer, bootstrap string }

// imagesVariable names images already built, peer and bootstrap, for a run of
// these tests inside a test.
const imagesVariable = "PEERLAB_E2E_IMAGES"

// imagesFor builds the programs and, from them, the stage `prebuilt` of both
// images.
func imagesFor(ctx context.Context, o owner) (images, error) {
	if built := strings.Fields(os.Getenv(imagesVariable)); len(built) == 2 {
		return images{built[0], built[1]}, nil
	}
	provider, err := testcontainers.NewDockerProvider()
	if err != nil {
		return images{}, fmt.Errorf("connect to Docker: %w", err)
	}
	defer provider.Close()
	dir, err := buildContext(ctx)
	if err != nil {
		return images{}, err
	}
	defer os.RemoveAll(dir)

	names := []string{"peer", "bootstrap"}
	refs, errs := make([]string, len(names)), make([]error, len(names))
	var building sync.WaitGroup
	for i, name := range names {
		building.Go(func() {
			var output bytes.Buffer
			ref, err := provider.BuildImage(ctx, &testcontainers.ContainerRequest{
				FromDockerfile: testcontainers.FromDockerfile{
					Context: dir, Dockerfile: "Dockerfile." + name,
					Repo: "peerlab-e2e-" + name, Tag: o.tag(), BuildLogWriter: &output,
					BuildOptionsModifier: func(options *client.ImageBuildOptions) {
						options.Target, options.NoCache = "prebuilt", true // as in dockertest
						options.Labels = map[string]string{ownerLabel: string(o)}
					},
				},
			})
			if err != nil {
				errs[i] = fmt.Errorf("build the image of %s: %w\n%s", name, err, output.Bytes())
			}
			refs[i] = ref
		})
	}
	building.Wait()
	return images{refs[0], refs[1]}, errors.Join(errs...)
}

// buildContext returns a directory with what the images are made of.
func buildContext(ctx context.Context) (dir string, err error) {
	root, err := filepath.Abs("..")
	if err != nil {
		return "", err
	}
	dir, err = os.MkdirTemp("", "peerlab-e2e-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	for _, name := range []string{"LICENSE", "Dockerfile.peer", "Dockerfile.bootstrap"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return "", err
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w",
		"-o", filepath.Join(dir, ".build")+"/", "./cmd/peer", "./cmd/bootstrap")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return dir, nil
}
