package membership

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/hashicorp/memberlist"
)

// State is what a peer holds another to be.
type State string

// memberlist's four states. Serf calls dead "failed".
const (
	Alive   State = "alive"
	Suspect State = "suspect"
	Dead    State = "dead"
	Left    State = "left"
)

var states = map[memberlist.NodeStateType]State{
	memberlist.StateAlive:   Alive,
	memberlist.StateSuspect: Suspect,
	memberlist.StateDead:    Dead,
	memberlist.StateLeft:    Left,
}

// Member is one entry of this peer's member table, as it was when read.
type Member struct {
	Name        string    `json:"name"`
	Addr        string    `json:"addr"` // host:port
	State       State     `json:"state"`
	Incarnation uint32    `json:"incarnation"`
	Since       time.Time `json:"since"`          // of the last change of State, by this peer's clock
	Meta        Meta      `json:"meta,omitempty"` // not to be changed
	// RTT is the round trip of the last successful direct probe of the member
	// by this peer, 0 if there was none.
	RTT time.Duration `json:"rtt_ns,omitempty"`
}

// Gone is a member that was dead or left so long that memberlist has forgotten it:
// State and Since are the last there were.
type Gone struct {
	Member
	Forgotten time.Time `json:"forgotten"` // when
}

// Online says whether the member still counts: alive or suspect.
func (m Member) Online() bool { return m.State == Alive || m.State == Suspect }

func (s *Shared) member(n *nodeState) Member {
	return Member{
		Name:        n.Name,
		Addr:        s.addr(n.Addr, n.Port),
		State:       states[n.State],
		Incarnation: n.Incarnation,
		Since:       n.StateChange,
		Meta:        s.meta(n.Meta),
	}
}

// Meta is what a member tells about itself through gossip, keys to values.
// Together with its JSON syntax it must fit memberlist's limit of 512 bytes.
type Meta map[string]string

// encode checks the limit first: memberlist panics on more
// (hashicorp/memberlist#191).
func (m Meta) encode() ([]byte, error) {
	if len(m) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode node metadata: %w", err)
	}
	if len(b) > memberlist.MetaMaxSize {
		return nil, fmt.Errorf("node metadata of %d bytes is too long: memberlist carries %d", len(b), memberlist.MetaMaxSize)
	}
	return b, nil
}

// decodeMeta returns nil for metadata that is not ours: other systems on the
// same gossip may put anything there.
func decodeMeta(b []byte) Meta {
	var m Meta
	if len(b) == 0 || json.Unmarshal(b, &m) != nil {
		return nil
	}
	return m
}

func (m Meta) clone() Meta {
	c := maps.Clone(m)
	if c == nil {
		c = Meta{}
	}
	return c
}
