package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/scenarios/compare"
)

type compareFlags struct {
	repeat int
	out    string
	write  string
	quiet  bool
}

// compared are the engines, the model first.
var compared = [2]string{"sim", "docker"}

func (l *lab) compareCommand() *cobra.Command {
	var f compareFlags
	cmd := withFormats(&cobra.Command{
		Use: "compare [FILE…]", Short: "Run scenarios on both engines and say where the answers differ",
		Long: `Run scenarios, or the whole gallery, in virtual time and on containers, and print
a Markdown table of verdicts and of how long it took to notice each failure. The exit
status is 1 if an answer differs: another verdict, another result of a check, or a
latency out of the bounds that docs/engines.md states; it is 3 if none differs but one
is inconclusive. What is complete in --out is not run again.`,
		Example:           "  peerlab compare gallery/crash --repeat 3\n  peerlab compare --out engines --write docs/engines.md",
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
	flags.StringVar(&f.out, "out", "", "`DIR` for what happened (a new one)")
	flags.StringVar(&f.write, "write", "", "put the table into this `FILE`, too")
	flags.BoolVar(&f.quiet, "quiet", false, "no progress")
	return cmd
}

func (l *lab) compare(cmd *cobra.Command, f compareFlags, args []string) error {
	if f.repeat < 1 {
		return usageError{errors.New("--repeat must be 1 or more")}
	}
	dir, err := outDir(f.out, "peerlab-compare-")
	if err != nil {
		return err
	}
	// Both engines are there before the first scenario runs on one.
	var hosts [2]*host
	for i, engine := range compared {
		if hosts[i], err = l.host(cmd, engine); err != nil {
			return err
		}
		defer hosts[i].close()
	}
	var done [2][]*scenarios.Done
	for i, engine := range compared {
		if done[i], err = l.onEngine(cmd, f, hosts[i], engine, filepath.Join(dir, engine), args); err != nil {
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
	if l.json() {
		err = printJSON(cmd, rows)
	} else {
		_, err = fmt.Fprint(cmd.OutOrStdout(), table.String())
	}
	if err != nil {
		return err
	}
	return exit(agreement(rows))
}

// agreement is fail where an answer differs, and inconclusive where a scenario
// was on both engines.
func agreement(rows []compare.Row) observe.Verdict {
	verdict := observe.Pass
	for _, r := range rows {
		switch {
		case len(r.Differs) > 0:
			return observe.Fail
		case r.Skipped == "" && slices.Contains(r.Verdicts[:], observe.Inconclusive):
			verdict = observe.Inconclusive
		}
	}
	return verdict
}

// onEngine runs all scenarios on one engine.
func (l *lab) onEngine(cmd *cobra.Command, f compareFlags, host *host, engine, dir string, args []string) ([]*scenarios.Done, error) {
	ctx := cmd.Context()
	b := &scenarios.Batch{Engine: engine, Repeat: f.repeat, Seed: 1, Dir: dir}
	files, err := open(b, args)
	if err != nil {
		return nil, err
	}
	if len(files) > 0 {
		return nil, usageError{fmt.Errorf("%s: multi-peer test files cannot be compared", files[0])}
	}
	b.Host, b.Memory = host.Host, host.memory
	plans, err := b.Plans(ctx)
	if err != nil {
		if errors.As(err, new(scenarios.Problems)) {
			err = problems{err}
		}
		return nil, err
	}
	if !f.quiet {
		show := progress(cmd.ErrOrStderr(), true)
		b.Tell = func(n scenarios.Note) {
			if n.Done != nil {
				n.Run = engine + " " + n.Run
				show(n)
			}
		}
	}
	done, err := b.Run(ctx, plans)
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("interrupted: the same command with --out %s goes on from there", filepath.Dir(dir))
	}
	return done, err
}
