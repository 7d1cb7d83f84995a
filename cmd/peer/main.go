// Command peer runs one peer of a cluster and talks to running ones.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"peerlab/terminal"
)

func main() {
	// A reader of the events that goes away must not take the peer with it.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "peer: "+terminal.Clean(err.Error()))
	if errors.As(err, new(usageError)) {
		os.Exit(2)
	}
	os.Exit(1)
}
