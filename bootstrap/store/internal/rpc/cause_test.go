package rpc

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestCause(t *testing.T) {
	var (
		expired = status.Error(codes.DeadlineExceeded, "stream terminated by RST_STREAM")
		broken  = status.Error(codes.Unavailable, "broken")
	)
	within := func(d time.Duration) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx       context.Context
		err, want error
	}{
		"canceled here":                  {ended, broken, context.Canceled},
		"the server's clock is ahead":    {within(500 * time.Millisecond), expired, context.DeadlineExceeded},
		"a deadline that is not ctx's":   {within(time.Hour), expired, expired},
		"no deadline":                    {t.Context(), expired, expired},
		"another error close to the end": {within(500 * time.Millisecond), broken, broken},
	} {
		if got := Cause(test.ctx, test.err); !errors.Is(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
