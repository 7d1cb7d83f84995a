package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"peerlab/peer/chat"
	"peerlab/peer/membership"
)

// metaChat is the key of the node metadata that says where a member's chat
// listens. Whoever has it is in the chat: membership's gossip carries the
// chat's comings and goings, and nobody's is lost while gossip converges.
const metaChat = "chat"

// listenChat opens the chat's listener.
func (p *Peer) listenChat() (net.Listener, error) {
	if listen := p.conf.Network.ChatListen; listen != nil {
		return listen()
	}
	l, err := net.Listen("tcp", p.conf.ChatBind)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("chat address %s is in use: stop what listens there or choose another with --chat-bind", p.conf.ChatBind)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for the chat on %s: %w", p.conf.ChatBind, err)
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
	addr, incarnation, ok := chat.Announced(m.Meta[metaChat])
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

// follow keeps the chat informed of who is there, and the bootstrap service
// of registered peers that went, until ctx ends.
func (p *Peer) follow(ctx context.Context, members *membership.Membership) {
	for ctx.Err() == nil {
		changed := members.Changed()
		p.updateChat(members)
		p.replaceGone(ctx, members)
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func (p *Peer) updateChat(members *membership.Membership) {
	_, _, c := p.layers()
	if c == nil {
		return
	}
	table := members.Members()
	present := make([]chat.Presence, len(table))
	for i, m := range table {
		present[i] = presence(m)
	}
	c.Update(present)
}

// errInChat and errNotInChat answer a chat command in the wrong order.
var (
	errInChat    = errors.New("this peer is in the chat already")
	errNotInChat = errors.New("this peer is not in the chat: chat join first")
)

// joinChat enters the chat and tells the others.
func (p *Peer) joinChat(ctx context.Context) error {
	members, _, c := p.layers()
	switch {
	case members == nil:
		return errors.New("membership is not created: chat needs it to know who is there")
	case c != nil:
		return errInChat
	}
	listener, err := p.listenChat()
	if err != nil {
		return err
	}
	incarnation := uint64(time.Now().UnixMilli())
	c = chat.Join(chat.Options{
		Name: p.conf.Name, Incarnation: incarnation, Listener: listener, Dial: p.conf.Network.ChatDial,
		Events: p.events, Log: p.log.With("layer", "chat"),
	})
	p.mu.Lock()
	if p.chat != nil {
		p.mu.Unlock()
		c.Leave(ctx)
		return errInChat
	}
	p.chat = c
	p.mu.Unlock()
	p.updateChat(members)
	return members.SetMeta(ctx, func(m membership.Meta) { m[metaChat] = chat.Announce(announced(listener.Addr()), incarnation) })
}

// leaveChat tells the others and closes the chat.
func (p *Peer) leaveChat(ctx context.Context) error {
	p.mu.Lock()
	c, members := p.chat, p.members
	p.chat = nil
	p.mu.Unlock()
	if c == nil {
		return errNotInChat
	}
	var err error
	if members != nil {
		err = members.SetMeta(ctx, func(m membership.Meta) { delete(m, metaChat) })
	}
	c.Leave(ctx)
	return err
}
