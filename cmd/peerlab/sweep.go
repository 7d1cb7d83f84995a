package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peerlab/internal/atomicfile"
	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/scenarios/sweep"
)

type sweepFlags struct {
	batchFlags
	vary []string
}

func (l *lab) sweepCommand() *cobra.Command {
	var f sweepFlags
	cmd := withFormats(&cobra.Command{
		Use: "sweep FILE", Short: "Run a scenario with every combination of some values, and compare the measurements",
		Long: `Run a scenario, or gallery/NAME, with every combination of the values of --vary, and
print a table of its measurements; DIR/sweep.csv has a row for each run. A lower-case
name is a variable of the scenario ($LOSS for loss) or, if there is no such variable, a
setting of the cluster line, such as rejoin. A name in mixed case is a field of
memberlist's configuration. These settings replace those of the cluster line. Runs that
are complete in --out are not run again. The exit status is 0 if all runs pass, 1 if
one fails, and 3 if none fails but one is inconclusive. See docs/sweeps.md.`,
		Example: "  peerlab sweep gallery/crash --vary SuspicionMult=2..6 --repeat 10\n  peerlab sweep my.txt --vary loss=0,10,30% --vary rejoin=0,5s --out sweep",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("sweep needs one scenario: see %s --help", cmd.CommandPath())}
			}
			return nil
		},
		ValidArgsFunction: completeScenarios(false),
		RunE:              func(cmd *cobra.Command, args []string) error { return l.sweep(cmd, f, args[0]) },
	}, formatJSON)
	flags := cmd.Flags()
	flags.StringArrayVar(&f.vary, "vary", nil, "`NAME=VALUES` such as SuspicionMult=2..6 or loss=0,10,30%; repeatable")
	f.add(flags, "sim", "run each combination `N` times", "the first run of each combination")
	return cmd
}

func (l *lab) sweep(cmd *cobra.Command, f sweepFlags, file string) error {
	ctx := cmd.Context()
	b, err := f.batch()
	if err != nil {
		return err
	}
	s := &sweep.Sweep{Batch: b}
	for _, text := range f.vary {
		a, err := sweep.ParseAxis(text)
		if err != nil {
			return usageError{fmt.Errorf("--vary %w", err)}
		}
		s.Axes = append(s.Axes, a)
	}
	if len(s.Axes) == 0 {
		return usageError{errors.New("sweep needs --vary NAME=VALUES, such as --vary SuspicionMult=2..6")}
	}
	if s.Scenario, err = scenarios.Open(file); err != nil {
		return problems{err}
	}
	host, err := l.host(cmd, f.engine, f.tuning)
	if err != nil {
		return err
	}
	defer host.close()
	s.Host, s.Memory = host.Host, host.memory
	if f.engine == "sim" {
		if s.Workers = f.parallel; s.Workers > 0 {
			s.Memory = 0 // it is the user's to know
		} else {
			s.Workers = runtime.NumCPU()
		}
	}
	total, err := s.Check(ctx)
	if err != nil {
		if errors.As(err, new(scenarios.Problems)) {
			return problems{err}
		}
		if errors.As(err, new(*sweep.AxesError)) {
			return usageError{err}
		}
		return err
	}
	var release func()
	if s.Dir, release, err = l.resultsDir(f.out, "sweep", s.Scenario.Name); err != nil {
		return err
	}
	defer release()
	errs := cmd.ErrOrStderr()
	progress := newLive(errs)
	defer progress.close()
	if !f.quiet {
		s.Told = sweeping(progress, l.palette(errs), s.Axes, total)
	}
	stop := tellCleanup(ctx, f.engine, func(line string) { progress.say(line) })
	runs, err := s.Run(ctx)
	stop()
	progress.close()
	if len(runs) > 0 {
		if err := l.printSweep(cmd, s, runs); err != nil {
			return err
		}
	}
	verdict := observe.Pass
	for _, r := range runs {
		verdict = scenarios.Worse(verdict, r.Verdict)
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("interrupted after %d of %d runs: the same command with --out %s continues from there", len(runs), total, s.Dir)
	}
	if err != nil {
		return after(verdict, err)
	}
	return exit(verdict)
}

// sweeping tells of each run that ends: of one that passed, a terminal shows only
// the last.
func sweeping(progress *live, colors palette, axes []sweep.Axis, total int) func(sweep.Run) {
	began, n := time.Now(), 0
	return func(r sweep.Run) {
		n++
		var words []string
		for i, v := range r.Values {
			words = append(words, axes[i].Name+"="+v)
		}
		verdict := colors.cell(string(r.Verdict))
		if r.Verdict != observe.Pass {
			verdict += ": " + terminal.Join(r.Reason)
		}
		if r.Earlier {
			verdict += ", found in " + r.Dir
		}
		line := fmt.Sprintf("%8.1fs  %d of %d  %s: %s", time.Since(began).Seconds(), n, total,
			terminal.Line(fmt.Sprintf("%s %s #%d", strings.Join(words, " "), r.Name, r.Number)), verdict)
		if progress.redraws && r.Verdict == observe.Pass {
			progress.set(line)
			return
		}
		progress.say(line)
	}
}

func (l *lab) printSweep(cmd *cobra.Command, s *sweep.Sweep, runs []sweep.Run) error {
	path := filepath.Join(s.Dir, "sweep.csv")
	if err := writeCSV(path, s.Axes, runs); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	if l.json() {
		all := []sweptJSON{}
		for _, r := range runs {
			varied := make(map[string]string)
			for i, v := range r.Values {
				varied[s.Axes[i].Name] = v
			}
			all = append(all, sweptJSON{varied, runOf(r.Done)})
		}
		return printJSON(cmd, all)
	}
	if err := sweep.Table(cmd.OutOrStdout(), s.Axes, runs); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "a row for each run is in %s\n", path)
	return nil
}

// sweptJSON is one run of a sweep for --format json.
type sweptJSON struct {
	Varied map[string]string `json:"varied"`
	runJSON
}

func writeCSV(path string, axes []sweep.Axis, runs []sweep.Run) error {
	return atomicfile.Write(path, atomicfile.Private, func(w io.Writer) error { return sweep.CSV(w, axes, runs) })
}
