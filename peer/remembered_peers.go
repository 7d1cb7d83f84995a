package peer

import (
	"context"
	"time"

	"peerlab/peer/knownpeers"
	"peerlab/peer/membership"
)

// rememberEvery is how long changes of the membership are gathered before the
// file is written.
const rememberEvery = time.Second

// remember keeps the file of known peers up to date until ctx ends.
func (p *Peer) remember(ctx context.Context, members *membership.Membership) {
	known := make(map[string]knownpeers.Peer)
	for _, f := range p.remembered {
		known[f.Name] = f
	}
	for {
		changed := members.Changed()
		for _, m := range members.Members() {
			if m.Online() && m.Name != p.conf.Name {
				known[m.Name] = knownpeers.Peer{Name: m.Name, Addr: m.Addr, Seen: time.Now().UTC()}
			}
		}
		if len(known) > 0 {
			all := make([]knownpeers.Peer, 0, len(known))
			for _, f := range known {
				all = append(all, f)
			}
			if len(known) > 4*knownpeers.Kept {
				clear(known)
				for _, f := range knownpeers.Latest(all) {
					known[f.Name] = f
				}
			}
			if err := p.knownPeers.Save(all); err != nil {
				p.log.Warn("the peer forgets when it stops", "err", err)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
		if !pause(ctx, rememberEvery) {
			return
		}
	}
}

// joinRemembered contacts the peers remembered from an earlier run, where there is
// no service to ask.
func (p *Peer) joinRemembered(ctx context.Context, members *membership.Membership) {
	if len(p.remembered) == 0 {
		return
	}
	addrs := make([]string, 0, len(p.remembered))
	for _, f := range p.remembered {
		if f.Addr != members.Addr() {
			addrs = append(addrs, f.Addr)
		}
	}
	addrs = addrs[:min(len(addrs), maxContacts)]
	if n, err := members.Join(ctx, addrs); err == nil {
		p.log.Info("joined through remembered peers", "answered", n)
	} else {
		p.log.Debug("no remembered peer answers", "err", err)
	}
}
