package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"peerlab/internal/terminal"
	"peerlab/internal/terminal/layout"
	"peerlab/observe"
	"peerlab/scenarios"
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
		Use: "runs", Short: "List, show or remove the results of run, sweep and compare", Args: exactly(0, "no argument, or one of show, prune"),
		Long: `List the results of run, sweep and compare without --out, the oldest first. They are in
$XDG_STATE_HOME/peerlab/runs, by default ~/.local/state/peerlab/runs, and stay there
until peerlab runs prune removes them. ID is an ID of the list, or a beginning or end
of it that no other ID has; last is the newest. peerlab check takes an ID, too.`,
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
	colors := l.palette(out)
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
		table.Row(r.ID, colors.cell(verdict), fmt.Sprintf("%d/%d", r.Passed, r.Runs), units.BytesSize(float64(r.Bytes)), someOf(r.Scenario))
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

// completeResults completes the IDs of results.
func (l *lab) completeResults(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	_, ids, _ := l.resultIDs()
	ids = slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(args, id) })
	if len(args) == 0 && len(ids) > 0 {
		ids = append(ids, "last\tthe newest")
	}
	return ids, noFiles
}
