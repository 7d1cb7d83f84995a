// Command ping is the peer program with one command of your own: it appears in
// the shell, in scripts, in peer exec and in the control API, with help and
// completion.
package main

import (
	"context"
	"strings"

	"peerlab/peer"
	"peerlab/peer/command"
	"peerlab/peer/program"
)

func main() {
	program.Program{Setup: func(p *peer.Peer) error {
		return p.Commands().Add(command.Command{
			Name: "ping", Group: "mine", Usage: "[TEXT...]", MaxArgs: -1,
			Short: "answer with the peer's name and the text", Example: "ping hello",
			Complete: func([]string, string) []string { return []string{"hello", "world"} },
			Run: func(_ context.Context, c *command.Call) error {
				c.Printf("%s: pong %s\n", p.Name(), strings.Join(c.Args, " "))
				return nil
			},
		})
	}}.Main()
}
