// Package rpc has what the stores behind gRPC share.
package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// earliness is how long before a context's deadline a server may have ended the
// call that carried it: both count by clocks of their own.
const earliness = time.Second

// Cause returns ctx's error where that is why a call with it failed with err,
// otherwise err. A server that was told the deadline can find that it has passed
// before the context here does.
func Cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if deadline, ok := ctx.Deadline(); ok && status.Code(err) == codes.DeadlineExceeded && time.Until(deadline) < earliness {
		return context.DeadlineExceeded
	}
	return err
}
