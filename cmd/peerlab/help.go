package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/scenarios"
	"peerlab/usage"
)

// verbsTopic is what peerlab help shows the language of scenarios by.
const verbsTopic = "verbs"

// helpCommand is "peerlab help".
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND|" + verbsTopic + "]", Short: "Show the help of a command, or the verbs and conditions of scenarios",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			cmd, _, err := root.Find(args)
			if err != nil || len(args) > 0 && cmd == root {
				return nil, noFiles
			}
			var names []string
			for _, c := range cmd.Commands() {
				if c.IsAvailableCommand() {
					names = append(names, c.Name()+"\t"+c.Short)
				}
			}
			if len(args) == 0 {
				names = append(names, verbsTopic+"\tthe language of scenarios")
			}
			return names, noFiles
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == verbsTopic {
				_, err := io.WriteString(cmd.OutOrStdout(), verbsHelp())
				return err
			}
			about, _, err := root.Find(args)
			if err != nil || about == root && len(args) > 0 {
				return usageError{usage.UnknownCommand(root, args[0])}
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// verbsHelp is the reference of the language for a terminal.
func verbsHelp() string {
	const columns = 80
	plain := strings.NewReplacer("<br>", "", "`", "", "### ", "")
	var b strings.Builder
	for line := range strings.Lines(scenarios.Reference()) {
		line = strings.TrimSuffix(line, "\n")
		form := strings.HasSuffix(line, "<br>")
		head := strings.HasPrefix(line, "### ")
		line = plain.Replace(line)
		switch {
		case head:
			b.WriteString(strings.ToUpper(line) + "\n")
		case form || line == "":
			b.WriteString(line + "\n")
		case strings.HasPrefix(line, "    "):
			b.WriteString("      " + strings.TrimSpace(line) + "\n")
		case strings.HasPrefix(line, "- "):
			fmt.Fprintf(&b, "  %s\n", wrap(line[2:], columns-4, "\n    "))
		default:
			fmt.Fprintf(&b, "    %s\n", wrap(line, columns-4, "\n    "))
		}
	}
	return b.String()
}

// wrap breaks a text between words into lines of so many columns, with sep between
// two lines. A longer word has a line of its own.
func wrap(text string, columns int, sep string) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case column+1+n > columns:
			b.WriteString(sep)
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
