package peer

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"peerlab/peer/command"
	"peerlab/peer/files"
)

func (p *Peer) scriptCommands() []command.Command {
	setHelp, setExample, unsetExample := "Everyone who types at this peer shares the variables.", "set greeting hello", "unset greeting"
	if _, ok := p.app.(Conversation); ok {
		setHelp += " \"set " + p.mode() + " on\" makes every\n" +
			"line that begins with no command a " + p.app.Name() + " message. \"set " + p.mode() + " slash\" makes one of every line\n" +
			"that is typed in a shell and does not begin with a slash: /members is a command then,\n" +
			"and /set " + p.mode() + " off ends that."
		setExample, unsetExample = "set "+p.mode()+" on", "unset "+p.mode()
	}
	without := ""
	if app, ok := p.app.(SecretTaker); ok {
		without = "the " + app.Name() + "'s secret and "
	}
	return []command.Command{
		{
			Name: "execute", Group: "script", Usage: "FILE", MinArgs: 1, MaxArgs: 1, Input: true, Reads: true,
			Short: "run a file of commands, a line each; - is standard input",
			Long: "Blank lines and those that begin with a # are skipped. The first line that fails ends the\n" +
				"script. Variables ($NAME, set by set) are replaced in every line.",
			Example: "execute /run/peer/script", Complete: p.completeFiles, Flags: p.execute,
		},
		{
			Name: "sleep", Group: "script", Usage: "SECONDS", MinArgs: 1, MaxArgs: 1,
			Short: "wait", Example: "sleep 0.5",
			Run: func(ctx context.Context, c *command.Call) error {
				d, err := duration(c.Args[0])
				if err != nil {
					return fmt.Errorf("sleep: %w", err)
				}
				timer := time.NewTimer(d)
				defer timer.Stop()
				select {
				case <-timer.C:
					return nil
				case <-ctx.Done():
					return errors.New("sleep: interrupted")
				}
			},
		},
		{
			Name: "echo", Group: "script", Usage: "TEXT...", MaxArgs: -1, Text: true,
			Short: "print the text", Example: "echo $NAME",
			Run: func(_ context.Context, c *command.Call) error {
				c.Printf("%s\n", strings.Join(c.Args, " "))
				return nil
			},
		},
		{
			Name: "set", Group: "script", Usage: "[NAME VALUE...]", MaxArgs: -1, Data: true, FlagsFirst: true,
			Short: "set a variable that lines read as $NAME, or show all",
			Long:  setHelp, Example: setExample, Run: p.set, Complete: p.completeSet,
		},
		{
			Name: "unset", Group: "script", Usage: "NAME...", MinArgs: 1, MaxArgs: -1,
			Short: "forget variables", Example: unsetExample,
			Complete: func([]string, string) []string { return slices.Sorted(maps.Keys(p.commands.Vars())) },
			Run: func(_ context.Context, c *command.Call) error {
				for _, name := range c.Args {
					if !p.commands.Unset(name) {
						return fmt.Errorf("unset: variable %s is not set", name)
					}
				}
				return nil
			},
		},
		{
			Name: "shell", Group: "script", Usage: "CMD [ARG...]", MinArgs: 1, MaxArgs: -1, FlagsFirst: true, Input: true,
			Short: "run a program where the peer runs, if it was started with --allow-shell", Example: "shell date",
			Long: "The program has the peer's environment without " + without + "the bootstrap\nservice's token.",
			Run:  p.runProgram,
		},
	}
}

// errNoInput answers a - where nothing can be read: a script that did not run
// must not count as one that did.
var errNoInput = errors.New("there is no standard input to read here: pipe it into peer exec or peerlab exec")

func (p *Peer) execute(fs *flag.FlagSet) command.Func {
	keepGoing := fs.Bool("k", false, "go on after a line that fails, and fail at the end")
	return func(ctx context.Context, c *command.Call) error {
		if c.Args[0] == "-" {
			if c.NoInput {
				return errNoInput
			}
			return p.commands.RunScript(ctx, "standard input", io.LimitReader(c.In, maxFile), c.Out, *keepGoing)
		}
		sys := files.For(ctx, p.conf.Files)
		name, err := sys.Abs(c.Args[0])
		if err != nil {
			return err
		}
		text, err := files.Read(sys, name, maxFile)
		if err != nil {
			return err
		}
		return p.commands.RunScript(ctx, name, bytes.NewReader(text), c.Out, *keepGoing)
	}
}

func (p *Peer) set(_ context.Context, c *command.Call) error {
	if len(c.Args) == 1 {
		return errors.New("set: write set NAME VALUE, or set alone to show all")
	}
	if len(c.Args) > 1 {
		value := strings.Join(c.Args[1:], " ")
		if _, says := p.app.(Conversation); says && c.Args[0] == p.mode() && !slices.Contains(modes, value) {
			return fmt.Errorf("set: no such mode as %q: %s is one of %s", value, p.mode(), strings.Join(modes, ", "))
		}
		if err := p.commands.SetVar(c.Args[0], value); err != nil {
			return err
		}
		if p.saysText() && c.Args[0] == p.mode() {
			c.Printf("in a shell, only a line that begins with a slash is a command now: /set %s off ends that\n", p.mode())
		}
		return nil
	}
	vars := p.commands.Vars()
	return c.Show(vars, func() {
		var rows [][]string
		for _, name := range slices.Sorted(maps.Keys(vars)) {
			rows = append(rows, []string{name, vars[name]})
		}
		c.Table([]string{"NAME", "VALUE"}, rows)
	})
}

// mode is the variable that makes every line a message.
func (p *Peer) mode() string { return appName(p.app) + "mode" }

// modeSlash and modeOn are among the modes, the values of that variable.
const (
	modeSlash = "slash"
	modeOn    = "on"
)

var modes = []string{modeOn, "off", modeSlash}

// completeSet proposes the names of variables, and the values of mode.
func (p *Peer) completeSet(args []string, _ string) []string {
	_, says := p.app.(Conversation)
	switch {
	case len(args) == 0:
		names := slices.Collect(maps.Keys(p.commands.Vars()))
		if says {
			names = append(names, p.mode())
		}
		return names
	case len(args) == 1 && says && args[0] == p.mode():
		return slices.Clone(modes)
	}
	return nil
}

// saysText reports whether a line that is typed in a shell is said in the
// application's conversation unless it begins with a slash.
func (p *Peer) saysText() bool {
	_, ok := p.app.(Conversation)
	mode, _ := p.commands.Var(p.mode())
	return ok && mode == modeSlash
}

// typedLineOf makes a message of a line without a slash, if saysText.
func (p *Peer) typedLineOf(first string) ([]string, bool) {
	if strings.HasPrefix(first, "/") || !p.saysText() {
		return nil, false
	}
	return p.app.(Conversation).LineCommand(), true
}

// chatLineOf makes a message of a line that begins with no command, while
// chatmode is on.
func (p *Peer) chatLineOf(first string) ([]string, bool) {
	app, ok := p.app.(Conversation)
	if !ok {
		return nil, false
	}
	if mode, _ := p.commands.Var(p.mode()); mode != modeOn || strings.HasPrefix(first, "/") {
		return nil, false
	}
	return app.LineCommand(), true
}

func (p *Peer) runProgram(ctx context.Context, c *command.Call) error {
	if !p.conf.AllowShell {
		return errors.New("shell: programs are not allowed here: start the peer with --allow-shell")
	}
	if _, host := p.conf.Files.(files.OS); !host {
		return errors.New("shell: this peer is simulated: it has no programs")
	}
	program := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	program.Stdin, program.Stdout, program.Stderr = c.In, c.Out, c.Out
	secrets := map[string]*string{}
	if app, ok := p.app.(SecretTaker); ok {
		secrets = app.Secrets()
	}
	program.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		_, secret := secrets[name]
		return secret || name == BootstrapTokenVariable
	})
	program.WaitDelay = time.Second
	if err := program.Run(); err != nil {
		return fmt.Errorf("shell: %s: %w", c.Args[0], err)
	}
	return nil
}
