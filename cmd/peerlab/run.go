package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/testbed"
	"peerlab/testbed/docker"
	"peerlab/testbed/heap"
	"peerlab/testbed/sim"
)

// engineFlags are those of every command that runs scenarios.
type engineFlags struct {
	engine   string
	parallel int
	quiet    bool
	tuning   bool
}

func (f *engineFlags) add(flags *pflag.FlagSet, engine string) {
	flags.StringVar(&f.engine, "engine", engine, "`docker|sim`: real containers, or peers in this process in virtual time")
	flags.IntVar(&f.parallel, "parallel", 0, "run `N` at the same time (as many as this host carries)")
	flags.BoolVar(&f.quiet, "quiet", false, "no progress")
	tuneFlag(flags, &f.tuning)
}

func (f *engineFlags) check() error {
	if f.parallel < 0 {
		return usageError{fmt.Errorf("--parallel %d: want 1 or more, or 0 for as many as this host carries", f.parallel)}
	}
	return nil
}

// batchFlags are those of run and sweep.
type batchFlags struct {
	engineFlags
	set    []string
	arm    string
	repeat int
	out    string
	seed   uint64
}

// add adds the flags, with what --repeat does and which is the first run of a seed.
func (f *batchFlags) add(flags *pflag.FlagSet, engine, repeat, first string) {
	f.engineFlags.add(flags, engine)
	flags.StringArrayVar(&f.set, "set", nil, "`VAR=value` of a scenario's variable; repeatable")
	flags.StringVar(&f.arm, "arm", "", "run only this `ARM`")
	flags.IntVar(&f.repeat, "repeat", 1, repeat)
	flags.StringVar(&f.out, "out", "", "`DIR` for what happened (a new one, which peerlab runs lists)")
	flags.Uint64Var(&f.seed, "seed", 1, "of the simulator's randomness in "+first+"; the next have the next")
}

// batch returns what the flags ask for.
func (f *batchFlags) batch() (b scenarios.Batch, err error) {
	set, err := scenarios.ParseSet(f.set)
	if err != nil {
		return b, usageError{fmt.Errorf("--set %w", err)}
	}
	if f.repeat < 1 || f.repeat > 100_000 {
		return b, usageError{fmt.Errorf("--repeat must be 1 to 100000, not %d", f.repeat)}
	}
	b = scenarios.Batch{Engine: f.engine, Arm: f.arm, Set: set, Repeat: f.repeat, Seed: f.seed, Parallel: f.parallel}
	return b, f.check()
}

type runFlags struct {
	batchFlags
	helpMD bool
}

func (l *lab) runCommand() *cobra.Command {
	var f runFlags
	cmd := withFormats(&cobra.Command{
		Use: "run FILE…", Short: "Run scenarios, or multi-peer test files (NAME.cmd), each on a new cluster",
		Long: `Run scenarios and say whether what they await came true. FILE is a file, gallery/NAME
one of those that peerlab gallery lists, and gallery all of them. The exit status is 0
when all pass, 1 when one fails, 2 when a scenario has mistakes, and 3 when none fails
but one is inconclusive: a fault had no effect, the host was too busy, a peer was lost,
or something cannot be done here. What happened is saved in --out, from which the same
command goes on when it was interrupted; junit.xml there has the verdicts for CI systems.
docs/scenarios.md describes the language.`,
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
	f.add(flags, "docker", "run each `N` times: distributions and a confidence interval", "the first run")
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
			say("interrupted: removing the containers and networks of what is under way, which takes some seconds")
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
		err = fmt.Errorf("interrupted after %d of %d runs: the same command with --out %s goes on from there", len(done), len(plans)*f.repeat, b.Dir)
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

// host is what runs something on an engine.
type host struct {
	scenarios.Host
	// memory is how much the clusters may take that run in this process, in bytes;
	// 0 where none do.
	memory int64
	close  func() // ends the use of it
}

// host returns what runs something on an engine; with tune it may change limits of
// the host of containers, until it is closed.
func (l *lab) host(cmd *cobra.Command, engine string, tune bool) (*host, error) {
	ctx := cmd.Context()
	switch engine {
	case "sim":
		if l.limits.changed() {
			return nil, usageError{errors.New("--memory, --pids and --health-checks are for containers: virtual time has none")}
		}
		if tune {
			return nil, usageError{errors.New("--tune-host is for containers: peers in virtual time share no table of neighbors")}
		}
		settings := heap.Set(func(text string) { fmt.Fprintf(cmd.ErrOrStderr(), "peerlab: %s\n", text) })
		return &host{simulate, settings.Limit(), settings.Restore}, nil
	case "docker":
		var o docker.Options
		l.limits.set(&o)
		if err := o.CheckLimits(); err != nil {
			return nil, usageError{err}
		}
		d, err := l.connect(ctx)
		if err != nil {
			return nil, err
		}
		tuner := &hostTuner{daemon: d, tune: tune, errs: cmd.ErrOrStderr()}
		f := tunedFactory{docker.NewFactory(d, o), tuner}
		run := func(ctx context.Context, _ uint64, do func(context.Context, testbed.Factory) error) error {
			return do(ctx, f)
		}
		return &host{run, 0, func() { tuner.restore(); _ = d.Close() }}, nil
	}
	return nil, usageError{fmt.Errorf("--engine %q: one of docker, sim", engine)}
}

// abandonAfter is how long an interrupted simulation may take to end.
const abandonAfter = 300 * time.Millisecond

// simulate is sim.Run, but leaves an interrupted simulation behind where that
// takes long to end, as thousands of connections do: the program ends, and
// nothing of a simulation is outside of it.
func simulate(ctx context.Context, seed uint64, do func(context.Context, testbed.Factory) error) error {
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx, seed, do) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(abandonAfter):
		return context.Cause(ctx)
	}
}

// runTestFile runs a multi-peer test file.
func runTestFile(ctx context.Context, host scenarios.Host, name string, out io.Writer) (observe.Verdict, error) {
	f, err := scenarios.ReadTest(name)
	if err != nil {
		return "", problems{err}
	}
	ok := false
	var summary strings.Builder
	err = host(ctx, 1, func(ctx context.Context, factory testbed.Factory) (err error) {
		ok, err = f.Run(ctx, factory, &summary)
		return err
	})
	if ctx.Err() != nil { // it may still be running
		return "", context.Cause(ctx)
	}
	for line := range strings.Lines(summary.String()) {
		fmt.Fprintln(out, terminal.Line(strings.TrimSuffix(line, "\n")))
	}
	switch {
	case err != nil:
		return observe.Inconclusive, fmt.Errorf("%s: %w", name, err)
	case !ok:
		return observe.Fail, nil
	}
	return observe.Pass, nil
}
