package sim_test

import (
	"context"
	"testing"

	"peerlab/testbed"
	"peerlab/testbed/enginetest"
	"peerlab/testbed/sim"
)

func TestEngine(t *testing.T) {
	enginetest.Test(t, func(t *testing.T, do func(ctx context.Context, f testbed.Factory)) {
		err := sim.Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
			do(ctx, f)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}, enginetest.Options{})
}
