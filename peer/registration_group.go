package peer

import (
	"context"
	"strconv"

	"peerlab/peer/membership"
	"peerlab/peer/registration"
)

// Keys of the node metadata that tell everyone who is registered at the
// bootstrap service, under which ID, and since when a peer runs.
const (
	metaRegistered = "boot"
	metaStarted    = "since"
)

// group is the membership as the registration sees it.
type group struct{ members *membership.Membership }

var _ registration.Group = group{}

func (g group) Members() []registration.Member {
	table := g.members.Members()
	all := make([]registration.Member, len(table))
	for i, m := range table {
		started, _ := strconv.ParseInt(m.Meta[metaStarted], 10, 64) // 0 for a peer that does not tell
		all[i] = registration.Member{Name: m.Name, Addr: m.Addr, Online: m.Online(), Started: started, ID: m.Meta[metaRegistered]}
	}
	return all
}

func (g group) Count() (online, registered int) { return g.members.Online(), g.members.Marked() }

func (g group) Changed() <-chan struct{} { return g.members.Changed() }

func (g group) Announce(ctx context.Context, id string) error {
	return g.members.SetMeta(ctx, func(m membership.Meta) {
		delete(m, metaRegistered)
		if id != "" {
			m[metaRegistered] = id
		}
	})
}
