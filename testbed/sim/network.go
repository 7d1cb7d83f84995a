package sim

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"peerlab/testbed"
)

// The ports of every peer, and the bootstrap service's.
const (
	gossipPort    = 7946
	bootstrapPort = 8080
)

// network joins hosts. One lock guards all of it: what happens in virtual time
// happens one instant after the other.
type network struct {
	seed    uint64
	tick    func() // called, without the lock, whenever something has happened
	mu      sync.Mutex
	agenda  agenda
	hosts   map[netip.Addr]*host // by present address
	gossip  map[string]*host     // by address and port, as memberlist writes it
	wires   map[testbed.Pair]*wire
	sources map[testbed.Pair]*rand.Rand
}

func newNetwork(seed uint64, tick func()) *network {
	n := &network{
		seed: seed, tick: tick,
		hosts: make(map[netip.Addr]*host), gossip: make(map[string]*host), sources: make(map[testbed.Pair]*rand.Rand),
	}
	n.agenda.timer = time.AfterFunc(time.Hour, n.run)
	n.agenda.timer.Stop()
	return n
}

func (n *network) run() {
	n.tick()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.agenda.run()
}

// close ends the network: nothing arrives any more.
func (n *network) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.agenda.clear()
}

// add gives a host its address; move another one.
func (n *network) add(name string, addr netip.Addr) *host {
	h := &host{network: n, name: name}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.place(h, addr)
	return h
}

func (n *network) move(h *host, addr netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.hosts, h.addr)
	delete(n.gossip, h.at(gossipPort))
	n.place(h, addr)
}

func (n *network) place(h *host, addr netip.Addr) {
	h.addr = addr
	n.hosts[addr] = h
	n.gossip[h.at(gossipPort)] = h
}

// setLinks puts links in force.
func (n *network) setLinks(links testbed.Links) {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := n.wires
	n.wires = make(map[testbed.Pair]*wire, len(links))
	for pair, link := range links {
		if link == (testbed.Link{}) {
			continue
		}
		w := &wire{link: link, source: func() *rand.Rand { return n.source(pair) }}
		if old := before[pair]; old != nil && old.link.Shape == link.Shape {
			w.through = old.through // its queue stays
		}
		n.wires[pair] = w
	}
}

// source returns the random source of a pair, which outlives its link.
func (n *network) source(pair testbed.Pair) *rand.Rand {
	s := n.sources[pair]
	if s == nil {
		s = newSource(n.seed, pair.String())
		n.sources[pair] = s
	}
	return s
}

// wire returns the link between two hosts, nil if it is healthy. The caller
// holds the lock.
func (n *network) wire(from, to *host) *wire {
	if len(n.wires) == 0 {
		return nil
	}
	return n.wires[testbed.Pair{From: from.name, To: to.name}]
}

// host is a place in the network. It outlives the peer that runs there.
type host struct {
	*network
	name string
	addr netip.Addr
	life *life // of the peer that runs, or ran last; nil before the first
}

func (h *host) at(port int) string {
	return net.JoinHostPort(h.addr.String(), strconv.Itoa(port))
}

// signal sends a packet of TCP that carries nothing but a flag, and has arrived
// called when it is there, if it gets there. The caller holds the lock.
func (h *host) signal(to *host, now time.Time, arrived func(now time.Time)) {
	if took, ok := h.wire(h, to).carry(tcp, tcpHeader, now); ok {
		h.agenda.plan(now.Add(took), arrived)
	}
}

// ending is how a peer went.
type ending int

const (
	lives  ending = iota
	exited        // its host answers, that nobody listens
	killed        // its host is gone with it
)

// life is the network as one run of a peer has it. The network's lock guards
// it.
type life struct {
	*host
	end    ending
	paused bool
	cpus   float64    // 0 for no limit
	busy   time.Time  // until when a throttled peer works on what arrived
	waits  int        // how many messages wait for a throttled peer
	held   []func()   // messages that wait for the end of a pause
	more   *sync.Cond // something above has changed

	transport *transport // nil while memberlist is not there
	listeners map[int]*listener
	conns     map[*conn]struct{}
	ports     int // how many connections it has made
}

// begin starts a life.
func (h *host) begin(cpus float64) *life {
	l := &life{host: h, cpus: cpus, listeners: make(map[int]*listener), conns: make(map[*conn]struct{})}
	l.more = sync.NewCond(&h.mu)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.life = l
	return l
}

// finish ends a life: from now on it sends and receives nothing, and what
// waits in it is let go. The other side of each connection is told once, if
// the network lets that pass.
func (l *life) finish(how ending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end != lives {
		return
	}
	l.end, l.held = how, nil
	for c := range l.conns {
		c.abandon()
	}
	for _, listener := range l.listeners {
		listener.close()
	}
	l.more.Broadcast()
}

func (l *life) pause(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused == on {
		return
	}
	l.paused = on
	if !on {
		held := l.held
		l.held = nil
		for _, message := range held {
			message()
		}
	}
	l.more.Broadcast()
	for c := range l.conns {
		c.changed.Broadcast()
	}
}

func (l *life) throttle(cpus float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cpus = cpus
}

// work is how long a processor takes for one message.
const work = 100 * time.Microsecond

// maxHeld is how many packets a host keeps for a peer that does not read them,
// as many small ones as fit into Linux' default buffer of a socket (212,992
// bytes, in which each takes 768).
const maxHeld = 277

// receive hands a message to the peer: at once, after the pause, or when a
// throttled one gets to it. A packet can be lost on the way, a part of a stream
// cannot. The caller holds the lock.
func (l *life) receive(now time.Time, packet bool, message func()) {
	switch {
	case l.end != lives:
		return
	case l.paused && packet:
		if len(l.held) < maxHeld {
			l.held = append(l.held, message)
		}
		return
	case l.cpus == 0:
		message()
		return
	case packet && l.waits >= maxHeld:
		return
	}
	if l.busy.Before(now) {
		l.busy = now
	}
	l.busy = l.busy.Add(time.Duration(float64(work) / l.cpus))
	l.waits++
	l.agenda.plan(l.busy, func(time.Time) {
		l.waits--
		switch {
		case l.end != lives:
		case l.paused && packet:
			l.held = append(l.held, message)
		default:
			message()
		}
	})
}
