package main

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"peerlab/usage"
)

// buildJSON says what program this is, for --format json.
type buildJSON struct {
	Program  string `json:"program"`
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (l *lab) printVersion(cmd *cobra.Command) error {
	b := buildJSON{"peerlab", usage.Version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if l.json() {
		return printJSON(cmd, b)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), b.Program, b.Version, b.Go, b.Platform)
	return err
}

func (l *lab) versionCommand() *cobra.Command {
	return withFormats(&cobra.Command{
		Use: "version", Short: "Print the version",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{errors.New("version takes no argument")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return l.printVersion(cmd) },
	}, formatJSON)
}
