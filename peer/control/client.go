package control

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/internal/peercred"
	"peerlab/peer/command"
)

const (
	// answerTimeout is how long a question without a deadline of its own waits.
	answerTimeout = 2 * time.Second
	// interruptGrace is how long a command that was interrupted has to end.
	interruptGrace = time.Second
	// answerLimit bounds an answer that is not a stream, in bytes.
	answerLimit = 4 << 20
)

// ErrNoPeer is wrapped by errors that say that no peer listens on the socket,
// or that the one which did has gone.
var ErrNoPeer = errors.New("no peer answers")

// StatusNoPeer is the exit status of the peer program for an ErrNoPeer, so that
// whoever runs it can tell that from a command that failed.
const StatusNoPeer = 3

// CommandError is the failure of a command, as the peer tells it.
type CommandError struct{ Message string }

// Error returns the peer's text: one line, safe on a terminal.
func (e *CommandError) Error() string { return e.Message }

// Client talks to a running peer. Its methods may be called concurrently.
type Client struct {
	path string
	http http.Client
}

// Dial returns a client for the peer that listens on the unix socket at path.
// A paused peer counts as listening. What is typed may be a key: so the socket
// must belong to root or to this process's user, and so must its directory, to
// which nobody else can write. Dial and each later connection verify that.
func Dial(path string) (*Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	conn, err := connect(ctx, path)
	switch {
	case errors.Is(err, errUntrusted):
		return nil, err
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("control socket %s: only its owner may open it: %w", path, cause(err))
	case err != nil:
		return nil, fmt.Errorf("%w on %s: is it running? (%w)", ErrNoPeer, path, cause(err))
	}
	_ = conn.Close()
	c := &Client{path: path}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return connect(ctx, path)
		},
		DisableCompression: true,
		IdleConnTimeout:    time.Minute,
	}
	return c, nil
}

// errUntrusted says that somebody else may listen on the socket.
var errUntrusted = errors.New("control socket is not trusted")

// connect connects to the socket at path if nobody but its user, or root, can
// be behind it.
func connect(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	err = peercred.CheckDirectory(filepath.Dir(path))
	if err == nil {
		err = peercred.Verify(conn, os.Getuid())
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: %s: %w", errUntrusted, path, err)
	}
	return conn, nil
}

// Close drops idle connections. Calls that run go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Exec runs a line in the peer and copies its output to out as it comes. The
// command reads stdin, at most MaxStdin bytes of UTF-8; nil is none. When ctx
// ends, the command is interrupted, and what it writes within a second after
// that still comes. It runs for the caller of command.WithCaller. A failure of
// the command is a *CommandError.
func (c *Client) Exec(ctx context.Context, line string, stdin io.Reader, out io.Writer) error {
	return c.exec(ctx, Request{Line: &line}, stdin, out)
}

// ExecWords is Exec for a line that is split already.
func (c *Client) ExecWords(ctx context.Context, words []string, stdin io.Reader, out io.Writer) error {
	return c.exec(ctx, Request{Words: words}, stdin, out)
}

func (c *Client) exec(ctx context.Context, req Request, stdin io.Reader, out io.Writer) error {
	if stdin != nil {
		text, err := ReadStdin(ctx, stdin)
		if err != nil {
			return err
		}
		req.Stdin = &text
	}
	caller := command.CallerOf(ctx)
	req.Color, req.Columns, req.Shell = caller.Color, caller.Columns, caller.Shell
	return c.ExecRequest(ctx, req, out)
}

// ExecRequest is Exec for a request as it is.
func (c *Client) ExecRequest(ctx context.Context, req Request, out io.Writer) error {
	if err := req.checkUTF8(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	req.Hold, req.ID = false, rand.Text()
	call, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		grace, cancel := context.WithTimeout(call, interruptGrace)
		defer cancel()
		_ = c.ask(grace, http.MethodPost, "/v1/interrupt", interruptRequest{req.ID}, nil)
		<-grace.Done() // after that time, or when the answer has come
		hangUp()
	})
	err := c.exchange(call, req, out)
	hangUp()
	if !stop() {
		<-interrupted
	}
	if ctx.Err() != nil {
		return c.cut(ctx, err)
	}
	return err
}

// exchange sends a request to exec and copies the answer.
func (c *Client) exchange(ctx context.Context, req Request, out io.Writer) error {
	resp, err := c.do(ctx, http.MethodPost, "/v1/exec", req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	err = readFrames(resp.Body, out)
	if errors.Is(err, errCut) {
		return c.cut(ctx, err)
	}
	return err
}

// Complete returns what the last word of line could become, and that word as
// far as it is typed. Without a deadline it waits two seconds.
func (c *Client) Complete(ctx context.Context, line string) (candidates []string, word string, err error) {
	var reply completeReply
	err = c.ask(ctx, http.MethodPost, "/v1/complete", completeRequest{line}, &reply)
	return reply.Candidates, reply.Word, err
}

// Info returns what the peer says of itself. Without a deadline it waits two
// seconds.
func (c *Client) Info(ctx context.Context) (Status, error) {
	var st Status
	err := c.ask(ctx, http.MethodGet, "/v1/info", nil, &st)
	return st, err
}

// Health returns nil if the peer is healthy and its reason if not. Without a
// deadline it waits two seconds.
func (c *Client) Health(ctx context.Context) error {
	return c.ask(ctx, http.MethodGet, "/v1/healthz", nil, nil)
}

// Events calls fn for every event the peer keeps with a number above after,
// oldest first, and with follow for those to come. It ends with the error of
// fn or ctx, and with follow not before the peer does: then ErrNoPeer.
func (c *Client) Events(ctx context.Context, after uint64, follow bool, fn func(event.Event) error) error {
	path := "/v1/events?after=" + strconv.FormatUint(after, 10) + "&follow=" + strconv.FormatBool(follow)
	resp, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, event.MaxLine+1)
	for lines.Scan() {
		e, err := event.Decode(lines.Bytes())
		if err != nil {
			return err
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	if lines.Err() != nil || follow {
		return c.cut(ctx, errCut)
	}
	return nil
}

// ask is a question with a short answer.
func (c *Client) ask(ctx context.Context, method, path string, body, reply any) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, answerTimeout)
		defer cancel()
	}
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, answerLimit))
	if err != nil {
		return c.cut(ctx, err)
	}
	if reply == nil {
		return nil
	}
	if err := json.Unmarshal(b, reply); err != nil {
		return fmt.Errorf("the peer's answer is not as expected: %w", err)
	}
	return nil
}

// do sends a request and returns the response if it is a success.
func (c *Client) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		if len(b) > bodyLimit { // the server would hang up on it
			return nil, errBodySize(len(b))
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://peer"+path, content)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.cut(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		text := strings.TrimSpace(string(b))
		var f failure
		if json.Unmarshal(b, &f) == nil && f.Error != "" {
			text = f.Error
		}
		if text == "" {
			text = resp.Status
		}
		return nil, errors.New(oneLine(text))
	}
	return resp, nil
}

// cut returns the error for a call that got no, or no whole, answer.
func (c *Client) cut(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errUntrusted):
		if failed := (*url.Error)(nil); errors.As(err, &failed) {
			return failed.Err
		}
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("the peer on %s does not answer (paused?): %w", c.path, ctx.Err())
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w on %s: is it running? (%w)", ErrNoPeer, c.path, cause(err))
}

// cause strips what net and net/http wrap around an error: the path is in the
// message already.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
