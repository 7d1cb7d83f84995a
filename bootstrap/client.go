package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"peerlab/internal/terminal"
)

// maxAnswer bounds how much of an answer the client reads, in bytes. Limit
// peers whose every field is as long as allowed and escaped fit in it.
const maxAnswer = 4 << 20

// Client asks one bootstrap service. Its methods wait until the service
// answers or the context ends: there is no other timeout. They may be called
// concurrently. Each error is one line with the service's URL and what was
// asked, and wraps the cause.
type Client struct {
	base  *url.URL
	http  *http.Client
	proxy proxyFunc // nil where the transport is the caller's
	token string
}

// proxyFunc is what http.Transport has as Proxy.
type proxyFunc func(*http.Request) (*url.URL, error)

// NewClient returns a client of the service at rawURL, such as
// http://192.0.2.1:8080. A path in it goes before every request's path; user
// information in it is sent as basic authentication. rt carries the requests;
// nil stands for a clone of http.DefaultTransport that asks a local service
// (see IsLocal) without a proxy. Nothing is contacted yet.
func NewClient(rawURL string, rt http.RoundTripper) (*Client, error) {
	u, err := url.Parse(rawURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" ||
		u.RawQuery != "" || u.Fragment != "" {
		shown := quote(rawURL)
		if strings.Contains(rawURL, "@") {
			shown = "(not shown, it may hold a password)"
		}
		return nil, fmt.Errorf("bootstrap URL %s: want http://HOST:PORT or https://HOST", shown)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("bootstrap URL %s: port %s is no number from 1 to 65535", bare(u), port)
		}
	}
	var proxy proxyFunc
	if rt == nil {
		rt, proxy = defaultTransport(), proxyOf
	}
	return &Client{base: u, proxy: proxy, http: &http.Client{
		Transport: rt,
		// A redirected POST would arrive as a GET without its body.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func defaultTransport() http.RoundTripper {
	t := new(http.Transport)
	if d, ok := http.DefaultTransport.(*http.Transport); ok {
		t = d.Clone()
	}
	t.Proxy = proxyOf
	return t
}

// bare returns u without user information.
func bare(u *url.URL) string {
	c := *u
	c.User = nil
	return strings.TrimSuffix(c.String(), "/")
}

// URL returns the service's URL, without user information, to be shown.
func (c *Client) URL() string { return bare(c.base) }

// Join registers p if the service has room and returns what it holds then. An
// invalid p is an error, and nothing is sent.
func (c *Client) Join(ctx context.Context, p Peer) (Data, error) { return c.offer(ctx, "join", p) }

// Refill offers p to a service that lost a peer. A full service takes it in
// place of the peer with the newest timestamp, if that is newer than p's. An
// invalid p is an error, and nothing is sent.
func (c *Client) Refill(ctx context.Context, p Peer) (Data, error) { return c.offer(ctx, "refill", p) }

func (c *Client) offer(ctx context.Context, what string, p Peer) (Data, error) {
	if err := p.Validate(); err != nil {
		return Data{}, c.fail(what, err)
	}
	return c.data(ctx, what, p.ID, p.Name, p.IP, p.Port, p.Protocol, p.Status, p.Timestamp)
}

// Leave removes the peer registered under id; an unknown one is no error.
func (c *Client) Leave(ctx context.Context, id string) (Data, error) {
	if err := ValidateID(id); err != nil {
		return Data{}, c.fail("leave", err)
	}
	return c.data(ctx, "leave", id)
}

// List returns what the service holds.
func (c *Client) List(ctx context.Context) (Data, error) { return c.data(ctx, "list") }

// Reset removes all peers; the configuration stays.
func (c *Client) Reset(ctx context.Context) (Data, error) { return c.data(ctx, "reset") }

// SetConfig sets MaxPeers and MinRefillCandidates, each 0 to Limit. Peers
// registered beyond a smaller MaxPeers stay.
func (c *Client) SetConfig(ctx context.Context, maxPeers, minRefillCandidates int) (Data, error) {
	cfg := Config{MaxPeers: maxPeers, MinRefillCandidates: minRefillCandidates}
	if err := cfg.Validate(); err != nil {
		return Data{}, c.fail("config", err)
	}
	return c.data(ctx, "config", strconv.Itoa(maxPeers), strconv.Itoa(minRefillCandidates))
}

// Ping returns nil if a bootstrap service answers at the URL.
func (c *Client) Ping(ctx context.Context) error {
	answer, err := c.ask(ctx, "ping")
	if err == nil && string(answer) != "OK" {
		err = c.fail("ping", fmt.Errorf("it answered %s instead of OK: is this a bootstrap service?", brief(answer)))
	}
	return err
}

// CloseIdle closes connections kept open for the next request.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

func (c *Client) data(ctx context.Context, what string, words ...string) (Data, error) {
	answer, err := c.ask(ctx, what, words...)
	if err != nil {
		return Data{}, err
	}
	d, err := Decode(answer)
	if err != nil {
		return Data{}, c.fail(what, fmt.Errorf("%w: is this a bootstrap service? It answered %s", err, brief(answer)))
	}
	return d, nil
}

// ask sends one request of the legacy API and returns the body of a successful
// answer.
func (c *Client) ask(ctx context.Context, what string, words ...string) ([]byte, error) {
	// Not what the body is, but what deployed servers have always been sent.
	const contentType = "application/x-www-form-urlencoded"
	return c.send(ctx, what, http.MethodPost, c.base.JoinPath(what), strings.Join(words, " "), "Content-Type", contentType)
}

// send sends one request and returns the body of a successful answer; header
// has names and values.
func (c *Client) send(ctx context.Context, what, method string, to *url.URL, body string, header ...string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, to.String(), strings.NewReader(body))
	if err != nil {
		return nil, c.fail(what, err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	// Every request may be repeated: the key without a value lets net/http try
	// a new connection when a kept one turns out to be dead, as after a cut.
	req.Header["Idempotency-Key"] = nil
	answer, err := c.answer(req)
	if err == nil {
		return answer, nil
	}
	// Where a proxy stands between, it may be what failed.
	if c.proxy != nil {
		if via, _ := c.proxy(req); via != nil {
			err = fmt.Errorf("%w (through the proxy %s; NO_PROXY=%s would ask without it)", err, bare(via), req.URL.Hostname())
		}
	}
	return nil, c.fail(what, err)
}

// answer sends req and returns the body of a successful answer.
func (c *Client) answer(req *http.Request) ([]byte, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		// url.Error repeats the method and the URL, user name included.
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("the answer is longer than %d bytes: is this a bootstrap service?", maxAnswer)
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, fmt.Errorf("status %d, redirected to %s: use the final URL",
			resp.StatusCode, brief([]byte(resp.Header.Get("Location"))))
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("status %d: %s", resp.StatusCode, brief(detail(resp, answer)))
	}
	return answer, nil
}

func (c *Client) fail(what string, err error) error {
	return fmt.Errorf("bootstrap %s: %s: %w", c.URL(), what, err)
}

// brief returns the start of an answer's first line, safe for a terminal.
func brief(answer []byte) string {
	const limit = 200
	line, _, more := strings.Cut(strings.TrimSpace(string(answer[:min(len(answer), 4*limit)])), "\n")
	for len(line) > limit {
		_, n := utf8.DecodeLastRuneInString(line)
		line, more = line[:len(line)-n], true
	}
	if line = terminal.Line(line); more {
		line += "…"
	}
	if line == "" {
		return "nothing"
	}
	return strconv.Quote(line)
}
