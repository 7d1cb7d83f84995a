package fabric

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"peerlab/internal/peercred"
)

// Listen listens on a unix socket, on one without a file if the name begins
// with "@", and lets in processes of root and of the user uid.
func Listen(path string, uid int, log *slog.Logger) (net.Listener, error) {
	// Who may connect is decided on accepting, by what the kernel says of the
	// caller: the file's mode could not name a user of the host.
	config := net.ListenConfig{}
	l, err := config.Listen(context.Background(), "unix", path)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: %w: is another agent running?", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if path[0] != '@' {
		if err := os.Chmod(path, 0o666); err != nil {
			return nil, errors.Join(fmt.Errorf("open the socket to others: %w", err), l.Close())
		}
	}
	return peercred.NewListener(l, uid, log), nil
}
