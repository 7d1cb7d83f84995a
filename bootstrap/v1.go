package bootstrap

import (
	"errors"
	"fmt"
	"time"
)

// The types of the /v1 API. Peers have the fields of the legacy wire format
// there too, so that a peer looks the same whichever API shows it.

// MaxGone is how many peers one Offer may report gone.
const MaxGone = 64

// Offer is what a peer sends to be registered, or to take a free place.
type Offer struct {
	Peer
	// View names the part of the cluster the peer is in: all that see each
	// other give the same. At most MaxNameLen bytes; empty for no statement.
	View string `json:"view,omitempty"`
	// Gone are the IDs of registered peers that the sender holds dead. Only
	// a refill has them, and the service checks them.
	Gone []string `json:"gone,omitempty"`
}

// Validate returns nil if o can be stored, else what is wrong with it.
func (o Offer) Validate() error {
	if err := o.Peer.Validate(); err != nil {
		return err
	}
	if o.View != "" {
		if err := word("view", o.View, MaxNameLen); err != nil {
			return err
		}
	}
	if len(o.Gone) > MaxGone {
		return fmt.Errorf("gone has %d entries, at most %d are allowed", len(o.Gone), MaxGone)
	}
	for _, id := range o.Gone {
		if err := ValidateID(id); err != nil {
			return fmt.Errorf("gone: %w", err)
		}
		if id == o.ID {
			return errors.New("gone names the sender")
		}
	}
	return nil
}

// Listed is a registered peer.
type Listed struct {
	Peer
	View       string    `json:"view,omitempty"`
	Registered time.Time `json:"registered,omitzero"`
	Renewed    time.Time `json:"renewed,omitzero"`
	Expires    time.Time `json:"expires,omitzero"` // zero: never
}

// List is what /v1 answers about the whole.
type List struct {
	Config Config `json:"config"`
	// TTL is after how many seconds a peer that does not renew goes; 0: never.
	TTL int `json:"ttl"`
	// Listed says, in the answer to an offer, whether its sender is among
	// Peers now.
	Listed bool     `json:"listed,omitempty"`
	Peers  []Listed `json:"peers"` // the longest-running first; nil in the answer to a renewal that left them out
}

// Renewed is what a renewal is answered that asks for no more: a List without
// the peers.
type Renewed struct {
	Config Config `json:"config"`
	TTL    int    `json:"ttl"`
	Listed bool   `json:"listed"`
}

// Data returns l in the form of the legacy API.
func (l List) Data() Data {
	d := Data{Config: l.Config, Peers: make(map[string]Peer, len(l.Peers))}
	for _, p := range l.Peers {
		d.Peers[p.ID] = p.Peer
	}
	return d
}

// Problem is an error of /v1 in the form of RFC 9457.
type Problem struct {
	Type     string `json:"type"` // "about:blank": Title says as much as there is to know
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"` // the request's ID, as in the server's log
}
