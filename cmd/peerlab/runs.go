package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/terminal"
	"peerlab/terminal/layout"
)

// results is what a command without --out has left, for --format json.
type results struct {
	ID       string    `json:"id"`
	Dir      string    `json:"dir"`
	Command  string    `json:"command"` // run, sweep or compare
	Began    time.Time `json:"began"`
	Running  bool      `json:"running,omitempty"`
	Scenario []string  `json:"scenarios"`
	Runs     int       `json:"runs"`
	Passed   int       `json:"passed"`
	// Verdict is that of all complete runs, "" if there are none.
	Verdict observe.Verdict `json:"verdict,omitempty"`
	// Unreadable is how many runs cannot be read, such as those of another version.
	Unreadable int   `json:"unreadable,omitempty"`
	Bytes      int64 `json:"bytes"`
}

func (l *lab) runsCommand() *cobra.Command {
	cmd := withFormats(&cobra.Command{
		Use: "runs", Short: "List what run, sweep and compare have left, show or remove it", Args: exactly(0, "no argument, or one of show, prune"),
		Long: `List the results of run, sweep and compare without --out, the oldest first. They are in
$XDG_STATE_HOME/peerlab/runs, by default ~/.local/state/peerlab/runs, and stay there
until peerlab runs prune removes them. ID is what the list shows, or so much of its
beginning or end that no other has it; last is the newest. peerlab check takes it, too.`,
		Example: "  peerlab runs\n  peerlab runs show last\n  peerlab runs prune --older 30d",
		RunE: func(cmd *cobra.Command, _ []string) error {
			runs, ids, err := l.resultIDs()
			if err != nil {
				return err
			}
			all := []results{}
			for _, id := range ids {
				one, err := readResults(filepath.Join(runs, id))
				if err != nil {
					return err
				}
				all = append(all, one)
			}
			return l.printResults(cmd, runs, all)
		},
	}, formatJSON)
	cmd.AddCommand(l.runsShowCommand(), l.runsPruneCommand())
	return cmd
}

// readResults sums up what is in a directory.
func readResults(dir string) (results, error) {
	r := results{ID: filepath.Base(dir), Dir: dir, Scenario: []string{}, Running: isRunning(dir)}
	r.Began, _ = time.ParseInLocation(idTime, r.ID[:len(idTime)], time.Local)
	r.Command, _, _ = strings.Cut(r.ID[len(idTime)+1:], "-")
	done, err := savedRuns(dir)
	if err != nil {
		return r, err
	}
	r.Runs = len(done)
	for _, d := range done {
		if d.Result == nil {
			r.Unreadable++
			continue
		}
		if d.Verdict == observe.Pass {
			r.Passed++
		}
		if !slices.Contains(r.Scenario, d.Name) {
			r.Scenario = append(r.Scenario, d.Name)
		}
		r.Verdict = scenarios.Worse(cmp.Or(r.Verdict, d.Verdict), d.Verdict)
	}
	r.Bytes, err = size(dir)
	return r, err
}

// savedRuns are the complete runs below a directory, without their events. One
// that cannot be read has no Result.
func savedRuns(dir string) ([]*scenarios.Done, error) {
	dirs, err := scenarios.SavedIn(dir)
	if err != nil {
		return nil, err
	}
	var done []*scenarios.Done
	for _, of := range dirs {
		number, _ := strconv.Atoi(filepath.Base(of))
		d := &scenarios.Done{Dir: of, Number: number, Earlier: true}
		if record, err := observe.LoadResult(of); err == nil {
			d.Result, d.Name = &scenarios.Result{Record: *record}, record.Scenario
		}
		done = append(done, d)
	}
	return done, nil
}

// size is how much a directory takes, in bytes.
func size(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // a command at work has removed it
			return nil
		}
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes, err
}

func (l *lab) printResults(cmd *cobra.Command, runs string, all []results) error {
	if l.json() {
		return printJSON(cmd, all)
	}
	out := cmd.OutOrStdout()
	if len(all) == 0 {
		_, err := fmt.Fprintf(out, "there are no results in %s\n", runs)
		return err
	}
	colours := l.palette(out)
	table := layout.NewTable("ID", "VERDICT", "PASSED", "SIZE", "SCENARIOS")
	table.AlignRight(2, 3)
	total := int64(0)
	for _, r := range all {
		verdict := string(r.Verdict)
		switch {
		case r.Running:
			verdict = "under way"
		case r.Runs == 0:
			verdict = "nothing"
		case r.Verdict == "":
			verdict = "unreadable"
		}
		total += r.Bytes
		table.Row(r.ID, colours.cell(verdict), fmt.Sprintf("%d/%d", r.Passed, r.Runs), units.BytesSize(float64(r.Bytes)), someOf(r.Scenario))
	}
	if err := table.Write(out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s in %s\n", units.BytesSize(float64(total)), runs)
	return err
}

// someOf names the first few.
func someOf(names []string) string {
	const shown = 3
	text := strings.Join(names[:min(len(names), shown)], ", ")
	if more := len(names) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return terminal.Line(text)
}

func (l *lab) runsShowCommand() *cobra.Command {
	return withFormats(&cobra.Command{
		Use: "show ID…", Short: "Show what runs came to, and the story of each that did not pass", Args: atLeast(1, "an ID that peerlab runs lists, or last"),
		ValidArgsFunction: l.completeResults,
		RunE: func(cmd *cobra.Command, args []string) error {
			dirs, err := l.findAllResults(args)
			if err != nil {
				return usageError{err}
			}
			out, colours := cmd.OutOrStdout(), l.palette(cmd.OutOrStdout())
			all := []runJSON{}
			for _, dir := range dirs {
				done, err := savedRuns(dir)
				if err != nil {
					return err
				}
				if len(done) == 0 && !l.json() {
					state := "unfinished: it ended before a run was complete"
					if isRunning(dir) {
						state = "under way: no run is complete yet"
					}
					fmt.Fprintf(out, "%s is %s\nwhat happened is in %s\n", filepath.Base(dir), state, dir)
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
						fmt.Fprintf(out, "%s %s: %s: %s\n", terminal.Line(d.Name), filepath.Base(d.Dir), colours.cell(string(d.Verdict)), terminal.Join(d.Reason))
					}
					printWrapped(out, storyLines(colours, d.Story)...)
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

// completeResults completes the IDs of results.
func (l *lab) completeResults(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	_, ids, _ := l.resultIDs()
	ids = slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(args, id) })
	if len(args) == 0 && len(ids) > 0 {
		ids = append(ids, "last\tthe newest")
	}
	return ids, noFiles
}

type pruneFlags struct {
	keep   int
	older  string
	dryRun bool
}

func (l *lab) runsPruneCommand() *cobra.Command {
	var f pruneFlags
	cmd := withFormats(&cobra.Command{
		Use: "prune [ID…]", Short: "Remove results: those named, or all but the newest, or all that are old",
		Long: `Remove results of run, sweep and compare: those with these IDs, or all but the newest
N, or all that are older; with both flags what both say. What a command still works on
stays.`,
		Example:           "  peerlab runs prune --older 30d\n  peerlab runs prune --keep 20 --dry-run\n  peerlab runs prune last",
		ValidArgsFunction: l.completeResults,
		RunE:              func(cmd *cobra.Command, args []string) error { return l.prune(cmd, f, args) },
	}, formatJSON)
	flags := cmd.Flags()
	flags.IntVar(&f.keep, "keep", 0, "keep the newest `N`")
	flags.StringVar(&f.older, "older", "", "only what is older than `DURATION`, such as 30d or 12h")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be removed, and remove nothing")
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
		return usageError{fmt.Errorf("--keep %d: want 0 or more", f.keep)}
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
		fmt.Fprintf(out, "kept %s: it is under way\n", id)
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
			return 0, fmt.Errorf("%q: want days such as 30d, or a duration such as 12h", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	age, err := time.ParseDuration(text)
	if err != nil || age < 0 {
		return 0, fmt.Errorf("%q: want days such as 30d, or a duration such as 12h", text)
	}
	return age, nil
}
