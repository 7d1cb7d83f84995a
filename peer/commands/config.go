package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/hashicorp/memberlist"

	"peerlab/peer/command"
	"peerlab/peer/files"
	"peerlab/peer/membership/memberlistconfig"
)

// maxFile bounds a file that a command reads, in bytes.
const maxFile = 1 << 20

func (b *Builtins) configCommands() []command.Command {
	return []command.Command{
		{
			Name: "config show", Aliases: []string{"showconfig"}, Group: "membership", Data: true,
			Short: "memberlist's configuration: the running one, or the next", Example: "config show",
			Run: b.showConfig,
		},
		{
			Name: "config set", Group: "membership", Usage: "Field=VALUE...", MinArgs: 1, MaxArgs: -1,
			Short: "change the configuration for the next create", Example: "config set ProbeInterval=500ms",
			Complete: settings, Run: b.setConfig,
		},
		{
			Name: "config save", Aliases: []string{"saveconfig"}, Group: "membership", Usage: "[FILE]", MaxArgs: 1,
			Short: "write the configuration to a file as JSON, memberlist.json without one", Example: "config save /run/peer/lan.json",
			Complete: b.completeFiles, Run: b.saveConfig,
		},
		{
			Name: "config load", Aliases: []string{"loadconfig"}, Group: "membership", Usage: "FILE", MinArgs: 1, MaxArgs: 1, Reads: true,
			Short: "read the configuration for the next create from a file", Example: "config load /run/peer/lan.json",
			Complete: b.completeFiles, Run: b.loadConfig,
		},
	}
}

// completeFiles completes the names of files as the peer sees them.
func (b *Builtins) completeFiles(_ []string, word string) []string {
	dir, _ := filepath.Split(word)
	from := dir
	if from == "" {
		from = "."
	}
	entries, err := b.peer.Files.ReadDir(from)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		name := dir + e.Name()
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	return names
}

func (b *Builtins) showConfig(_ context.Context, c *command.Call) error {
	conf, err := b.peer.Layers.Configuration()
	if err != nil {
		return err
	}
	encoded := memberlistconfig.Encode(conf)
	return c.Show(json.RawMessage(encoded), func() {
		var rows [][]string
		for _, line := range strings.Split(string(encoded), "\n") {
			if name, value, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), ","), ": "); ok {
				rows = append(rows, []string{strings.Trim(name, `"`), strings.Trim(value, `"`)})
			}
		}
		c.Table([]string{"FIELD", "VALUE"}, rows)
	})
}

func (b *Builtins) setConfig(_ context.Context, c *command.Call) error {
	exists, err := b.peer.Layers.ChangeConfiguration(func(conf *memberlist.Config) error {
		for _, s := range c.Args {
			field, value, ok := strings.Cut(s, "=")
			if !ok {
				return fmt.Errorf("config set: %q: write Field=value, for example SuspicionMult=5", s)
			}
			if err := memberlistconfig.Set(conf, field, value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if exists {
		c.Printf("set for the next create: the running membership keeps its configuration\n")
	}
	return nil
}

func (b *Builtins) saveConfig(ctx context.Context, c *command.Call) error {
	conf, err := b.peer.Layers.Configuration()
	if err != nil {
		return err
	}
	file := "memberlist.json"
	if len(c.Args) > 0 {
		file = c.Args[0]
	}
	if err := files.Write(files.For(ctx, b.peer.Files), file, memberlistconfig.Encode(conf), 0o600); err != nil {
		return fmt.Errorf("save the configuration: %w", err)
	}
	c.Printf("saved to %s\n", file)
	return nil
}

func (b *Builtins) loadConfig(ctx context.Context, c *command.Call) error {
	text, err := files.Read(files.For(ctx, b.peer.Files), c.Args[0], maxFile)
	if err != nil {
		return err
	}
	base, err := memberlistconfig.Configure(b.peer.Profile, nil)
	if err != nil {
		return err
	}
	base.BindAddr, base.BindPort, base.Name = "", -1, b.peer.Name
	conf, err := memberlistconfig.Decode(base, text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Args[0], err)
	}
	if err := b.peer.Layers.ReplaceConfiguration(conf); err != nil {
		return fmt.Errorf("%s: %w", c.Args[0], err)
	}
	c.Printf("loaded %s for the next create\n", c.Args[0])
	if conf.Name != b.peer.Name {
		c.Printf("it was saved by %s; this peer stays %s\n", conf.Name, b.peer.Name)
	}
	return nil
}
