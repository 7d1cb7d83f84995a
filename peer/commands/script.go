package commands

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

func (b *Builtins) scriptCommands() []command.Command {
	setHelp, setExample, unsetExample := "Everyone who types at this peer shares the variables.", "set greeting hello", "unset greeting"
	if b.isConversation() {
		setHelp += " \"set " + b.mode() + " on\" makes every\n" +
			"line that begins with no command a " + b.peer.App.Name + " message. \"set " + b.mode() + " slash\" makes one of every line\n" +
			"that is typed in a shell and does not begin with a slash: /members is a command then,\n" +
			"and /set " + b.mode() + " off ends that."
		setExample, unsetExample = "set "+b.mode()+" on", "unset "+b.mode()
	}
	without := ""
	if b.peer.App.HasSecrets {
		without = "the " + b.peer.App.Name + "'s secret and "
	}
	return []command.Command{
		{
			Name: "execute", Group: "script", Usage: "FILE", MinArgs: 1, MaxArgs: 1, Input: true, Reads: true,
			Short: "run a file of commands, a line each; - is standard input",
			Long: "Blank lines and those that begin with a # are skipped. The first line that fails ends the\n" +
				"script. Variables ($NAME, set by set) are replaced in every line.",
			Example: "execute /run/peer/script", Complete: b.completeFiles, Flags: b.execute,
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
			Long:  setHelp, Example: setExample, Run: b.set, Complete: b.completeSet,
		},
		{
			Name: "unset", Group: "script", Usage: "NAME...", MinArgs: 1, MaxArgs: -1,
			Short: "forget variables", Example: unsetExample,
			Complete: func([]string, string) []string { return slices.Sorted(maps.Keys(b.peer.Registry.Vars())) },
			Run: func(_ context.Context, c *command.Call) error {
				for _, name := range c.Args {
					if !b.peer.Registry.Unset(name) {
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
			Run:  b.runProgram,
		},
	}
}

// errNoInput answers a - where nothing can be read: a script that did not run
// must not count as one that did.
var errNoInput = errors.New("there is no standard input to read here: pipe it into peer exec or peerlab exec")

func (b *Builtins) execute(fs *flag.FlagSet) command.Func {
	keepGoing := fs.Bool("k", false, "go on after a line that fails, and fail at the end")
	return func(ctx context.Context, c *command.Call) error {
		if c.Args[0] == "-" {
			if c.NoInput {
				return errNoInput
			}
			return b.peer.Registry.RunScript(ctx, "standard input", io.LimitReader(c.In, maxFile), c.Out, *keepGoing)
		}
		sys := files.For(ctx, b.peer.Files)
		name, err := sys.Abs(c.Args[0])
		if err != nil {
			return err
		}
		text, err := files.Read(sys, name, maxFile)
		if err != nil {
			return err
		}
		return b.peer.Registry.RunScript(ctx, name, bytes.NewReader(text), c.Out, *keepGoing)
	}
}

func (b *Builtins) set(_ context.Context, c *command.Call) error {
	if len(c.Args) == 1 {
		return errors.New("set: write set NAME VALUE, or set alone to show all")
	}
	if len(c.Args) > 1 {
		value := strings.Join(c.Args[1:], " ")
		if b.isConversation() && c.Args[0] == b.mode() && !slices.Contains(modes, value) {
			return fmt.Errorf("set: no such mode as %q: %s is one of %s", value, b.mode(), strings.Join(modes, ", "))
		}
		if err := b.peer.Registry.SetVar(c.Args[0], value); err != nil {
			return err
		}
		if b.saysText() && c.Args[0] == b.mode() {
			c.Printf("in a shell, only a line that begins with a slash is a command now: /set %s off ends that\n", b.mode())
		}
		return nil
	}
	vars := b.peer.Registry.Vars()
	return c.Show(vars, func() {
		var rows [][]string
		for _, name := range slices.Sorted(maps.Keys(vars)) {
			rows = append(rows, []string{name, vars[name]})
		}
		c.Table([]string{"NAME", "VALUE"}, rows)
	})
}

// isConversation reports whether the application is one.
func (b *Builtins) isConversation() bool { return b.peer.App.ShowEvent != nil }

// mode is the variable that makes every line a message.
func (b *Builtins) mode() string { return b.peer.App.Name + "mode" }

// modeSlash and modeOn are among the modes, the values of that variable.
const (
	modeSlash = "slash"
	modeOn    = "on"
)

var modes = []string{modeOn, "off", modeSlash}

// completeSet proposes the names of variables, and the values of mode.
func (b *Builtins) completeSet(args []string, _ string) []string {
	switch {
	case len(args) == 0:
		names := slices.Collect(maps.Keys(b.peer.Registry.Vars()))
		if b.isConversation() {
			names = append(names, b.mode())
		}
		return names
	case len(args) == 1 && b.isConversation() && args[0] == b.mode():
		return slices.Clone(modes)
	}
	return nil
}

// saysText reports whether a line that is typed in a shell is said in the
// application's conversation unless it begins with a slash.
func (b *Builtins) saysText() bool {
	mode, _ := b.peer.Registry.Var(b.mode())
	return b.isConversation() && mode == modeSlash
}

// typedLineOf makes a message of a line without a slash, if saysText.
func (b *Builtins) typedLineOf(first string) ([]string, bool) {
	if strings.HasPrefix(first, "/") || !b.saysText() {
		return nil, false
	}
	return b.peer.App.LineCommand, true
}

// chatLineOf makes a message of a line that begins with no command, while
// chatmode is on.
func (b *Builtins) chatLineOf(first string) ([]string, bool) {
	if !b.isConversation() {
		return nil, false
	}
	if mode, _ := b.peer.Registry.Var(b.mode()); mode != modeOn || strings.HasPrefix(first, "/") {
		return nil, false
	}
	return b.peer.App.LineCommand, true
}

func (b *Builtins) runProgram(ctx context.Context, c *command.Call) error {
	if !b.peer.AllowShell {
		return errors.New("shell: programs are not allowed here: start the peer with --allow-shell")
	}
	if _, host := b.peer.Files.(files.OS); !host {
		return errors.New("shell: this peer is simulated: it has no programs")
	}
	program := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	program.Stdin, program.Stdout, program.Stderr = c.In, c.Out, c.Out
	program.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(b.peer.SecretVariables, name)
	})
	program.WaitDelay = time.Second
	if err := program.Run(); err != nil {
		return fmt.Errorf("shell: %s: %w", c.Args[0], err)
	}
	return nil
}
