package membership

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"slices"
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

// listen opens UDP and TCP on addr; connections dialed end with ctx.
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
// Some tell of a change, hence it calls nudge for each; note is given each text. A packet from anybody
// can cause a line: therefore lines are limited, see allow. memberlist's logger
// calls Write for one line at a time.
type logWriter struct {
	log   *slog.Logger
	nudge func()
	note  func(text string)

	second  time.Time      // when the counts began
	counts  map[string]int // lines of each kind since then
	omitted int            // lines since the last one that was told
}

var _ io.Writer = (*logWriter)(nil)

const (
	// maxLogged is how much of a line is told, in bytes: memberlist writes
	// names and metadata as long as a stranger makes them.
	maxLogged = 1000
	// linesASecond is how many lines of a kind are told in a second, of those
	// that one packet makes one.
	linesASecond = 10
	// logKinds bounds the kinds of lines that are counted in a second.
	logKinds = 1000
)

// once are the beginnings of lines that are told once a second for each kind:
// who is refused, and for each name a conflict.
var once = []string{"ignoring alive message for ", "Conflicting address for "}

var levels = map[string]slog.Level{
	"[DEBUG] ": slog.LevelDebug,
	"[INFO] ":  slog.LevelInfo,
	"[WARN] ":  slog.LevelWarn,
	"[ERR] ":   slog.LevelError,
	"[ERROR] ": slog.LevelError,
}

func (w *logWriter) Write(line []byte) (int, error) {
	w.nudge()
	text := strings.TrimRight(string(line), "\n")
	level := slog.LevelInfo
	for prefix, l := range levels {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			text, level = rest, l
			break
		}
	}
	text = strings.TrimPrefix(text, "memberlist: ")
	w.note(text)
	ctx := context.Background()
	if !w.log.Enabled(ctx, level) {
		return len(line), nil
	}
	if !w.allow(text, time.Now()) {
		w.omitted++
		return len(line), nil
	}
	if len(text) > maxLogged {
		text = strings.ToValidUTF8(text[:maxLogged], "") + "…"
	}
	var attrs []slog.Attr
	if w.omitted > 0 {
		attrs = append(attrs, slog.Int("omitted", w.omitted)) // lines before this one
		w.omitted = 0
	}
	w.log.LogAttrs(ctx, level, text, attrs...)
	return len(line), nil
}

// allow reports whether a line is told at now. Lines are of one kind if they
// begin with the same four words: in memberlist's, those tell what it is about
// and often which member.
func (w *logWriter) allow(text string, now time.Time) bool {
	if w.counts == nil || now.Sub(w.second) >= time.Second || now.Before(w.second) {
		w.second, w.counts = now, make(map[string]int)
	}
	kind := text[:min(len(text), maxLogged)]
	if words := strings.SplitN(kind, " ", 5); len(words) == 5 {
		kind = strings.Join(words[:4], " ")
	}
	limit := linesASecond
	if slices.ContainsFunc(once, func(begin string) bool { return strings.HasPrefix(text, begin) }) {
		limit = 1
	}
	if n, counted := w.counts[kind]; n >= limit || !counted && len(w.counts) >= logKinds {
		return false
	}
	w.counts[kind]++
	return true
}
