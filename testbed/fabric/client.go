package fabric

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"peerlab/internal/peercred"
)

// SocketOf returns the default socket of a lab's agent: one that has a name
// but no file. Whoever shares the host's network can reach it, so both ends
// look at who the other is; nothing needs to be mounted and nothing is left.
func SocketOf(lab string) string { return "@peerlab-fabric-" + lab }

// Client talks to an agent. It may be used from several goroutines.
type Client struct {
	socket string
	http   *http.Client

	mu    sync.Mutex
	id    string // of what this client applied last
	lease time.Duration
}

// NewClient returns a client of the agent that listens on socket, see
// [SocketOf]. It connects when it is first used; see [Client.Wait].
func NewClient(socket string) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "unix", socket)
			if err != nil {
				return nil, err
			}
			if err := peercred.Verify(conn, os.Getuid()); err != nil {
				return nil, errors.Join(fmt.Errorf("%s is not the agent's socket: %w", socket, err), conn.Close())
			}
			return conn, nil
		},
		MaxIdleConnsPerHost: 4,
		DisableCompression:  true,
	}
	return &Client{socket: socket, http: &http.Client{Transport: transport}}
}

// Close ends idle connections. What the client applied stays in force.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Wait returns once the agent answers, which for a container that was just
// started takes a moment. It returns an error if ctx ends before.
func (c *Client) Wait(ctx context.Context) error {
	for {
		_, err := c.Status(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Apply puts m in force instead of what was, all of it at the same instant, or
// fails and changes nothing. The kernel follows m from the time it returns.
//
// It stays for as long as the lease, which Renew and Hold start anew; with a
// lease of 0 until another is applied, Clear is called, the network is removed
// or the agent ends. A lease that nobody renews is a fault with an end.
func (c *Client) Apply(ctx context.Context, m Matrix, lease time.Duration) (time.Time, error) {
	body, err := json.Marshal(m.rows())
	if err != nil {
		return time.Time{}, fmt.Errorf("fabric: apply: %w", err)
	}
	var reply applied
	if err := c.do(ctx, http.MethodPut, "matrix?lease="+lease.String(), body, &reply); err != nil {
		return time.Time{}, fmt.Errorf("fabric: apply: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id, c.lease = reply.ID, lease
	return reply.At, nil
}

// Renew starts the lease anew of what this client applied last. [ErrLapsed]
// means that it is no longer in force.
func (c *Client) Renew(ctx context.Context) error {
	c.mu.Lock()
	id := c.id
	c.mu.Unlock()
	if err := c.do(ctx, http.MethodPost, "renew?id="+url.QueryEscape(id), nil, nil); err != nil {
		return fmt.Errorf("fabric: renew: %w", err)
	}
	return nil
}

// Hold renews the lease of what this client applied, and goes on applying,
// three times per lease, until ctx ends: then it returns nil. It returns an
// error, once, when the matrix was lost: the faults that the caller believes
// in are not there. That is so after an agent's end, after a caller slept
// through its lease, and after another client's Apply or Clear. A matrix
// without a lease it looks after just so, as often as with [DefaultLease].
func (c *Client) Hold(ctx context.Context) error {
	for {
		c.mu.Lock()
		id, lease := c.id, c.lease
		c.mu.Unlock()
		if lease == 0 {
			lease = DefaultLease
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lease / 3):
		}
		if id == "" {
			continue
		}
		renewing, cancel := context.WithTimeout(ctx, lease)
		err := c.Renew(renewing)
		cancel()
		c.mu.Lock()
		replaced := id != c.id // by this client, while it was renewed
		c.mu.Unlock()
		if err != nil && ctx.Err() == nil && !replaced {
			return err
		}
	}
}

// Clear removes every rule and queue at once: all links are healthy.
func (c *Client) Clear(ctx context.Context) error {
	c.mu.Lock()
	c.id = "" // for Hold: what is cleared is not lost
	c.mu.Unlock()
	if err := c.do(ctx, http.MethodDelete, "matrix", nil, nil); err != nil {
		return fmt.Errorf("fabric: clear: %w", err)
	}
	return nil
}

// Status asks what is in force.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	if err := c.do(ctx, http.MethodGet, "status", nil, &s); err != nil {
		return Status{}, fmt.Errorf("fabric: status: %w", err)
	}
	return s, nil
}

// Counters reads the packets counted since the matrix was applied, of links
// that it holds and that have seen any.
func (c *Client) Counters(ctx context.Context) (map[Pair]Count, error) {
	counts := make(map[Pair]Count)
	if err := c.do(ctx, http.MethodGet, "counters", nil, &counts); err != nil {
		return nil, fmt.Errorf("fabric: counters: %w", err)
	}
	return counts, nil
}

// Features asks what this host's kernel can do. See [Matrix.CheckFeatures].
func (c *Client) Features(ctx context.Context) ([]Feature, error) {
	var features []Feature
	if err := c.do(ctx, http.MethodGet, "features", nil, &features); err != nil {
		return nil, fmt.Errorf("fabric: features: %w", err)
	}
	return features, nil
}

// do sends a request and decodes the answer into reply, if that is not nil.
func (c *Client) do(ctx context.Context, method, path string, body []byte, reply any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://agent/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("no agent listens on %s", c.socket)
	}
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return err
	}
	if response.StatusCode == http.StatusGone {
		return ErrLapsed
	}
	if response.StatusCode != http.StatusOK {
		var f failure
		if json.Unmarshal(data, &f) != nil || f.Error == "" {
			return fmt.Errorf("the agent answered %s", response.Status)
		}
		return errors.New(f.Error)
	}
	if reply == nil {
		return nil
	}
	if err := json.Unmarshal(data, reply); err != nil {
		return fmt.Errorf("the agent's answer: %w", err)
	}
	return nil
}
