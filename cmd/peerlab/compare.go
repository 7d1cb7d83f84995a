package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal/layout"
	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/scenarios/compare"
)

type compareFlags struct {
	repeat int
	out    string
	write  string
	quiet  bool
	tuning bool
	// markdown asks for it in a terminal, too.
	markdown bool
}

// compared are the engines, the model first.
var compared = [2]string{"sim", "docker"}

func (l *lab) compareCommand() *cobra.Command {
	var f compareFlags
	cmd := withFormats(&cobra.Command{
		Use: "compare [FILE…]", Short: "Run scenarios on both engines and compare the verdicts",
		Long: `Run scenarios, or the whole gallery, in virtual time and on containers. Print a table
of the verdicts and of the time until each failure was detected, in Markdown unless the
output is a terminal. The exit status is 1 if the engines differ: in a verdict, in the
result of a check, or in a latency by more than docs/engines.md allows. It is 3 if they
do not differ but a run is inconclusive. Runs that are complete in --out are not run
again.`,
		Example:           "  peerlab compare gallery/crash --repeat 3\n  peerlab compare --out engines --write docs/engines-compared.md",
		ValidArgsFunction: completeScenarios(true, wholeGallery),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"gallery"}
			}
			if f.write != "" { // not after an hour of runs
				if err := compare.CheckPlace(f.write); err != nil {
					return usageError{fmt.Errorf("--write: %w", err)}
				}
			}
			return l.compare(cmd, f, args)
		},
	}, formatJSON)
	flags := cmd.Flags()
	flags.IntVar(&f.repeat, "repeat", 1, "run each `N` times on each engine")
	flags.StringVar(&f.out, "out", "", "`DIR` for the results (default: a new one, which peerlab runs lists)")
	flags.BoolVar(&f.markdown, "markdown", false, "print a Markdown table on a terminal, too")
	flags.StringVar(&f.write, "write", "", "also write the table to this `FILE`")
	flags.BoolVar(&f.quiet, "quiet", false, "print no progress")
	tuneFlag(flags, &f.tuning)
	return cmd
}

func (l *lab) compare(cmd *cobra.Command, f compareFlags, args []string) error {
	if f.repeat < 1 {
		return usageError{fmt.Errorf("--repeat must be 1 or more, not %d", f.repeat)}
	}
	// Both engines are there, and take all scenarios, before the first runs on one.
	var batches [2]*scenarios.Batch
	var plans [2][]*scenarios.Plan
	for i, engine := range compared {
		host, err := l.host(cmd, engine, f.tuning && engine == "docker")
		if err != nil {
			return err
		}
		defer host.close()
		batches[i] = &scenarios.Batch{Engine: engine, Repeat: f.repeat, Seed: 1, Host: host.Host, Memory: host.memory}
	}
	for i, b := range batches {
		var err error
		if plans[i], err = comparable(cmd.Context(), b, args); err != nil {
			return err
		}
	}
	dir, release, err := l.resultsDir(f.out, "compare", whatOf(batches[0].Scenarios))
	if err != nil {
		return err
	}
	defer release()
	var done [2][]*scenarios.Done
	for i, b := range batches {
		b.Dir = filepath.Join(dir, compared[i])
		if done[i], err = l.onEngine(cmd, f, b, plans[i]); err != nil {
			return err
		}
	}
	rows, err := compare.Rows(done[0], done[1])
	if err != nil {
		return err
	}
	var table strings.Builder
	if err := compare.Markdown(&table, compared, rows); err != nil {
		return err
	}
	if f.write != "" {
		if err := compare.Replace(f.write, table.String()); err != nil {
			return fmt.Errorf("write the table: %w", err)
		}
	}
	switch out := cmd.OutOrStdout(); {
	case l.json():
		err = printJSON(cmd, rows)
	case layout.Width(out) > 0 && !f.markdown:
		err = compare.Table(out, compared, rows)
	default:
		_, err = fmt.Fprint(out, table.String())
	}
	if err != nil {
		return err
	}
	return exit(agreement(rows))
}

// agreement is fail where an answer differs, and inconclusive where a scenario
// was on one engine, or could not run there.
func agreement(rows []compare.Row) observe.Verdict {
	verdict := observe.Pass
	for _, r := range rows {
		switch {
		case len(r.Differs) > 0:
			return observe.Fail
		case slices.Contains(r.Verdicts[:], observe.Inconclusive):
			verdict = observe.Inconclusive
		}
	}
	return verdict
}

// comparable opens the scenarios and checks them for the engine of the batch.
func comparable(ctx context.Context, b *scenarios.Batch, args []string) ([]*scenarios.Plan, error) {
	files, err := open(b, args)
	if err != nil {
		return nil, err
	}
	if len(files) > 0 {
		return nil, usageError{fmt.Errorf("%s: cannot compare multi-peer test files", files[0])}
	}
	plans, err := b.Plans(ctx)
	if errors.As(err, new(scenarios.Problems)) {
		err = problems{err}
	}
	return plans, err
}

// onEngine runs all scenarios on one engine.
func (l *lab) onEngine(cmd *cobra.Command, f compareFlags, b *scenarios.Batch, plans []*scenarios.Plan) ([]*scenarios.Done, error) {
	ctx, errs := cmd.Context(), cmd.ErrOrStderr()
	say := func(line string) { fmt.Fprintln(errs, line) }
	if !f.quiet {
		p := newRunProgress(errs, l.palette(errs), len(plans)*f.repeat, false)
		defer p.close()
		say = func(line string) { p.live.say(line) }
		b.Tell = func(n scenarios.Note) {
			if n.Done != nil || p.live.redraws {
				n.Run = b.Engine + " " + n.Run
				p.note(n)
			}
		}
	}
	defer tellCleanup(ctx, b.Engine, say)()
	done, err := b.Run(ctx, plans)
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("interrupted: the same command with --out %s continues from there", filepath.Dir(b.Dir))
	}
	return done, err
}
