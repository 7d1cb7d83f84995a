package program

import "github.com/spf13/pflag"

// Flags returns the flags of peer run, for those that read them from elsewhere
// than a command line, such as a scenario.
func Flags() *pflag.FlagSet { return Program{}.runCommand().Flags() }
