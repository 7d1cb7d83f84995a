package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal/layout"
	"peerlab/internal/usage"
	"peerlab/scenarios"
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
			b.WriteString(layout.Wrap("  "+line[2:], columns, 4) + "\n")
		default:
			b.WriteString(layout.Wrap("    "+line, columns, 4) + "\n")
		}
	}
	return b.String()
}
