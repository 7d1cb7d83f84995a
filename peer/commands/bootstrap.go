package commands

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"peerlab/bootstrap"
	"peerlab/peer/command"
	"peerlab/peer/registration"
)

func (b *Builtins) bootstrapCommands() []command.Command {
	return []command.Command{
		{
			Name: "bootstrap", Aliases: []string{"bootstrap show"}, Group: "bootstrap", Data: true,
			Short: "all the bootstrap service says: configuration and peers", Example: "bootstrap",
			Run: show(b.peer.Layers.RegistrarForQueries, (*registration.Registrar).List),
		},
		{
			Name: "bootstrap local", Aliases: []string{"bootstraplistlocal"}, Group: "bootstrap", Data: true,
			Short: "the peers as last heard, without asking", Example: "bootstrap local",
			Run: func(_ context.Context, c *command.Call) error {
				registrar := b.peer.Layers.Registrar()
				if registrar == nil {
					return errors.New("nothing was heard of a bootstrap service yet: bootstrap join first")
				}
				data, ok := registrar.Last()
				if !ok {
					return errors.New("nothing was heard of the bootstrap service yet: bootstrap join first")
				}
				return showData(c, data)
			},
		},
		{
			Name: "bootstrap join", Aliases: []string{"bootstrapjoin"}, Group: "bootstrap", Data: true,
			Short: "register this peer, if there is room, and hear who else is", Example: "bootstrap join",
			Run: show(b.peer.Layers.RegistrarWithAddress, (*registration.Registrar).Join),
		},
		{
			Name: "bootstrap leave", Aliases: []string{"bootstrapleave"}, Group: "bootstrap", Data: true,
			Short: "take this peer off the list", Example: "bootstrap leave",
			Run: b.leaveList,
		},
		{
			Name: "bootstrap refill", Aliases: []string{"bootstraprefill"}, Group: "bootstrap", Data: true,
			Short: "offer this peer: a full list takes it for a younger one", Example: "bootstrap refill",
			Run: show(b.peer.Layers.RegistrarWithAddress, (*registration.Registrar).Refill),
		},
		{
			Name: "bootstrap reset", Aliases: []string{"bootstrapreset"}, Group: "bootstrap", Data: true,
			Short: "empty the list, for everyone", Example: "bootstrap reset",
			Run: show(b.peer.Layers.RegistrarForQueries, (*registration.Registrar).Reset),
		},
		{
			Name: "bootstrap list", Aliases: []string{"bootstrappeers"}, Group: "bootstrap", Data: true,
			Short: "the peers registered at the bootstrap service", Example: "bootstrap list", Run: b.showRegistered,
		},
		{
			Name: "bootstrap config", Aliases: []string{"bootstrapconfig"}, Group: "bootstrap", Data: true,
			Short: "the bootstrap service's configuration", Example: "bootstrap config", Run: b.showServiceConfig,
		},
	}
}

// bootstrapQuery asks the bootstrap service something.
type bootstrapQuery func(*registration.Registrar, context.Context) (bootstrap.Data, error)

// show asks the registrar that find returns, and shows the answer.
func show(find func() (*registration.Registrar, error), query bootstrapQuery) command.Func {
	return func(ctx context.Context, c *command.Call) error {
		registrar, err := find()
		if err != nil {
			return err
		}
		data, err := query(registrar, ctx)
		if err != nil {
			return err
		}
		return showData(c, data)
	}
}

// leaveList takes this peer off the list, and says where it was not on it.
func (b *Builtins) leaveList(ctx context.Context, c *command.Call) error {
	registrar, err := b.peer.Layers.RegistrarWithAddress()
	if err != nil {
		return err
	}
	before, err := registrar.List(ctx)
	if err != nil {
		return err
	}
	data, err := registrar.Leave(ctx)
	if err != nil {
		return err
	}
	if _, listed := before.Peers[registrar.Self().ID]; !listed && !c.JSON {
		c.Printf("%s was not on the list\n", b.peer.Name)
	}
	return showData(c, data)
}

// showData shows the service's whole answer.
func showData(c *command.Call, data bootstrap.Data) error {
	return c.Show(data, func() {
		c.Printf("%s of at most %d registered; minrefillcandidates is %d\n",
			count(len(data.Peers), "peer"), data.Config.MaxPeers, data.Config.MinRefillCandidates)
		c.Table(registeredHeader, registeredRows(data))
	})
}

var registeredHeader = []string{"NAME", "ADDRESS", "UP", "ID"}

func registeredRows(data bootstrap.Data) [][]string {
	peers := slices.SortedFunc(maps.Values(data.Peers), func(a, b bootstrap.Peer) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	rows := make([][]string, len(peers))
	for i, r := range peers {
		since := "-"
		if seconds, err := r.Since(); err == nil {
			since = age(time.Unix(seconds, 0))
		}
		rows[i] = []string{r.Name, r.Addr(), since, r.ID}
	}
	return rows
}

func (b *Builtins) showRegistered(ctx context.Context, c *command.Call) error {
	registrar, err := b.peer.Layers.RegistrarForQueries()
	if err != nil {
		return err
	}
	data, err := registrar.List(ctx)
	if err != nil {
		return err
	}
	return c.Show(data.Peers, func() { c.Table(registeredHeader, registeredRows(data)) })
}

func (b *Builtins) showServiceConfig(ctx context.Context, c *command.Call) error {
	registrar, err := b.peer.Layers.RegistrarForQueries()
	if err != nil {
		return err
	}
	data, err := registrar.List(ctx)
	if err != nil {
		return err
	}
	conf := struct {
		URL string `json:"url"`
		bootstrap.Config
	}{registrar.URL(), data.Config}
	return c.Show(conf, func() {
		c.Table([]string{"URL", "MAXPEERS", "MINREFILLCANDIDATES", "NUMPEERS"}, [][]string{{
			conf.URL, strconv.Itoa(conf.MaxPeers), strconv.Itoa(conf.MinRefillCandidates), strconv.Itoa(conf.NumPeers),
		}})
	})
}
