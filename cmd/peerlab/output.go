package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal"
)

// rawFlag adds --raw to a command that shows what a peer says.
func rawFlag(cmd *cobra.Command, raw *bool) {
	cmd.Flags().BoolVar(raw, "raw", false, "write the peer's output to a terminal unchanged, control sequences included")
}

// outputs are where a command's output and errors go.
func outputs(cmd *cobra.Command, raw bool) (out, errs io.Writer) {
	out, errs = cmd.OutOrStdout(), cmd.ErrOrStderr()
	if raw {
		out, errs = terminal.Raw(out), terminal.Raw(errs)
	}
	return out, errs
}

// unlessInterrupted returns err, or nil when Ctrl-C ended what has no other
// end.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
