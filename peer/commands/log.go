package commands

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"peerlab/event"
	"peerlab/peer/command"
	"peerlab/peer/files"
	"peerlab/peer/logging"
)

func (b *Builtins) layerNames([]string, string) []string {
	names := []string{"bootstrap", "membership"}
	if b.peer.App.Name != "" {
		names = append(names, b.peer.App.Name)
	}
	return names
}

var levelNames = []string{"debug", "info", "warn", "error"}

func (b *Builtins) logCommands() []command.Command {
	levels := map[string][]string{"level": levelNames, "layer": b.layerNames(nil, "")}
	layers := "bootstrap, membership (with\nmemberlist's own lines) and " + b.peer.App.Name + "."
	if b.peer.App.Name == "" {
		layers = "bootstrap and\nmembership (with memberlist's own lines)."
	}
	return []command.Command{
		{
			Name: "log on", Group: "log", Usage: "FILE", MinArgs: 1, MaxArgs: 1,
			Short: "write this peer's log to a file too", Example: "log on /run/peer/log", Complete: b.completeFiles,
			Run: func(ctx context.Context, c *command.Call) error {
				if err := b.peer.Log.On(files.For(ctx, b.peer.Files), c.Args[0]); err != nil {
					return err
				}
				c.Printf("the log goes to %s\n", c.Args[0])
				return nil
			},
		},
		{
			Name: "log off", Group: "log",
			Short: "stop writing the log to the file", Example: "log off",
			Run: func(context.Context, *command.Call) error { return b.peer.Log.Off() },
		},
		{
			Name: "log level", Group: "log", Usage: "[LEVEL [LAYER]]", MaxArgs: 2, Data: true,
			Short:   "what is logged from now on, by all layers or one; without LEVEL, show it",
			Long:    "Levels are debug, info, warn and error; layers are " + layers,
			Example: "log level debug membership", Run: b.logLevel,
			Complete: func(args []string, word string) []string {
				if len(args) == 0 {
					return levelNames
				}
				return b.layerNames(args, word)
			},
		},
		{
			Name: "log follow", Group: "log",
			Short: "show the log as it comes, until interrupted", Example: "log follow -layer membership",
			Flags: b.followLog, Values: levels,
		},
		{
			Name: "monitor", Group: "log",
			Short: "show events and the log as they come, until interrupted", Example: "monitor -level debug",
			Long:  kindHelp,
			Flags: b.monitor, Values: map[string][]string{"level": levels["level"], "layer": levels["layer"], "kind": event.KindWords(event.Kinds())},
		},
	}
}

func (b *Builtins) logLevel(_ context.Context, c *command.Call) error {
	if len(c.Args) == 0 {
		levels := map[string]string{}
		for layer, level := range b.peer.Log.Levels() {
			if layer == "" {
				layer = "all"
			}
			levels[layer] = strings.ToLower(level.String())
		}
		return c.Show(levels, func() {
			var rows [][]string
			for _, layer := range slices.Sorted(maps.Keys(levels)) {
				rows = append(rows, []string{layer, levels[layer]})
			}
			c.Table([]string{"LAYER", "LEVEL"}, rows)
		})
	}
	level, err := logging.ParseLevel(c.Args[0])
	if err != nil {
		return err
	}
	layer := ""
	if len(c.Args) == 2 && c.Args[1] != "all" {
		layer = c.Args[1]
		if names := b.layerNames(nil, ""); !slices.Contains(names, layer) {
			return fmt.Errorf("log level: unknown layer %q: use all, %s", layer, strings.Join(names, ", "))
		}
	}
	b.peer.Log.SetLevel(layer, level)
	return nil
}

// logFlags are -level and -layer.
func logFlags(fs *flag.FlagSet) func() (logging.Filter, error) {
	level := fs.String("level", "debug", "the least `level` shown")
	layer := fs.String("layer", "", "only this `layer`")
	return func() (logging.Filter, error) {
		l, err := logging.ParseLevel(*level)
		return logging.Filter{Layer: *layer, Level: l}, err
	}
}

func (b *Builtins) followLog(fs *flag.FlagSet) command.Func {
	filter := logFlags(fs)
	n := fs.Int("n", 0, "begin with this `many` of the latest lines")
	return func(ctx context.Context, c *command.Call) error {
		f, err := filter()
		if err != nil {
			return err
		}
		for _, line := range b.peer.Log.Recent(*n) {
			c.Printf("%s\n", line)
		}
		_ = b.peer.Log.Follow(ctx, f, func(line string) { c.Printf("%s\n", line) })
		return nil // it ends when interrupted, as intended
	}
}

func (b *Builtins) monitor(fs *flag.FlagSet) command.Func {
	filter := logFlags(fs)
	shown := kindFlag(fs)
	return func(ctx context.Context, c *command.Call) error {
		f, err := filter()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		lines := make(chan string)
		done := make(chan struct{})
		put := func(line string) {
			select {
			case lines <- line:
			case <-ctx.Done():
			}
		}
		go func() {
			defer close(done)
			_ = b.peer.Log.Follow(ctx, f, put)
		}()
		follower := make(chan struct{})
		go func() {
			defer close(follower)
			defer cancel()
			_ = b.peer.Events.Follow(ctx, b.peer.Events.Last(), func(e event.Event) error {
				if shown.Shows(e) {
					put(event.Line(e))
				}
				return nil
			})
		}()
		for {
			select {
			case line := <-lines:
				c.Printf("%s\n", line)
			case <-ctx.Done():
				<-done
				<-follower
				return nil
			}
		}
	}
}
