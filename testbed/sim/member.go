package sim

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"peerlab/event"
	"peerlab/peer"
	chatapp "peerlab/peer/chat/app"
	"peerlab/peer/files"
	"peerlab/testbed"
	"peerlab/testbed/settings"
)

// grace is how long a peer has to leave.
const grace = 10 * time.Second

// startSpread is how long after its start a peer's process begins, at most. It is
// one probe interval of the profiles local and lan, and about as long as a host
// takes to start some containers: memberlist's timers keep the phase of their
// beginning for ever, and peers that all began in one instant would probe in step.
const startSpread = time.Second

// exitKilled is the status of a process ended by SIGKILL.
const exitKilled = 137

// member is a peer, or the bootstrap service, through all its lives.
type member struct {
	cluster *Cluster
	host    *host
	files   *files.Memory
	turn    chan struct{} // held by who acts on it
	phases  *rand.Rand    // of its starts; for who holds turn

	mu       sync.Mutex
	state    testbed.State
	exit     int
	cpus     float64
	life     *life
	instance *peer.Peer         // of the present life; nil for the bootstrap service
	leave    context.CancelFunc // asks it to
	began    <-chan struct{}    // closed when the peer of the present life takes commands
	ended    chan struct{}      // closed when the present life has ended
	woken    chan struct{}      // closed and renewed when it is paused or ends
}

func (m *member) peer() testbed.Peer {
	m.cluster.network.mu.Lock()
	addr := m.host.addr
	m.cluster.network.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	return testbed.Peer{Name: m.host.name, State: m.state, Addr: addr, Exit: m.exit}
}

func (m *member) now() testbed.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

// start begins a life. The process of a peer begins after its phase.
func (m *member) start() error {
	m.mu.Lock()
	cpus := m.cpus
	m.mu.Unlock()
	m.files.Restart()
	l := m.host.begin(cpus)
	run, p, err := m.process(l)
	if err != nil {
		l.finish(exited)
		return err
	}
	phase := m.phase()
	ended, began := make(chan struct{}), (<-chan struct{})(nil)
	if p != nil {
		began = p.Begun()
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.mu.Lock()
	m.state, m.exit, m.life, m.instance, m.leave = testbed.Running, 0, l, p, cancel
	m.began, m.ended = began, ended
	m.mu.Unlock()
	m.cluster.running.Go(func() {
		defer cancel()
		label(ctx, m.host.name, func() {
			begin := time.NewTimer(phase)
			defer begin.Stop()
			select {
			case <-begin.C:
			case <-ctx.Done(): // one that is asked to leave before it begins begins, and leaves
			case <-ended:
				return
			}
			status := 0
			if run(ctx) != nil {
				status = 1
			}
			m.over(l, exited, status)
		})
	})
	return nil
}

// phase draws how long after its start the process begins. The seed decides it
// for each start of each peer, whatever goes on elsewhere.
func (m *member) phase() time.Duration {
	if m.host.name == testbed.Bootstrap {
		return 0
	}
	drawn := time.Duration(m.phases.Int64N(int64(startSpread)))
	if m.cluster.spec.Of(m.host.name)[settings.Phase] == settings.Aligned {
		return 0
	}
	return drawn
}

// process returns what runs in a life.
func (m *member) process(l *life) (func(context.Context) error, *peer.Peer, error) {
	if m.host.name == testbed.Bootstrap {
		run, err := serve(l)
		return run, nil, err
	}
	conf, err := m.config(l)
	if err != nil {
		return nil, nil, err
	}
	p, err := peer.New(conf)
	if err != nil {
		return nil, nil, err
	}
	return p.Run, p, nil
}

// config is what a peer runs with.
func (m *member) config(l *life) (peer.Config, error) {
	c, name := m.cluster, m.host.name
	chat := chatapp.New()
	conf := peer.Config{
		Name:  name,
		App:   chat,
		Files: m.files,
		Network: peer.Network{
			Transport: l.open,
			Listen:    l.listenAt,
			Dial:      l.connect,
			HTTP:      l.http(),
			Resolve:   c.resolve,
			Shared:    &c.shared,
		},
		Observe: func(e event.Event) {
			if m.speaks(l) {
				e.Peer = name // whatever it calls itself: two can claim one name
				c.history.Add(e)
			}
		},
	}
	if err := conf.Configure(settings.OfPeer(settings.Merge(defaults(len(c.spec.Peers)), c.spec.Of(name)))); err != nil {
		return conf, err
	}
	if secrets, given := c.spec.Files[chat.Config.SecretFile]; given {
		chat.Config.Secret, chat.Config.SecretFile = secrets, ""
	}
	conf.Bootstrap = "http://" + c.members[testbed.Bootstrap].host.at(bootstrapPort)
	if conf.State != "" {
		m.files.AddVolume(conf.State)
	}
	c.sim.change(&conf)
	return conf, nil
}

// speaks says whether what the peer of a life reports is heard: the dead
// observe nothing.
func (m *member) speaks(l *life) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life == l && m.state != testbed.Stopped
}

// over notes that a life has ended, if it is the present one.
func (m *member) over(l *life, how ending, status int) {
	l.finish(how)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.life != l || m.state == testbed.Stopped {
		return
	}
	m.state, m.exit = testbed.Stopped, status
	close(m.ended)
	m.wake()
}

// wake tells those who wait for a line. The caller holds the lock.
func (m *member) wake() {
	close(m.woken)
	m.woken = make(chan struct{})
}

// vanish ends the present life at once.
func (m *member) vanish(how ending) {
	m.mu.Lock()
	l, p, leave, state := m.life, m.instance, m.leave, m.state
	m.mu.Unlock()
	if l == nil || state == testbed.Stopped {
		return
	}
	m.over(l, how, exitKilled)
	if p != nil {
		p.Abort()
	} else {
		leave()
	}
}
