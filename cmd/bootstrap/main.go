// Command bootstrap is the bootstrap service: it tells new peers whom to
// contact first.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	// The image holds no certificate authorities, and stores are in clouds.
	_ "golang.org/x/crypto/x509roots/fallback"

	"peerlab/internal/usage"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr))
}

// run is the whole program and returns its exit status. It ends when ctx does,
// or on SIGTERM or SIGINT; a second signal ends it at once.
func run(ctx context.Context, args []string, env lookup, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	defer context.AfterFunc(ctx, stop)()

	return usage.Execute(ctx, newRoot(env, stderr), args, stdout, stderr)
}
