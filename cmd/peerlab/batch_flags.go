package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"peerlab/scenarios"
)

// engineFlags are those of every command that runs scenarios.
type engineFlags struct {
	engine   string
	parallel int
	quiet    bool
	tuning   bool
}

func (f *engineFlags) add(flags *pflag.FlagSet, engine string) {
	flags.StringVar(&f.engine, "engine", engine, "`docker|sim`: real containers, or virtual time in this process")
	flags.IntVar(&f.parallel, "parallel", 0, "run `N` at the same time (default: as many as this host can take)")
	flags.BoolVar(&f.quiet, "quiet", false, "print no progress")
	tuneFlag(flags, &f.tuning)
}

func (f *engineFlags) check() error {
	if f.parallel < 0 {
		return usageError{fmt.Errorf("--parallel must be 1 or more, or 0 for as many as this host can take, not %d", f.parallel)}
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
	flags.StringArrayVar(&f.set, "set", nil, "`VAR=value` sets a variable of the scenario; repeatable")
	flags.StringVar(&f.arm, "arm", "", "run only this `ARM`")
	flags.IntVar(&f.repeat, "repeat", 1, repeat)
	flags.StringVar(&f.out, "out", "", "`DIR` for the results (default: a new one, which peerlab runs lists)")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of the random numbers in "+first+"; each further run has the next seed")
}

// batch returns what the flags ask for.
func (f *batchFlags) batch() (b scenarios.Batch, err error) {
	set, err := scenarios.ParseSet(f.set)
	if err != nil {
		return b, usageError{fmt.Errorf("--set %w", err)}
	}
	if f.repeat < 1 || f.repeat > 100_000 {
		return b, usageError{fmt.Errorf("--repeat must be between 1 and 100000, not %d", f.repeat)}
	}
	b = scenarios.Batch{Engine: f.engine, Arm: f.arm, Set: set, Repeat: f.repeat, Seed: f.seed, Parallel: f.parallel}
	return b, f.check()
}
