package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// The formats of output, as --format has them.
const (
	formatText = "text"
	formatJSON = "json"
	formatWide = "wide" // text with more columns
)

// Annotations of a command.
const (
	formatsAnnotation = "formats" // those it has besides text, separated by blanks
	insteadAnnotation = "instead" // what has JSON where it has none
)

// annotate sets an annotation of a command and returns the command.
func annotate(cmd *cobra.Command, key, value string) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = make(map[string]string)
	}
	cmd.Annotations[key] = value
	return cmd
}

// withFormats states that a command has formats besides text.
func withFormats(cmd *cobra.Command, formats ...string) *cobra.Command {
	return annotate(cmd, formatsAnnotation, strings.Join(formats, " "))
}

// formatsOf returns the formats that a command has.
func formatsOf(cmd *cobra.Command) []string {
	return append([]string{formatText}, strings.Fields(cmd.Annotations[formatsAnnotation])...)
}

// checkFormat refuses a --format that the command does not have: nothing is
// printed in another format than was asked for.
func (l *lab) checkFormat(cmd *cobra.Command) error {
	has := formatsOf(cmd)
	switch {
	case slices.Contains(has, l.format):
		return nil
	case l.format == formatJSON || l.format == formatWide:
		return l.noFormat(cmd.CommandPath(), cmd.Annotations[insteadAnnotation])
	}
	return usageError{fmt.Errorf("--format %q must be one of %s", l.format, strings.Join(has, ", "))}
}

// noFormat is the error for a --format that what the user asked for does not have.
func (l *lab) noFormat(what, instead string) error {
	if l.format != formatJSON {
		instead = ""
	}
	if instead != "" {
		instead = ": " + instead
	}
	return usageError{fmt.Errorf("%s has no --format %s%s", what, l.format, instead)}
}

// noJSON returns an error if --format json was asked for of what has none.
func (l *lab) noJSON(what string) error {
	if l.json() {
		return l.noFormat(what, "")
	}
	return nil
}

func (l *lab) json() bool { return l.format == formatJSON }
