// Command serf plays a peer that is not ours and wants the terminal of whoever
// looks at it: what it says has what a terminal acts on.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
)

// attack sets the window's title, clears the screen, goes back to the beginning
// of the line, moves the cursor with an 8-bit control, and turns text around.
const attack = "\x1b]0;owned\a \x1b[2J hidden\rshown \u009b1A \u202egnp \x1b[31mred\x1b[0m"

func main() {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "agent":
		name := ""
		for _, arg := range os.Args {
			if after, ok := strings.CutPrefix(arg, "-node="); ok {
				name = after
			}
		}
		fmt.Println("==> Starting Serf agent...")
		fmt.Printf("    2026/01/02 15:04:05 [INFO] serf: EventMemberJoin: %s 127.0.0.1\n", name)
		fmt.Printf("    2026/01/02 15:04:05 [INFO] serf: EventMemberJoin: mallory\x1b[2J\a 127.0.0.2\n")
		fmt.Println("    a tag: " + attack)
		fmt.Fprintln(os.Stderr, "log: "+attack)
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, os.Interrupt)
		<-stop
	case len(os.Args) > 1 && os.Args[1] == "fail":
		fmt.Fprintln(os.Stderr, "it failed: "+attack)
		os.Exit(1)
	default:
		fmt.Println("a member: " + attack)
		_, _ = os.Stdout.WriteString("half a color \x1b[3")
	}
}
