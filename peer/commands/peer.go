package commands

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/peer/command"
)

// infoCommands come before all others of their group.
func (b *Builtins) infoCommands() []command.Command {
	return []command.Command{
		{
			Name: "info", Group: "peer", Data: true,
			Short: "this peer at a glance", Example: "info", Run: b.showInfo,
		},
	}
}

func (b *Builtins) peerCommands() []command.Command {
	return []command.Command{
		{
			Name: "events", Group: "peer",
			Short:   "what this peer observed, latest last",
			Long:    "Events are JSON lines; docs and the README say what each kind carries.\n" + kindHelp,
			Example: "events -kind member,peer.health -since 5m", Flags: b.showEvents, Values: map[string][]string{"kind": event.KindWords(event.Kinds())},
		},
		{
			Name: "help", Group: "peer", Usage: "[COMMAND|GROUP]", MaxArgs: -1,
			Short:   "what can be typed here",
			Example: "help members",
			Run: func(_ context.Context, c *command.Call) error {
				text, err := b.peer.Registry.Help(c.Args, c.Columns)
				if err != nil {
					return err
				}
				_, err = io.WriteString(c.Out, text)
				return err
			},
			Complete: func(args []string, _ string) []string {
				if len(args) == 0 {
					return append(b.peer.Registry.Groups(), append([]string{"groups"}, b.completeNames(args)...)...)
				}
				if args[0] == "groups" {
					return b.peer.Registry.Groups()
				}
				return b.completeNames(args)
			},
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

func (b *Builtins) completeNames(args []string) []string {
	candidates, _ := b.peer.Registry.Complete(strings.Join(append(slices.Clone(args), ""), " "))
	return candidates
}

func (b *Builtins) showEvents(fs *flag.FlagSet) command.Func {
	n := fs.Int("n", 20, "how `many` of the latest to show; with -since, all if -n is not given")
	follow := fs.Bool("follow", false, "go on until interrupted")
	format := fs.String("format", "json", "`json`: there is no other format")
	f := kindFlag(fs)
	fs.Func("since", "only those of the last `duration`, or since a time such as 15:04 or 2026-11-23T12:37:38Z", func(text string) (err error) {
		f.Since, err = event.ParseSince(text, time.Now())
		return err
	})
	return func(ctx context.Context, c *command.Call) error {
		if *format != "json" {
			return fmt.Errorf("events: no format %q: events are JSON lines; peerlab events shows them for people", *format)
		}
		if *n < 0 {
			return errors.New("events: -n takes 0 or more")
		}
		events, _ := b.peer.Events.Since(0)
		var after uint64
		if len(events) > 0 {
			after = events[len(events)-1].Seq
		}
		events = slices.DeleteFunc(events, func(e event.Event) bool { return !f.Shows(e) })
		nGiven := false
		fs.Visit(func(f *flag.Flag) { nGiven = nGiven || f.Name == "n" })
		if nGiven || f.Since.IsZero() {
			events = events[max(0, len(events)-*n):]
		}
		for _, e := range events {
			if _, err := c.Out.Write(e.Encode()); err != nil {
				return err
			}
		}
		if !*follow {
			return nil
		}
		err := b.peer.Events.Follow(ctx, after, func(e event.Event) error {
			if !f.Shows(e) {
				return nil
			}
			_, err := c.Out.Write(e.Encode())
			return err
		})
		if ctx.Err() != nil || errors.Is(err, event.ErrClosed) {
			return nil // interrupted, as intended, or the peer ends
		}
		return err
	}
}

// kindHelp says what -kind is for.
const kindHelp = string(event.PeerTraffic) + " and " + string(event.PeerQueues) + ", which come every five seconds, are shown where -kind\n" +
	"names them: -kind all shows everything."

// kindFlag adds -kind to fs. It returns the filter that -kind fills in.
func kindFlag(fs *flag.FlagSet) *event.Filter {
	f := &event.Filter{}
	fs.Func("kind", "only these `kinds` or layers, such as member,chat.sent; all is every kind", func(text string) error {
		kinds, err := event.ParseKinds(strings.Split(text, ","), event.Kinds())
		f.Kinds = append(f.Kinds, kinds...)
		return err
	})
	return f
}
