package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"peerlab/peer/chat"
	"peerlab/peer/files"
	"peerlab/peer/membership"
)

// chatKey is the chat's name and its key in the node metadata. Whoever
// announces it is in the chat: membership's gossip carries the chat's comings
// and goings, and none is lost while gossip converges.
const chatKey = "chat"

// ChatConfig says how the chat works. The zero value is a chat over
// connections, with the default limits and without encryption.
type ChatConfig struct {
	Carrier string // CarrierDirect or CarrierGossip; empty means direct
	Limits  chat.Limits
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

// chatGossip is how often gossip repeats a message, times the logarithm of the
// number of members: memberlist's default for a LAN.
const chatGossip = 4

// chatApp is the chat as the peer's application.
type chatApp struct {
	conf    ChatConfig
	files   files.System
	secret  *chat.Secret // nil: none
	gossip  *chat.Gossip // nil: connections
	members atomic.Int64 // online

	mu   sync.Mutex
	chat *chat.Chat // nil while not joined
	node Node
}

func newChatApp(conf ChatConfig, sys files.System) (*chatApp, error) {
	a := &chatApp{conf: conf, files: sys}
	if err := conf.Limits.Check(); err != nil {
		return nil, err
	}
	switch conf.Carrier {
	case "", CarrierDirect:
	case CarrierGossip:
		a.gossip = chat.NewGossip(func() int { return max(int(a.members.Load()), 1) }, chatGossip)
	default:
		return nil, fmt.Errorf("chat carrier %q: there are %s and %s", conf.Carrier, CarrierDirect, CarrierGossip)
	}
	if conf.Secret != "" || conf.SecretFile != "" {
		secrets, err := a.secrets()
		if err != nil {
			return nil, err
		}
		if a.secret, err = chat.NewSecret(secrets...); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// secrets reads them.
func (a *chatApp) secrets() ([][]byte, error) {
	c := a.conf
	if c.SecretFile == "" {
		return chat.ParseSecrets([]byte(c.Secret))
	}
	b, err := files.Read(a.files, c.SecretFile, maxFile)
	if err != nil {
		return nil, fmt.Errorf("secrets of the chat: %w", err)
	}
	secrets, err := chat.ParseSecrets(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.SecretFile, err)
	}
	return secrets, nil
}

// Name implements App.
func (*chatApp) Name() string { return chatKey }

// Channel implements Gossiper.
func (a *chatApp) Channel() membership.Channel {
	if a.gossip == nil {
		return nil
	}
	return a.gossip
}

// Join implements App.
func (a *chatApp) Join(n Node) (string, error) {
	listener, err := listenChat(n)
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.node = n
	o := chat.Options{
		Name: n.Name, Incarnation: n.Incarnation, Listener: listener, Dial: n.Network.ChatDial,
		Events: n.Events, Log: n.Log, State: n.State, Files: n.Files,
		Gossip: a.gossip, Secret: a.secret, Limits: a.conf.Limits, SyncEvery: a.conf.SyncEvery,
	}
	o.Break(a.conf.Flaws...)
	a.chat = chat.Join(o)
	return a.chat.Announcement(announced(listener.Addr())), nil
}

// Update implements App.
func (a *chatApp) Update(members []membership.Member) {
	c, err := a.joined()
	if err != nil {
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

// Leave implements App.
func (a *chatApp) Leave(ctx context.Context) {
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
func (a *chatApp) joined() (*chat.Chat, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.chat == nil {
		return nil, fmt.Errorf("this peer is not in the chat (%w): chat join first", ErrNotJoined)
	}
	return a.chat, nil
}

// listenChat opens the chat's listener.
func listenChat(n Node) (net.Listener, error) {
	if n.Network.ChatListen != nil {
		return n.Network.ChatListen()
	}
	l, err := net.Listen("tcp", n.Bind)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("chat address %s is in use: stop what listens there or choose another with --chat-bind", n.Bind)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for the chat on %s: %w", n.Bind, err)
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
