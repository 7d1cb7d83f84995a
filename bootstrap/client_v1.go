package bootstrap

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// WithToken returns a client that sends token with each request; an empty one
// is none.
func (c *Client) WithToken(token string) *Client {
	with := *c
	with.token = token
	return &with
}

// Register registers o's peer, or renews it, which it must do before List.TTL
// is over. An invalid o is an error, and nothing is sent.
func (c *Client) Register(ctx context.Context, o Offer) (List, error) {
	return c.offerTo(ctx, "register", http.MethodPut, c.peerURL(o.ID), o)
}

// Renew is Register for a peer that is listed and knows the list: where it
// still is, Peers of the answer is nil, unless the service is of before this.
func (c *Client) Renew(ctx context.Context, o Offer) (List, error) {
	return c.offerTo(ctx, "renew", http.MethodPut, c.peerURL(o.ID), o, "Prefer", "return=minimal")
}

// Replace offers o's peer for the place of those it reports gone, or of a
// newer one.
func (c *Client) Replace(ctx context.Context, o Offer) (List, error) {
	return c.offerTo(ctx, "replace", http.MethodPost, c.base.JoinPath("v1", "refill"), o)
}

// Peers returns the registered peers.
func (c *Client) Peers(ctx context.Context) (List, error) {
	return c.list(ctx, "peers", http.MethodGet, c.base.JoinPath("v1", "peers"), "")
}

// Remove takes the caller's own registration back; an unknown one is no error.
func (c *Client) Remove(ctx context.Context, id string) (List, error) {
	if err := ValidateID(id); err != nil {
		return List{}, c.fail("remove", err)
	}
	return c.list(ctx, "remove", http.MethodDelete, c.peerURL(id), "")
}

// RemoveAll empties the list for everyone; the configuration stays.
func (c *Client) RemoveAll(ctx context.Context) (List, error) {
	return c.list(ctx, "remove all", http.MethodDelete, c.base.JoinPath("v1", "peers"), "")
}

func (c *Client) peerURL(id string) *url.URL {
	// JoinPath would take dots and escapes in an ID for more than text.
	u := c.base.JoinPath("v1", "peers")
	u.RawPath = u.EscapedPath() + "/" + url.PathEscape(id)
	u.Path += "/" + id
	return u
}

func (c *Client) offerTo(ctx context.Context, what, method string, to *url.URL, o Offer, header ...string) (List, error) {
	if err := o.Validate(); err != nil {
		return List{}, c.fail(what, err)
	}
	body, err := json.Marshal(o)
	if err != nil {
		return List{}, c.fail(what, err)
	}
	return c.list(ctx, what, method, to, string(body), header...)
}

// list sends a request that is answered by a list; header has names and values.
func (c *Client) list(ctx context.Context, what, method string, to *url.URL, body string, header ...string) (List, error) {
	if body != "" {
		header = append(header, "Content-Type", "application/json")
	}
	answer, err := c.send(ctx, what, method, to, body, header...)
	if err != nil {
		return List{}, err
	}
	var l struct {
		List
		Config *Config `json:"config"` // tells an answer of this service from another's
	}
	if err := json.Unmarshal(answer, &l); err != nil {
		return List{}, c.fail(what, fmt.Errorf("%w: is this a bootstrap service? It answered %s", err, brief(answer)))
	}
	if l.Config == nil {
		return List{}, c.fail(what, fmt.Errorf("no config in the answer: is this a bootstrap service? It answered %s", brief(answer)))
	}
	l.List.Config = *l.Config
	return l.List, nil
}

// detail is what an answer that is an error says: the detail of a problem, or
// the whole.
func detail(resp *http.Response, answer []byte) []byte {
	var p Problem
	if resp.Header.Get("Content-Type") == "application/problem+json" && json.Unmarshal(answer, &p) == nil && p.Detail != "" {
		return []byte(p.Detail)
	}
	return answer
}
