package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/memberlist"

	"peerlab/peer/command"
	"peerlab/peer/files"
	"peerlab/peer/membership"
)

// maxFile bounds a file that a command reads, in bytes.
const maxFile = 1 << 20

func (p *Peer) configCommands() []command.Command {
	return []command.Command{
		{
			Name: "config show", Aliases: []string{"showconfig"}, Group: "membership", Data: true,
			Short: "memberlist's configuration: the running one, or the next", Example: "config show",
			Run: p.showConfig,
		},
		{
			Name: "config set", Group: "membership", Usage: "Field=VALUE...", MinArgs: 1, MaxArgs: -1,
			Short: "change the configuration for the next create", Example: "config set ProbeInterval=500ms",
			Complete: settings, Run: p.setConfig,
		},
		{
			Name: "config save", Aliases: []string{"saveconfig"}, Group: "membership", Usage: "[FILE]", MaxArgs: 1,
			Short: "write the configuration to a file as JSON, memberlist.json without one", Example: "config save /run/peer/lan.json",
			Complete: p.completeFiles, Run: p.saveConfig,
		},
		{
			Name: "config load", Aliases: []string{"loadconfig"}, Group: "membership", Usage: "FILE", MinArgs: 1, MaxArgs: 1, Reads: true,
			Short: "read the configuration for the next create from a file", Example: "config load /run/peer/lan.json",
			Complete: p.completeFiles, Run: p.loadConfig,
		},
	}
}

// completeFiles completes the names of files as the peer sees them.
func (p *Peer) completeFiles(_ []string, word string) []string {
	dir, _ := filepath.Split(word)
	from := dir
	if from == "" {
		from = "."
	}
	entries, err := p.conf.Files.ReadDir(from)
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

// configuration returns the configuration in use, or the one for the next
// create, addresses included.
func (p *Peer) configuration() (*memberlist.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life != nil {
		return p.life.members.Config(), nil
	}
	if p.list == nil {
		return nil, errors.New("nothing is configured: membership configure first")
	}
	conf := *p.list
	conf.Name = p.conf.Name
	host, port, err := net.SplitHostPort(p.bind)
	if err == nil {
		conf.BindAddr = host
		conf.BindPort, _ = strconv.Atoi(port)
	}
	conf.AdvertiseAddr, conf.AdvertisePort = p.advertise, 0
	if host, port, err := net.SplitHostPort(p.advertise); err == nil {
		conf.AdvertiseAddr = host
		conf.AdvertisePort, _ = strconv.Atoi(port)
	}
	return &conf, nil
}

func (p *Peer) showConfig(_ context.Context, c *command.Call) error {
	conf, err := p.configuration()
	if err != nil {
		return err
	}
	encoded := membership.EncodeConfig(conf)
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

func (p *Peer) setConfig(_ context.Context, c *command.Call) error {
	p.step.Lock()
	defer p.step.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list == nil {
		return errors.New("nothing is configured: membership configure first")
	}
	conf := *p.list
	for _, s := range c.Args {
		field, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("config set: %q: write Field=value, for example SuspicionMult=5", s)
		}
		if err := membership.Set(&conf, field, value); err != nil {
			return err
		}
	}
	p.list = &conf
	if p.life != nil {
		c.Printf("set for the next create: the running membership keeps its configuration\n")
	}
	return nil
}

func (p *Peer) saveConfig(ctx context.Context, c *command.Call) error {
	conf, err := p.configuration()
	if err != nil {
		return err
	}
	file := "memberlist.json"
	if len(c.Args) > 0 {
		file = c.Args[0]
	}
	if err := files.Write(files.For(ctx, p.conf.Files), file, membership.EncodeConfig(conf), 0o600); err != nil {
		return fmt.Errorf("save the configuration: %w", err)
	}
	c.Printf("saved to %s\n", file)
	return nil
}

func (p *Peer) loadConfig(ctx context.Context, c *command.Call) error {
	text, err := files.Read(files.For(ctx, p.conf.Files), c.Args[0], maxFile)
	if err != nil {
		return err
	}
	base, err := membership.Configure(p.conf.Profile, nil)
	if err != nil {
		return err
	}
	base.BindAddr, base.BindPort, base.Name = "", -1, p.conf.Name
	conf, err := membership.DecodeConfig(base, text)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Args[0], err)
	}
	p.step.Lock()
	defer p.step.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if conf.BindAddr != "" && conf.BindPort >= 0 {
		bind := net.JoinHostPort(conf.BindAddr, strconv.Itoa(conf.BindPort))
		if err := membership.CheckAddr("membership", bind); err != nil {
			return fmt.Errorf("%s: %w", c.Args[0], err)
		}
		p.bind = bind
	}
	p.advertise = conf.AdvertiseAddr
	if conf.AdvertiseAddr != "" && conf.AdvertisePort > 0 {
		p.advertise = net.JoinHostPort(conf.AdvertiseAddr, strconv.Itoa(conf.AdvertisePort))
	}
	p.list = conf
	c.Printf("loaded %s for the next create\n", c.Args[0])
	if conf.Name != p.conf.Name {
		c.Printf("it was saved by %s; this peer stays %s\n", conf.Name, p.conf.Name)
	}
	return nil
}

// setBindPort changes the port for the next create.
func (p *Peer) setBindPort(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if host, _, err := net.SplitHostPort(p.bind); err == nil {
		p.bind = net.JoinHostPort(host, strconv.Itoa(port))
	}
}
