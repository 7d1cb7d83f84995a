// Package app is the chat as the application of a peer: its flags, its
// commands, its column in the table of members, and what it announces.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/spf13/pflag"

	"peerlab/peer"
	"peerlab/peer/chat"
	"peerlab/peer/chat/encryption"
	"peerlab/peer/files"
	"peerlab/peer/membership"
	"peerlab/peer/membership/memberlistconfig"
)

// chatKey is the chat's name and its key in the node metadata. Whoever
// announces it is in the chat: membership's gossip carries the chat's comings
// and goings, and none is lost while gossip converges.
const chatKey = "chat"

// DefaultBind is where the chat listens.
const DefaultBind = "0.0.0.0:7947"

// SecretVariable is the environment variable with the chat's secrets.
const SecretVariable = "PEER_CHAT_SECRET"

// Config says how the chat works. The zero value is a chat over connections,
// with the default limits and without encryption.
type Config struct {
	Bind    string // IP:PORT, port 0 for any free one; empty means DefaultBind
	Carrier string // CarrierDirect or CarrierGossip; empty means direct
	// Retransmit takes the place of memberlist's RetransmitMult for CarrierGossip;
	// 0 means that one.
	Retransmit int
	Limits     chat.Limits
	// SyncEvery is how often the chat compares with a random member what each
	// has; 0 means chat.DefaultSyncEvery.
	SyncEvery time.Duration
	// Secret are the chat's secrets, one a line, the one to use first, and
	// SecretFile a file with them, which counts if both are set. Neither: no
	// encryption.
	Secret     string
	SecretFile string
	// Flaws break it on purpose: for tests. No flag sets them.
	Flaws []chat.Flaw
}

// What the chat's messages go over.
const (
	CarrierDirect = "direct" // a connection to each member
	CarrierGossip = "gossip" // membership's packets
)

// maxSecretFile bounds the file of secrets, in bytes.
const maxSecretFile = 1 << 20

// App is the chat as the application of one peer.
type App struct {
	// Config must not be changed once the peer is made.
	Config Config

	files   files.System
	secret  *encryption.Secret // nil: none
	gossip  *chat.Gossip       // nil: connections
	members atomic.Int64       // online

	mu   sync.Mutex
	chat *chat.Chat // nil while not joined
	node peer.Node
}

var _ interface {
	peer.FlagAdder
	peer.SecretTaker
	peer.Preparer
	peer.Gossiper
	peer.Describer
	peer.Conversation
} = (*App)(nil)

// New returns a chat for one peer, with the default configuration.
func New() *App { return &App{} }

// NewConfig returns the configuration of a peer with a chat.
func NewConfig(name string) peer.Config { return peer.Config{Name: name, App: New()} }

// Name implements peer.App.
func (*App) Name() string { return chatKey }

// AddFlags implements peer.FlagAdder.
func (a *App) AddFlags(flags *pflag.FlagSet) {
	c := &a.Config
	flags.StringVar(&c.Bind, "chat-bind", DefaultBind, "the chat listens on `IP:PORT`, TCP; port 0 for any")
	flags.StringVar(&c.Carrier, "chat-carrier", CarrierDirect, "what the chat goes over: `direct|gossip`, connections or membership's packets")
	flags.IntVar(&c.Retransmit, "chat-retransmit", 0, "`N` in place of memberlist's RetransmitMult for the chat over gossip; 0 for that one")
	flags.Float64Var(&c.Limits.Rate, "chat-rate", 0, "`MESSAGES` a second this peer may send; 0 for no limit")
	flags.IntVar(&c.Limits.History, "chat-history", chat.DefaultHistory, "`MESSAGES` kept although everybody has them")
	flags.IntVar(&c.Limits.Horizon, "chat-horizon", chat.DefaultHorizon, "`MESSAGES` kept at most, for those who lack them")
	flags.StringVar(&c.SecretFile, "chat-secret-file", "", "`FILE` with the chat's secrets, one a line, the one to use first; or in "+SecretVariable+" (none: no encryption)")
}

// Secrets implements peer.SecretTaker.
func (a *App) Secrets() map[string]*string {
	return map[string]*string{SecretVariable: &a.Config.Secret}
}

// Prepare implements peer.Preparer.
func (a *App) Prepare(sys files.System) error {
	a.files = sys
	c := &a.Config
	if c.Bind == "" {
		c.Bind = DefaultBind
	}
	if err := c.Limits.Check(); err != nil {
		return err
	}
	if c.Retransmit < 0 || c.Retransmit > memberlistconfig.MaxRetransmit {
		return fmt.Errorf("chat retransmit %d: use 1 to %d, or 0 for memberlist's RetransmitMult", c.Retransmit, memberlistconfig.MaxRetransmit)
	}
	switch c.Carrier {
	case "", CarrierDirect:
	case CarrierGossip:
		// Until there is a membership there is nobody to send to.
		a.gossip = chat.NewGossip(func() int { return max(int(a.members.Load()), 1) }, max(c.Retransmit, 1))
	default:
		return fmt.Errorf("chat carrier %q: there are %s and %s", c.Carrier, CarrierDirect, CarrierGossip)
	}
	if c.Secret != "" || c.SecretFile != "" {
		secrets, err := a.secrets()
		if err != nil {
			return err
		}
		if a.secret, err = encryption.NewSecret(secrets...); err != nil {
			return err
		}
	}
	return membership.CheckAddr("chat", c.Bind)
}

// secrets reads them.
func (a *App) secrets() ([][]byte, error) {
	c := a.Config
	if c.SecretFile == "" {
		return encryption.ParseSecrets([]byte(c.Secret))
	}
	b, err := files.Read(a.files, c.SecretFile, maxSecretFile)
	if err != nil {
		return nil, fmt.Errorf("secrets of the chat: %w", err)
	}
	secrets, err := encryption.ParseSecrets(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.SecretFile, err)
	}
	return secrets, nil
}

// Channel implements peer.Gossiper.
func (a *App) Channel(conf *memberlist.Config) membership.Channel {
	if a.gossip == nil {
		return nil
	}
	a.gossip.SetRetransmitMult(cmp.Or(a.Config.Retransmit, conf.RetransmitMult))
	return a.gossip
}

// Join implements peer.App.
func (a *App) Join(n peer.Node) (string, error) {
	listener, err := a.listen(n)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.node = n
	o := chat.Options{
		Name: n.Name, Incarnation: n.Incarnation, Listener: listener, Dial: n.Network.Dial,
		Events: n.Events, Log: n.Log, State: n.State, Files: n.Files,
		Gossip: a.gossip, Secret: a.secret, Limits: a.Config.Limits, SyncEvery: a.Config.SyncEvery,
	}
	o.Break(a.Config.Flaws...)
	a.chat = chat.Join(o)
	return a.chat.Announcement(announced(listener.Addr())), nil
}

// Update implements peer.App.
func (a *App) Update(members []membership.Member) {
	c, err := a.joined()
	if err != nil {
		return
	}
	if len(members) == 0 { // this peer's membership has ended
		a.members.Store(0)
		c.Update(nil)
		return
	}
	present := make([]chat.Presence, len(members))
	online := 0
	for i, m := range members {
		present[i] = presence(m)
		if m.Online() {
			online++
		}
	}
	a.members.Store(int64(online))
	c.Update(present)
}

// Leave implements peer.App.
func (a *App) Leave(ctx context.Context) {
	c, err := a.joined()
	if err != nil {
		return
	}
	a.mu.Lock()
	a.chat = nil
	a.mu.Unlock()
	c.Leave(ctx)
}

// joined returns the chat this peer is in.
func (a *App) joined() (*chat.Chat, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.chat == nil {
		return nil, fmt.Errorf("this peer is not in the chat (%w): chat join first", peer.ErrNotJoined)
	}
	return a.chat, nil
}

// listen opens the chat's listener.
func (a *App) listen(n peer.Node) (net.Listener, error) {
	bind := a.Config.Bind
	l, err := n.Network.Listen(bind)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("chat address %s is in use: stop what listens there or choose another with --chat-bind", bind)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for the chat on %s: %w", bind, err)
	}
	return l, nil
}

// announced returns the chat's address as told to others: without the host
// when listening on any, because that is then the member's own.
func announced(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	return net.JoinHostPort(host, port)
}

// Describe implements peer.Describer: the address of the member's chat.
func (*App) Describe(m membership.Member) string { return presence(m).Addr }

// presence is what the chat has to know of a member.
func presence(m membership.Member) chat.Presence {
	p := chat.Presence{Name: m.Name, Graceful: m.State != membership.Dead}
	if !m.Online() {
		return p
	}
	addr, incarnation, ok := chat.Announced(m.Meta[chatKey])
	if !ok {
		return p
	}
	host, port, err := net.SplitHostPort(addr)
	if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
		return p
	}
	if host == "" {
		host, _, _ = net.SplitHostPort(m.Addr)
	}
	if net.ParseIP(host) == nil {
		return p // a name would be looked up in the DNS: not on another's word
	}
	p.Addr, p.Incarnation = net.JoinHostPort(host, port), incarnation
	return p
}
