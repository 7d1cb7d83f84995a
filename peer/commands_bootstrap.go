package peer

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"peerlab/bootstrap"
	"peerlab/peer/command"
	"peerlab/peer/contact"
)

func (p *Peer) bootstrapCommands() []command.Command {
	return []command.Command{
		{
			Name: "bootstrap list", Aliases: []string{"bootstrappeers"}, Group: "bootstrap", Data: true,
			Short: "the peers registered at the bootstrap service", Example: "bootstrap list", Run: p.showRegistered,
		},
		{
			Name: "bootstrap config", Aliases: []string{"bootstrapconfig"}, Group: "bootstrap", Data: true,
			Short: "the bootstrap service's configuration", Example: "bootstrap config", Run: p.showServiceConfig,
		},
	}
}

// contactOrErr returns the bootstrap layer, or before create one that can ask
// but has no address to register.
func (p *Peer) contactOrErr() (*contact.Contact, error) {
	if p.conf.Bootstrap == "" {
		return nil, errNoService
	}
	if c := p.service(); c != nil {
		return c, nil
	}
	return p.newContact("0.0.0.0:0")
}

func (p *Peer) showRegistered(ctx context.Context, c *command.Call) error {
	contact, err := p.contactOrErr()
	if err != nil {
		return err
	}
	data, err := contact.List(ctx)
	if err != nil {
		return err
	}
	peers := slices.SortedFunc(maps.Values(data.Peers), func(a, b bootstrap.Peer) int { return cmp.Compare(a.Name, b.Name) })
	return c.Show(data.Peers, func() {
		rows := make([][]string, len(peers))
		for i, r := range peers {
			since := "-"
			if seconds, err := r.Since(); err == nil {
				since = age(time.Unix(seconds, 0))
			}
			rows[i] = []string{r.Name, r.Addr(), since, r.ID}
		}
		c.Table([]string{"NAME", "ADDRESS", "UP", "ID"}, rows)
	})
}

func (p *Peer) showServiceConfig(ctx context.Context, c *command.Call) error {
	contact, err := p.contactOrErr()
	if err != nil {
		return err
	}
	data, err := contact.List(ctx)
	if err != nil {
		return err
	}
	conf := struct {
		URL string `json:"url"`
		bootstrap.Config
	}{contact.URL(), data.Config}
	return c.Show(conf, func() {
		c.Table([]string{"URL", "MAXPEERS", "MINREFILLCANDIDATES", "NUMPEERS"}, [][]string{{
			conf.URL, strconv.Itoa(conf.MaxPeers), strconv.Itoa(conf.MinRefillCandidates), strconv.Itoa(conf.NumPeers),
		}})
	})
}
