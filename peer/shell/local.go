package shell

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/abiosoft/ishell/v2"

	"peerlab/internal/terminal"
)

// localCommands are the commands of the shell itself, with their usage and help.
var localCommands = []struct{ name, usage, help string }{
	{"exit", "exit", "leave the shell, as Ctrl-D does"},
	{"history", "history [N]", "show what was typed, or the last N lines of it"},
	{"clear", "clear", "clear the screen, as Ctrl-L does"},
}

func localNames() []string {
	var names []string
	for _, c := range localCommands {
		names = append(names, c.name)
	}
	return names
}

// localHelp goes below the overview of the peer's commands.
func localHelp(columns int) string {
	var items [][2]string
	for _, c := range localCommands {
		items = append(items, [2]string{c.usage, c.help})
	}
	return "\nshell\n" + terminal.Definitions(items, columns)
}

// isLocal says whether words are for the shell: one of its commands, or help
// for one.
func isLocal(words []string) bool {
	if len(words) == 2 && words[0] == "help" {
		words = words[1:]
	}
	for _, c := range localCommands {
		if len(words) > 0 && words[0] == c.name {
			return true
		}
	}
	return false
}

// addLocal makes the shell's own commands ishell's.
func (s *session) addLocal() {
	s.sh.AutoHelp(false)
	do := map[string]func(*ishell.Context) error{"exit": s.exit, "history": s.showHistory, "clear": s.clear}
	for _, c := range localCommands {
		s.sh.AddCmd(&ishell.Cmd{Name: c.name, Help: c.help, Func: func(ctx *ishell.Context) {
			ctx.Err(do[c.name](ctx))
		}})
	}
	s.sh.AddCmd(&ishell.Cmd{Name: "help", Func: func(ctx *ishell.Context) {
		for _, c := range localCommands {
			if c.name == ctx.Args[0] {
				s.print(c.help + "\n\nusage: " + c.usage + "\n")
			}
		}
	}})
}

func (s *session) exit(c *ishell.Context) error {
	if len(c.Args) > 0 {
		return errors.New("exit takes no argument: the shell has no status of its own")
	}
	s.left = true
	return nil
}

func (s *session) showHistory(c *ishell.Context) error {
	lines := s.history.lines
	first := 0
	if len(c.Args) > 0 {
		n, err := strconv.Atoi(c.Args[0])
		if err != nil || n < 1 || len(c.Args) > 1 {
			return errors.New("usage: history [N], N being how many lines, at least 1")
		}
		first = max(0, len(lines)-n)
	}
	var b strings.Builder
	for i, line := range lines[first:] {
		fmt.Fprintf(&b, "%5d  %s\n", first+i+1, line)
	}
	s.print(b.String())
	return nil
}

func (s *session) clear(c *ishell.Context) error {
	if len(c.Args) > 0 {
		return errors.New("clear takes no argument")
	}
	s.print("\x1b[H\x1b[2J")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.midLine = false // the next prompt goes to the top
	return nil
}
