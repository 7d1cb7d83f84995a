package probe

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/moby/moby/api/pkg/stdcopy"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/fabric"
)

// Features says what the kernel that the daemon runs on can do to links, by
// trying it in a container of the image, "" for the daemon's. Nothing is left.
func Features(ctx context.Context, d *dockerd.Daemon, image string) ([]fabric.Feature, error) {
	labels := map[string]string{dockerd.HelperLabel: dockerd.FeaturesHelper, dockerd.OwnerLabel: string(dockerd.ThisProcess())}
	id, err := CreateContainer(ctx, d, "", labels,
		&api.Config{Image: FabricImage(d, image), Cmd: []string{"features"}, AttachStdout: true, AttachStderr: true},
		&api.HostConfig{NetworkMode: "none", CapAdd: []string{"NET_ADMIN"}, LogConfig: api.LogConfig{Type: "none"}},
	)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.RemoveContainer(context.WithoutCancel(ctx), id) }()
	attached, err := d.API.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, fmt.Errorf("ask what the kernel can do: %w", err)
	}
	defer attached.Close()
	defer context.AfterFunc(ctx, attached.Close)()
	if _, err := d.API.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return nil, fmt.Errorf("ask what the kernel can do: %w", err)
	}
	out := Output{Limit: answerLimit}
	said := Output{Limit: ErrorLimit}
	_, err = stdcopy.StdCopy(&out, &said, attached.Reader)
	var features []fabric.Feature
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("ask what the kernel can do: %w", err)
	case json.Unmarshal(out.Bytes(), &features) != nil || len(features) == 0:
		return nil, Unable(fmt.Errorf("ask what the kernel can do: %s", LastLine(said.String())))
	}
	return features, nil
}
