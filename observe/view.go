// Package observe tells from the history of a run what happened in it: whom
// each peer held to be what, how fast failures were detected, who was wrongly
// declared dead, which messages arrived, and which promise was broken. It reads
// events and nothing else, so that a saved run can be judged again.
package observe

import (
	"slices"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// State is what one peer holds another to be.
type State string

// The states of a member. Unknown is one that the observer does not know, or
// has forgotten.
const (
	Unknown State = "unknown"
	Alive   State = "alive"
	Suspect State = "suspect"
	Dead    State = "dead"
	Left    State = "left"
)

// states are in the order in which people want to read them; a held state is an
// index into it, so that the zero value is Unknown.
var states = [...]State{Unknown, Alive, Suspect, Dead, Left}

const unknown, alive, suspect, dead, left = 0, 1, 2, 3, 4

// View is what each peer holds of each other, rebuilt from a history event by
// event. Add takes a fraction of a microsecond whatever the number of peers,
// and the view a byte for each pair of them. It is not for concurrent use.
type View struct {
	index map[string]int // of every name that occurred
	names []string
	rows  []row // by index
	peers []string
}

// row is one peer: what it holds of others, and what is known of itself.
type row struct {
	held    []uint8 // by the index of the member; what lies beyond is unknown
	count   [len(states)]int
	peer    bool // it is one, not only a name somebody mentioned
	runs    bool
	paused  bool
	health  int
	stopped time.Time // when it last ended, by what the lab tells
}

// NewView returns the view at the beginning of a history.
func NewView() *View { return &View{index: make(map[string]int)} }

// Change is what one event changed in a View.
type Change struct {
	// Peer is whose row has changed, or what is known of it: whether it runs, is
	// paused, its health. Empty if nothing has changed.
	Peer string
	// Member is whom Peer has reported something about: it held it Was before,
	// and holds it Is now, which may be the same. Empty if nobody.
	Member  string
	Was, Is State
	// Forgot says that Peer forgot everybody before that.
	Forgot bool
}

// Add takes the next event of the history and returns what it changes.
func (v *View) Add(e event.Event) Change {
	switch e.Peer {
	case testbed.Lab:
		return v.lab(e)
	case "", testbed.Bootstrap:
		return Change{}
	}
	r := v.peer(e.Peer)
	c := Change{Peer: e.Peer}
	switch e.Kind {
	case event.PeerStarted:
		r.forget()
		r.health = 0
		// What a peer said last can arrive after the lab has killed it.
		r.runs = !e.Time.Before(r.stopped)
		c.Forgot = true
	case event.PeerStopping:
		r.runs = false
	case event.PeerHealth:
		r.health = e.Health
	case event.MemberJoin:
		// To meet itself again is to have a new node table: the membership
		// layer was created anew.
		if e.Member == e.Peer && e.Was == "" && v.State(e.Peer, e.Peer) != Unknown {
			r.forget()
			c.Forgot = true
		}
		v.hold(e, alive, &c)
	case event.MemberRefute:
		v.hold(e, alive, &c)
	case event.MemberSuspect:
		r.health = e.Health
		v.hold(e, suspect, &c)
	case event.MemberDead:
		r.health = e.Health
		v.hold(e, dead, &c)
	case event.MemberLeft:
		v.hold(e, left, &c)
	case event.MemberReap:
		if e.Member == e.Peer { // its membership is shut down
			r.forget()
			c.Forgot = true
		}
		v.hold(e, unknown, &c)
	default:
		return Change{}
	}
	return c
}

func (v *View) lab(e event.Event) Change {
	switch e.Kind {
	case testbed.LabStart, testbed.LabStop, testbed.LabKill, testbed.LabExit, testbed.LabPause, testbed.LabResume:
	default:
		return Change{}
	}
	if e.Member == "" || e.Member == testbed.Bootstrap {
		return Change{}
	}
	r := v.peer(e.Member)
	switch e.Kind {
	case testbed.LabStop, testbed.LabKill, testbed.LabExit:
		r.runs, r.paused, r.stopped = false, false, e.Time
	case testbed.LabPause:
		r.paused = true
	case testbed.LabResume:
		r.paused = false
	}
	return Change{Peer: e.Member}
}

// id returns the index of a name, a new one for a new name.
func (v *View) id(name string) int {
	i, ok := v.index[name]
	if !ok {
		i = len(v.names)
		v.index[name] = i
		v.names = append(v.names, name)
		v.rows = append(v.rows, row{})
	}
	return i
}

func (v *View) peer(name string) *row {
	r := &v.rows[v.id(name)]
	if !r.peer {
		r.peer = true
		i, _ := slices.BinarySearch(v.peers, name)
		v.peers = slices.Insert(v.peers, i, name)
	}
	return r
}

func (v *View) hold(e event.Event, state uint8, c *Change) {
	if e.Member == "" {
		return
	}
	member := v.id(e.Member) // before the row is taken: it may move them all
	was := v.rows[v.index[e.Peer]].hold(member, state)
	c.Member, c.Was, c.Is = e.Member, states[was], states[state]
}

// hold has the row hold a member to be in a state, and returns what it was.
func (r *row) hold(member int, state uint8) (was uint8) {
	if missing := member + 1 - len(r.held); missing > 0 {
		r.held = append(r.held, make([]uint8, missing)...)
	}
	if was = r.held[member]; was != unknown {
		r.count[was]--
	}
	if state != unknown {
		r.count[state]++
	}
	r.held[member] = state
	return was
}

func (r *row) forget() {
	clear(r.held)
	r.count = [len(states)]int{}
}

// find returns what is known of peer, nothing for one that did not occur. Nobody
// changes it.
func (v *View) find(peer string) *row {
	if i, ok := v.index[peer]; ok {
		return &v.rows[i]
	}
	return &row{}
}

// State returns what observer holds member to be, or last held when it does not
// run any more. A peer holds itself to be alive, or left.
func (v *View) State(observer, member string) State {
	held := v.find(observer).held
	if i, ok := v.index[member]; ok && i < len(held) {
		return states[held[i]]
	}
	return Unknown
}

// held is State by index.
func (v *View) held(observer, member int) uint8 {
	if held := v.rows[observer].held; member < len(held) {
		return held[member]
	}
	return unknown
}

// Count returns how many members observer holds to be in a state, itself
// included. It does not count those Unknown.
func (v *View) Count(observer string, s State) int {
	if i := slices.Index(states[:], s); i > unknown {
		return v.find(observer).count[i]
	}
	return 0
}

// Members returns those whom observer holds to be in any state but Unknown,
// itself included, by name.
func (v *View) Members(observer string) []string {
	var members []string
	for i, state := range v.find(observer).held {
		if state != unknown {
			members = append(members, v.names[i])
		}
	}
	slices.Sort(members)
	return members
}

// Runs says whether peer runs: it has reported its start, and since then neither
// has it reported that it stops, nor the lab that it was stopped or killed or
// has ended by itself. A paused peer runs.
func (v *View) Runs(peer string) bool { return v.find(peer).runs }

// Paused says whether the lab has frozen peer.
func (v *View) Paused(peer string) bool { return v.find(peer).paused }

// Health returns peer's own health score as it last told it: 0 is best. It tells
// each change, within some tens of milliseconds.
func (v *View) Health(peer string) int { return v.find(peer).health }

// Peers returns all that ever reported something or were started, by name,
// whether they run or not; the bootstrap service is none.
func (v *View) Peers() []string { return slices.Clone(v.peers) }
