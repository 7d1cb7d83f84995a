package membership

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// netTransport is memberlist's own transport with connections that end with
// a context. memberlist knows no contexts: a Join towards an address that
// answers nothing would otherwise outlive the peer by TCPTimeout.
type netTransport struct {
	*memberlist.NetTransport
	ctx context.Context
}

// listen opens UDP and TCP on addr; connections dialled end with ctx.
func listen(ctx context.Context, addr string, logger *log.Logger) (*netTransport, error) {
	host, port, err := splitAddr("membership", addr)
	if err != nil {
		return nil, err
	}
	// With port 0 the kernel picks a free TCP port, and the same number may be
	// taken for UDP: try again, as memberlist itself does.
	tries := 1
	if port == 0 {
		tries = 10
	}
	for range tries {
		var t *memberlist.NetTransport
		t, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{host}, BindPort: port, Logger: logger,
		})
		if err == nil {
			return &netTransport{t, ctx}, nil
		}
	}
	if strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) {
		return nil, fmt.Errorf("membership address %s is in use: stop what listens there or choose another with --bind", addr)
	}
	return nil, fmt.Errorf("listen for membership on %s: %w", addr, err)
}

// DialTimeout implements memberlist.Transport.
func (t *netTransport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *netTransport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(t.ctx, "tcp", addr.Addr)
	if err != nil {
		return nil, err
	}
	return &stoppableConn{conn, context.AfterFunc(t.ctx, func() { _ = conn.Close() })}, nil
}

// stoppableConn is closed by a context; a Close before that forgets it.
type stoppableConn struct {
	net.Conn
	forget func() bool
}

func (c *stoppableConn) Close() error {
	c.forget()
	return c.Conn.Close()
}

// logWriter hands memberlist's log lines, "[WARN] memberlist: text", to slog.
// Some tell of a change, hence it calls nudge for each.
type logWriter struct {
	log   *slog.Logger
	nudge func()
}

var _ io.Writer = logWriter{}

var levels = map[string]slog.Level{
	"[DEBUG] ": slog.LevelDebug,
	"[INFO] ":  slog.LevelInfo,
	"[WARN] ":  slog.LevelWarn,
	"[ERR] ":   slog.LevelError,
	"[ERROR] ": slog.LevelError,
}

func (w logWriter) Write(line []byte) (int, error) {
	w.nudge()
	text := strings.TrimRight(string(line), "\n")
	level := slog.LevelInfo
	for prefix, l := range levels {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			text, level = rest, l
			break
		}
	}
	w.log.Log(context.Background(), level, strings.TrimPrefix(text, "memberlist: "))
	return len(line), nil
}
