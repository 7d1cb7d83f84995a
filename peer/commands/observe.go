package commands

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerlab/peer/command"
	"peerlab/peer/membership"
)

func (b *Builtins) observeCommands() []command.Command {
	return []command.Command{
		{
			Name: "info", Group: "peer", Data: true,
			Short: "this peer at a glance", Example: "info", Run: b.showInfo,
		},
		{
			Name: "membership show", Aliases: []string{"showmemberlist"}, Group: "membership", Data: true,
			Short: "memberlist's inner state", Example: "membership show", Run: b.showMemberlist,
			Long: "Also what was not believed: members beyond --max-members or with impossible names,\n" +
				"metadata or addresses; records of the broadcast map whose clock no cluster can have\n" +
				"come to; messages that are malformed. The log has the first of each.",
		},
		{
			Name: "rtt", Group: "membership", Usage: "[A [B]]", MaxArgs: 2, Data: true,
			Short: "round trips: measured to everyone or to A, or estimated between A and B",
			Long: "Between two other members the time is estimated from network coordinates, which\n" +
				"members learn from each other's probes (Vivaldi, as in Serf): off at first, within\n" +
				"some ten percent after a few dozen probes.",
			Example: "rtt alice bob", Complete: b.names, Run: b.showRTT,
		},
		{
			Name: "reachability", Group: "membership", Usage: "[NAME...]", MaxArgs: -1, Data: true,
			Short: "who answers this peer now, over UDP and over TCP", Example: "reachability",
			Complete: b.names, Run: b.showReachability,
		},
		{
			Name: "tags", Group: "membership", Usage: "[NAME=VALUE...]", MaxArgs: -1, Data: true,
			Short: "what this peer tells the others about itself; NAME= takes a tag back",
			Long:  "Tags travel in the node metadata, of which memberlist carries 512 bytes.", Example: "tags role=db zone=a",
			Run: b.runTags,
		},
	}
}

func (b *Builtins) showInfo(_ context.Context, c *command.Call) error {
	s, err := b.peer.Layers.Created()
	created, joined := err == nil, b.peer.Layers.AppJoined()
	type info struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Uptime  string `json:"uptime"`
		Profile string `json:"profile"`
		Ready   bool   `json:"ready"`
		// Membership is up, left, shut down, without network or not created.
		Membership string `json:"membership"`
		Bootstrap  string `json:"bootstrap,omitempty"`
		Rejoin     string `json:"rejoin"`
		App        string `json:"app"`
		// Joined says that the others are told so.
		Joined    bool           `json:"joined"`
		Addr      string         `json:"addr,omitempty"`
		Health    *int           `json:"health,omitempty"` // absent without a membership that runs
		Encrypted bool           `json:"encrypted"`
		Members   map[string]int `json:"members,omitempty"`
		Events    uint64         `json:"events"`
	}
	i := info{
		Name: b.peer.Name, Version: b.peer.Version, Uptime: age(b.peer.Started), Profile: b.peer.Profile,
		Ready: b.peer.Layers.InCluster() == nil, Membership: b.peer.Layers.State(), Rejoin: b.peer.Rejoin.String(),
		App: b.peer.App.Name, Joined: joined && created && s.Unusable == nil, Events: b.peer.Events.Last(),
	}
	if registrar := b.peer.Layers.Registrar(); registrar != nil {
		i.Bootstrap = registrar.URL()
	}
	if created {
		i.Addr = s.Members.Addr()
	}
	if members, err := b.membersOrErr(); err == nil {
		health := members.Health()
		i.Health, i.Encrypted = &health, len(members.Keys()) > 0
		i.Members = map[string]int{}
		for _, m := range members.Members() {
			i.Members[string(m.State)]++
		}
	}
	return c.Show(i, func() {
		var states []string
		for _, state := range slices.Sorted(maps.Keys(i.Members)) {
			states = append(states, fmt.Sprintf("%d %s", i.Members[state], state))
		}
		health := "-"
		if i.Health != nil {
			health = strconv.Itoa(*i.Health)
		}
		rows := [][]string{
			{"name", i.Name},
			{"version", dashIfEmpty(i.Version)},
			{"uptime", i.Uptime},
			{"profile", i.Profile},
			{"ready", strconv.FormatBool(i.Ready)},
			{"membership", string(i.Membership)},
			{"bootstrap", dashIfEmpty(i.Bootstrap)},
			{"rejoin", i.Rejoin},
		}
		if i.App != "" {
			app := "not joined"
			switch {
			case i.Joined:
				app = "joined"
			case joined:
				app = "waits for a membership"
			}
			rows = append(rows, []string{i.App, app})
		}
		c.Table([]string{"WHAT", "VALUE"}, append(rows, [][]string{
			{"address", dashIfEmpty(i.Addr)},
			{"health", health},
			{"encrypted", strconv.FormatBool(i.Encrypted)},
			{"members", dashIfEmpty(strings.Join(states, ", "))},
			{"events", strconv.FormatUint(i.Events, 10)},
		}...))
	})
}

func (b *Builtins) showMemberlist(_ context.Context, c *command.Call) error {
	s, err := b.peer.Layers.Created()
	if err != nil {
		return err
	}
	down, started := s.Down, s.Gossiping
	type broadcastCounts struct {
		Malformed uint64 `json:"malformed"`
		Refused   uint64 `json:"refused"`
	}
	state := struct {
		Addr       string              `json:"addr"`
		Down       bool                `json:"down"`
		Left       bool                `json:"left"`
		Started    bool                `json:"started"`
		Health     int                 `json:"health"`
		Online     int                 `json:"online"`
		Dropped    uint64              `json:"dropped"`
		Refused    uint64              `json:"refused"`
		Broadcasts broadcastCounts     `json:"broadcasts"`
		Members    []membership.Member `json:"members"`
		Missing    []string            `json:"missing"`
		Encryption []membership.Key    `json:"encryption"`
	}{
		s.Members.Addr(), down, s.Members.HasLeft(), started, s.Members.Health(), s.Members.Online(),
		s.Members.Dropped(), s.Members.Refused(),
		broadcastCounts{s.Values.Dropped(), s.Values.Refused()},
		s.Members.Members(), s.Members.Missing(), s.Members.Keys(),
	}
	return c.Show(state, func() {
		c.Printf("address %s, health %d, %d online, broadcasts started %t, left %t, shut down %t, dropped messages %d\n",
			state.Addr, state.Health, state.Online, started, state.Left, down, state.Dropped)
		c.Printf("claims of members refused %d; broadcast map: records refused %d, malformed messages %d\n",
			state.Refused, state.Broadcasts.Refused, state.Broadcasts.Malformed)
		if len(state.Missing) > 0 {
			c.Printf("former members that a rejoin contacts: %s\n", strings.Join(state.Missing, ", "))
		}
		if down {
			c.Printf("membership is shut down: this is what it held its members to be at its end\n")
		}
		rows := make([]memberRow, len(state.Members))
		for i, m := range state.Members {
			rows[i].Member = m
		}
		b.showTable(c, rows, s.UpToDate)
	})
}

// find returns the named members, all but this peer without names.
func (b *Builtins) find(members *membership.Membership, names []string) ([]membership.Member, error) {
	table := members.Members()
	for _, name := range names {
		if !slices.ContainsFunc(table, func(m membership.Member) bool { return m.Name == name }) {
			return nil, unknownMember(members, name)
		}
	}
	return slices.DeleteFunc(table, func(m membership.Member) bool {
		if len(names) > 0 {
			return !slices.Contains(names, m.Name)
		}
		return m.Name == b.peer.Name || !m.Online()
	}), nil
}

func (b *Builtins) showRTT(_ context.Context, c *command.Call) error {
	members, err := b.membersOrErr()
	if err != nil {
		return err
	}
	if len(c.Args) == 2 {
		if _, err := b.find(members, c.Args); err != nil {
			return err
		}
		a, b := c.Args[0], c.Args[1]
		estimate, ok := members.RTT(a, b)
		if !ok {
			return fmt.Errorf("rtt: this peer has not learnt the coordinates of %s and %s yet: try again in a minute", a, b)
		}
		return c.Show(map[string]any{"a": a, "b": b, "estimate_ns": estimate}, func() {
			c.Printf("%s ↔ %s: about %s, estimated\n", a, b, rtt(estimate))
		})
	}
	found, err := b.find(members, c.Args)
	if err != nil {
		return err
	}
	type measured struct {
		Name     string        `json:"name"`
		RTT      time.Duration `json:"rtt_ns"`
		Estimate time.Duration `json:"estimate_ns"`
	}
	all := []measured{}
	for _, m := range found {
		estimate, _ := members.RTT(b.peer.Name, m.Name)
		all = append(all, measured{m.Name, m.RTT, estimate})
	}
	return c.Show(all, func() {
		var rows [][]string
		for _, m := range all {
			rows = append(rows, []string{m.Name, rtt(m.RTT), rtt(m.Estimate)})
		}
		c.Table([]string{"NAME", "LAST PROBE", "ESTIMATE"}, rows)
	})
}

func (b *Builtins) showReachability(ctx context.Context, c *command.Call) error {
	s, err := b.peer.Layers.Running()
	if err != nil {
		return err
	}
	found, err := b.find(s.Members, c.Args)
	if err != nil {
		return err
	}
	type reach struct {
		Name string `json:"name"`
		UDP  string `json:"udp"`
		TCP  string `json:"tcp"`
	}
	all := make([]reach, len(found))
	done := make(chan struct{})
	for i, m := range found {
		go func() {
			defer func() { done <- struct{}{} }()
			all[i] = reach{m.Name, outcome(s.Members.Ping(ctx, m.Name)), outcome(s.Members.Dial(ctx, m.Name))}
		}()
	}
	for range found {
		<-done
	}
	slices.SortFunc(all, func(a, b reach) int { return cmp.Compare(a.Name, b.Name) })
	return c.Show(all, func() {
		rows := make([][]string, len(all))
		for i, r := range all {
			rows[i] = []string{r.Name, r.UDP, r.TCP}
		}
		c.Table([]string{"NAME", "UDP", "TCP"}, rows)
	})
}

// outcome says how long something took, or why it did not.
func outcome(took time.Duration, err error) string {
	var timeout net.Error
	switch {
	case err == nil:
		return rtt(took)
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, membership.ErrNoAnswer):
		return "no answer"
	}
	return err.Error()
}

func (b *Builtins) runTags(ctx context.Context, c *command.Call) error {
	s, err := b.peer.Layers.Running()
	if err != nil {
		return err
	}
	changes := map[string]string{}
	for _, arg := range c.Args {
		name, value, ok := strings.Cut(arg, "=")
		switch {
		case !ok || name == "":
			return fmt.Errorf("tags: %q: write NAME=VALUE, or NAME= to take a tag back", arg)
		case name == b.peer.App.Name:
			return fmt.Errorf("tags: %s is where the %s is announced: choose another name", name, name)
		}
		changes[name] = value
	}
	if len(changes) > 0 {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return s.Members.SetMeta(ctx, func(m membership.Meta) {
			for name, value := range changes {
				if value == "" {
					delete(m, name)
				} else {
					m[name] = value
				}
			}
		})
	}
	tags := s.Members.Meta()
	return c.Show(tags, func() {
		var rows [][]string
		for _, name := range slices.Sorted(maps.Keys(tags)) {
			rows = append(rows, []string{name, tags[name]})
		}
		c.Table([]string{"TAG", "VALUE"}, rows)
	})
}
