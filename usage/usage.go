// Package usage is what the programs tell of themselves in the same way: what is
// wrong with a command line and was probably meant, help, and the version.
package usage

import (
	"errors"
	"fmt"
	"runtime/debug"
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
	if unknown := new(pflag.NotExistError); errors.As(err, &unknown) {
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			// A number below 0 looks like a flag.
			if _, notNumber := strconv.ParseFloat(short, 64); notNumber == nil {
				return fmt.Errorf("-%s: %s takes no number below 0: see %[2]s --help", short, cmd.CommandPath())
			}
		} else {
			var names []string
			cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
			if near := nearest.To(unknown.GetSpecifiedName(), names); len(near) > 0 {
				return fmt.Errorf("%w: did you mean --%s?", err, strings.Join(near, ", --"))
			}
		}
	}
	return fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())
}

// Version is that of this program, as the Go command wrote it into the binary: a
// module version, or (devel) where it was built without version control.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}
