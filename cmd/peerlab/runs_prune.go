package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

type pruneFlags struct {
	keep   int
	older  string
	dryRun bool
}

func (l *lab) runsPruneCommand() *cobra.Command {
	var f pruneFlags
	cmd := withFormats(&cobra.Command{
		Use: "prune [ID…]", Short: "Remove results: by name, all but the newest, or all old ones",
		Long: `Remove results of run, sweep and compare: those with these IDs, or all but the newest
N, or all that are older; with both flags what both say. What a command still works on
stays.`,
		Example:           "  peerlab runs prune --older 30d\n  peerlab runs prune --keep 20 --dry-run\n  peerlab runs prune last",
		ValidArgsFunction: l.completeResults,
		RunE:              func(cmd *cobra.Command, args []string) error { return l.prune(cmd, f, args) },
	}, formatJSON)
	flags := cmd.Flags()
	flags.IntVar(&f.keep, "keep", 0, "keep the newest `N`")
	flags.StringVar(&f.older, "older", "", "only results older than `DURATION`, such as 30d or 12h")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only list what would be removed")
	return cmd
}

func (l *lab) prune(cmd *cobra.Command, f pruneFlags, args []string) error {
	keeps, ages := cmd.Flags().Changed("keep"), f.older != ""
	switch {
	case len(args) > 0 && (keeps || ages):
		return usageError{errors.New("prune takes IDs, or --keep and --older, not both")}
	case len(args) == 0 && !keeps && !ages:
		return usageError{errors.New("prune needs IDs, --keep N or --older DURATION, such as --older 30d")}
	case keeps && f.keep < 0:
		return usageError{fmt.Errorf("--keep must be 0 or more, not %d", f.keep)}
	}
	age, err := parseAge(f.older)
	if err != nil {
		return usageError{fmt.Errorf("--older %w", err)}
	}
	runs, ids, err := l.resultIDs()
	if err != nil {
		return err
	}
	dirs, err := l.findAllResults(args)
	if err != nil {
		return usageError{err}
	}
	if len(args) == 0 {
		slices.Sort(ids)
		if keeps {
			ids = ids[:max(0, len(ids)-f.keep)]
		}
		for _, id := range ids {
			if began, err := time.ParseInLocation(idTime, id[:len(idTime)], time.Local); err == nil && time.Since(began) >= age {
				dirs = append(dirs, filepath.Join(runs, id))
			}
		}
	}
	return l.remove(cmd, dirs, f.dryRun)
}

// removed is what prune tells as JSON.
type removed struct {
	Removed []string `json:"removed"`
	// Kept are those on which a command still works.
	Kept   []string `json:"kept"`
	Bytes  int64    `json:"bytes"`
	DryRun bool     `json:"dry_run,omitempty"`
}

func (l *lab) remove(cmd *cobra.Command, dirs []string, dryRun bool) error {
	told := removed{Removed: []string{}, Kept: []string{}, DryRun: dryRun}
	for _, dir := range dirs {
		if isRunning(dir) {
			told.Kept = append(told.Kept, filepath.Base(dir))
			continue
		}
		bytes, err := size(dir)
		if err == nil && !dryRun {
			err = os.RemoveAll(dir)
		}
		if err != nil {
			return fmt.Errorf("remove results: %w", err)
		}
		told.Bytes += bytes
		told.Removed = append(told.Removed, filepath.Base(dir))
	}
	if l.json() {
		return printJSON(cmd, told)
	}
	out, verb := cmd.OutOrStdout(), "removed"
	if dryRun {
		verb = "would remove"
	}
	for _, id := range told.Removed {
		fmt.Fprintf(out, "%s %s\n", verb, id)
	}
	for _, id := range told.Kept {
		fmt.Fprintf(out, "kept %s: it is still running\n", id)
	}
	results := "results"
	if len(told.Removed) == 1 {
		results = "result"
	}
	_, err := fmt.Fprintf(out, "%s %d %s, %s\n", verb, len(told.Removed), results, units.BytesSize(float64(told.Bytes)))
	return err
}

// parseAge reads a duration, which may be in days. An empty one is 0.
func parseAge(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if days, is := strings.CutSuffix(text, "d"); is {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 36500 {
			return 0, fmt.Errorf("%q is not a number of days such as 30d or a duration such as 12h", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	age, err := time.ParseDuration(text)
	if err != nil || age < 0 {
		return 0, fmt.Errorf("%q is not a number of days such as 30d or a duration such as 12h", text)
	}
	return age, nil
}
