package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/observe"
	"peerlab/scenarios"
)

type runFlags struct {
	batchFlags
	helpMD bool
}

func (l *lab) runCommand() *cobra.Command {
	var f runFlags
	cmd := withFormats(&cobra.Command{
		Use: "run FILE…", Short: "Run scenarios, or multi-peer test files (NAME.cmd), each on a new cluster",
		Long: `Run scenarios and report whether their expectations hold. FILE is a file, gallery/NAME
is a built-in scenario that peerlab gallery lists, and gallery is all of them. The exit
status is 0 if all pass, 1 if one fails, 2 if a scenario has mistakes, and 3 if none
fails but one is inconclusive: a fault had no effect, the host was too busy, a peer was
lost, or this host cannot do something. The results are saved in --out. After an
interruption the same command continues from there. The file junit.xml there has the
verdicts for CI systems. docs/scenarios.md describes the language.`,
		Example: "  peerlab run gallery/crash\n  peerlab run gallery --engine sim\n  peerlab run my.txt --set LOSS=30% --repeat 20 --out results",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !f.helpMD {
				return usageError{fmt.Errorf("run needs a file, or gallery/NAME: see %s --help", cmd.CommandPath())}
			}
			return nil
		},
		ValidArgsFunction: completeScenarios(true, wholeGallery),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.helpMD {
				if err := l.noJSON("run --help-verbs"); err != nil {
					return err
				}
				_, err := io.WriteString(cmd.OutOrStdout(), scenarios.Reference())
				return err
			}
			return l.run(cmd, f, args)
		},
	}, formatJSON)
	flags := cmd.Flags()
	f.add(flags, "docker", "run each `N` times, for distributions and confidence intervals", "the first run")
	l.limits.add(flags)
	flags.BoolVar(&f.helpMD, "help-verbs", false, "print the reference of verbs and conditions, as Markdown")
	return cmd
}

func (l *lab) run(cmd *cobra.Command, f runFlags, args []string) error {
	ctx := cmd.Context()
	asked, err := f.batch()
	if err != nil {
		return err
	}
	b := &asked
	files, err := open(b, args)
	if err != nil {
		return err
	}
	if err := l.checkTestFiles(cmd, files, len(b.Scenarios) > 0); err != nil {
		return err
	}
	host, err := l.host(cmd, f.engine, f.tuning)
	if err != nil {
		return err
	}
	defer host.close()
	b.Host, b.Memory = host.Host, host.memory
	out := cmd.OutOrStdout()
	verdict := observe.Pass
	for _, name := range files {
		v, err := runTestFile(ctx, host.Host, name, out)
		if err != nil {
			return after(verdict, err)
		}
		verdict = scenarios.Worse(verdict, v)
	}
	if len(b.Scenarios) > 0 {
		v, err := l.runBatch(cmd, b, f)
		verdict = scenarios.Worse(verdict, v)
		if err != nil {
			return after(verdict, err)
		}
	}
	return exit(verdict)
}

// open reads the scenarios named, and returns the test files among them. All
// that is wrong is told at once.
func open(b *scenarios.Batch, args []string) (files []string, err error) {
	var errs []error
	for _, name := range args {
		switch {
		case strings.HasSuffix(name, scenarios.TestExtension):
			files = append(files, name)
		case name == "gallery":
			all, err := scenarios.Gallery()
			b.Scenarios, errs = append(b.Scenarios, all...), append(errs, err)
		default:
			s, err := scenarios.Open(name)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			b.Scenarios = append(b.Scenarios, s)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, problems{err}
	}
	return files, nil
}

// whatOf names scenarios in short.
func whatOf(all []*scenarios.Scenario) string {
	if len(all) == 1 {
		return all[0].Name
	}
	return fmt.Sprintf("%s-and-%d-more", all[0].Name, len(all)-1)
}

// tellCleanup says, when ctx is interrupted, why the program does not end yet:
// removing containers takes some seconds. Call what it returns when it does.
func tellCleanup(ctx context.Context, engine string, say func(string)) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		if engine == "docker" {
			say("interrupted: removing the containers and networks of unfinished runs, which takes some seconds")
		}
	})
}

// problems are lines that say what is wrong with scenarios.
type problems struct{ error }

func (p problems) Unwrap() error { return p.error }

// runBatch runs scenarios and shows what came of them. With an error the verdict is
// that of the runs that are complete.
func (l *lab) runBatch(cmd *cobra.Command, b *scenarios.Batch, f runFlags) (observe.Verdict, error) {
	plans, err := b.Plans(cmd.Context())
	if err != nil {
		if errors.As(err, new(scenarios.Problems)) {
			return observe.Pass, problems{err}
		}
		return observe.Pass, err
	}
	var release func()
	if b.Dir, release, err = l.resultsDir(f.out, "run", whatOf(b.Scenarios)); err != nil {
		return observe.Pass, err
	}
	defer release()
	errs := cmd.ErrOrStderr()
	say := func(line string) { fmt.Fprintln(errs, line) }
	if !f.quiet {
		p := newRunProgress(errs, l.palette(errs), len(plans)*f.repeat, f.repeat == 1)
		defer p.close()
		b.Tell, say = p.note, func(line string) { p.live.say(line) }
	}
	defer tellCleanup(cmd.Context(), f.engine, say)()
	done, err := b.Run(cmd.Context(), plans)
	if err != nil && cmd.Context().Err() != nil {
		err = fmt.Errorf("interrupted after %d of %d runs: the same command with --out %s continues from there", len(done), len(plans)*f.repeat, b.Dir)
	}
	verdict := observe.Pass
	for _, d := range done {
		verdict = scenarios.Worse(verdict, d.Verdict)
	}
	if len(done) == 0 {
		return verdict, err
	}
	return verdict, errors.Join(err, l.printRuns(cmd, done, b.Dir))
}
