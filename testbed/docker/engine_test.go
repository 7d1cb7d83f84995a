package docker

import (
	"context"
	"testing"

	"peerlab/testbed"
	"peerlab/testbed/enginetest"
)

func TestEngine(t *testing.T) {
	needDocker(t)
	t.Parallel()
	f := NewFactory(daemon, Options{PeerImage: images.Peer, BootstrapImage: images.Bootstrap, FabricImage: images.Fabric})
	enginetest.Test(t, func(t *testing.T, do func(ctx context.Context, f testbed.Factory)) { do(t.Context(), f) }, enginetest.Options{Clusters: 2})
}
