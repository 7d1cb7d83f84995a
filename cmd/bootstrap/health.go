package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"peerlab/internal/usage"
)

// healthTimeout is below the three seconds after which Docker gives up on a
// check, so that the reason reaches its log.
const healthTimeout = 2 * time.Second

// checkHealth returns nil if the service at base says that it is well. own says
// that it is this machine's, whose certificate does not name 127.0.0.1.
func checkHealth(ctx context.Context, base string, own bool, out io.Writer) error {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return usage.Wrong(fmt.Errorf("--url %q must be like http://HOST:PORT", base))
	}
	shown := u.JoinPath("healthz").Redacted()
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("healthz").String(), nil)
	if err != nil {
		return fmt.Errorf("health %s: %w", shown, err)
	}
	// Asked directly, never through a proxy: it is this machine's health.
	t := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: own}}
	resp, err := t.RoundTrip(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("health %s: no answer within %s", shown, healthTimeout)
	case err != nil:
		return fmt.Errorf("health %s: %w", shown, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // what there is of it is enough
		return fmt.Errorf("health %s: status %d: %q", shown, resp.StatusCode, text)
	}
	fmt.Fprintln(out, "ok")
	return nil
}
