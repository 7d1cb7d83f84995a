// Command bootstrap is the bootstrap service: it tells new peers whom to
// contact first.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	// The image holds no certificate authorities, and stores are in clouds.
	_ "golang.org/x/crypto/x509roots/fallback"

	"peerlab/internal/terminal"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}

// usageError is wrong usage, as opposed to a failure: it exits with status 2.
type usageError struct{ error }

// run is the whole program and returns its exit status. It ends when ctx does,
// or on SIGTERM or SIGINT; a second signal ends it at once.
func run(ctx context.Context, args []string, env lookup, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	defer context.AfterFunc(ctx, stop)()

	root := newRoot(env, stderr)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if wrong, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(stderr, "bootstrap: %s (see bootstrap --help)\n", terminal.Line(wrong.Error()))
		return 2
	}
	fmt.Fprintf(stderr, "bootstrap: %s\n", terminal.Line(err.Error()))
	return 1
}
