package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/scenarios"
)

func (l *lab) runsShowCommand() *cobra.Command {
	return withFormats(&cobra.Command{
		Use: "show ID…", Short: "Show the verdicts of runs, and the story of each that did not pass", Args: atLeast(1, "an ID that peerlab runs lists, or last"),
		ValidArgsFunction: l.completeResults,
		RunE: func(cmd *cobra.Command, args []string) error {
			dirs, err := l.findAllResults(args)
			if err != nil {
				return usageError{err}
			}
			out, colors := cmd.OutOrStdout(), l.palette(cmd.OutOrStdout())
			all := []runJSON{}
			for _, dir := range dirs {
				done, err := savedRuns(dir)
				if err != nil {
					return err
				}
				if len(done) == 0 && !l.json() {
					state := "unfinished: the command ended before a run was complete"
					if isRunning(dir) {
						state = "still running: no run is complete yet"
					}
					fmt.Fprintf(out, "%s is %s\nits files are in %s\n", filepath.Base(dir), state, dir)
					continue
				}
				for _, d := range done {
					if d.Result == nil {
						_, err := observe.LoadResult(d.Dir)
						fmt.Fprintf(cmd.ErrOrStderr(), "peerlab: %s\n", terminal.Join(err.Error()))
					}
				}
				done = slices.DeleteFunc(done, func(d *scenarios.Done) bool { return d.Result == nil })
				for _, d := range done {
					all = append(all, runOf(d))
				}
				if l.json() {
					continue
				}
				for _, d := range done {
					if d.Story = d.SavedStory(); d.Verdict != observe.Pass {
						fmt.Fprintf(out, "%s %s: %s: %s\n", terminal.Line(d.Name), filepath.Base(d.Dir), colors.cell(string(d.Verdict)), terminal.Join(d.Reason))
					}
					printWrapped(out, storyLines(colors, d.Story)...)
				}
				if err := l.printRuns(cmd, done, dir); err != nil {
					return err
				}
			}
			if l.json() {
				return printJSON(cmd, all)
			}
			return nil
		},
	}, formatJSON)
}
