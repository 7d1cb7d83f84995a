package bootstrap

import (
	"encoding/json"
	"fmt"
)

// Limit is the largest MaxPeers the service accepts. A list longer than this
// serves nobody, and it keeps all of the service's data one small value that
// every store can hold and swap at once.
const Limit = 1000

// Config is the configuration of the service, and how full it is.
type Config struct {
	MaxPeers            int `json:"maxpeers,omitempty"`            // how many peers it keeps
	MinRefillCandidates int `json:"minrefillcandidates,omitempty"` // how many peers a cluster wants to choose new ones from
	NumPeers            int `json:"numpeers,omitempty"`            // how many it has; set by the service
}

// Validate returns nil if the service accepts c, else an error that says
// which number is wrong and what is right. It ignores NumPeers.
func (c Config) Validate() error {
	if c.MaxPeers < 0 || c.MaxPeers > Limit {
		return fmt.Errorf("maxpeers is %d, want 0 to %d", c.MaxPeers, Limit)
	}
	if c.MinRefillCandidates < 0 || c.MinRefillCandidates > Limit {
		return fmt.Errorf("minrefillcandidates is %d, want 0 to %d", c.MinRefillCandidates, Limit)
	}
	return nil
}

// Data is what the service answers: its configuration and the registered
// peers by ID.
type Data struct {
	Config Config          `json:"Config"`
	Peers  map[string]Peer `json:"Peers"`
}

// Encode returns d in the wire format, byte for byte as deployed clients know
// it: two-space indent, no newline at the end, NumPeers counted, and an empty
// Peers written {}.
func (d Data) Encode() []byte {
	d.Config.NumPeers = len(d.Peers)
	if d.Peers == nil {
		d.Peers = map[string]Peer{}
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		panic(err) // strings and integers: no value can fail
	}
	return b
}

// Decode reads the wire format. Peers is never nil; its entries are as the
// service sent them and may be invalid: see Peer.Validate.
func Decode(b []byte) (Data, error) {
	// Pointers tell an answer of this service from any other JSON object.
	var raw struct {
		Config *Config
		Peers  *map[string]Peer
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return Data{}, fmt.Errorf("decode bootstrap data: %w", err)
	}
	if raw.Config == nil {
		return Data{}, fmt.Errorf("decode bootstrap data: no Config in the answer")
	}
	d := Data{Config: *raw.Config, Peers: map[string]Peer{}}
	if raw.Peers != nil && *raw.Peers != nil {
		d.Peers = *raw.Peers
	}
	return d, nil
}
