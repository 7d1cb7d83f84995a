// Package usage says what is wrong with a command line, and what was probably
// meant: the same for every program.
package usage

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"peerlab/nearest"
)

// UnknownCommand is the error for a word that is no command below cmd.
func UnknownCommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	if near := nearest.To(word, names); len(near) > 0 {
		return fmt.Errorf("unknown command %q: did you mean %s?", word, strings.Join(near, ", "))
	}
	return fmt.Errorf("unknown command %q: see %s --help", word, cmd.CommandPath())
}

// Flag adds to an error from parsing cmd's flags the nearest flags for one
// that does not exist, and where to look otherwise.
func Flag(cmd *cobra.Command, err error) error {
	if word, unknown := strings.CutPrefix(err.Error(), "unknown flag: --"); unknown {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := nearest.To(word, names); len(near) > 0 {
			return fmt.Errorf("%w: did you mean --%s?", err, strings.Join(near, ", --"))
		}
	}
	// A number below 0 looks like a flag.
	if _, word, is := strings.Cut(err.Error(), " in -"); is {
		if _, notNumber := strconv.ParseFloat(word, 64); notNumber == nil {
			return fmt.Errorf("-%s: %s takes no number below 0: see %[2]s --help", word, cmd.CommandPath())
		}
	}
	return fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())
}
