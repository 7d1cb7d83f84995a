package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peerlab/internal/atomicfile"
	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/scenarios/explore"
)

type exploreFlags struct {
	explore.Options
	engineFlags
	out string
}

func (l *lab) exploreCommand() *cobra.Command {
	var f exploreFlags
	cmd := withFormats(&cobra.Command{
		Use: "explore [KEY=VALUE…]", Short: "Look for bugs: run random fault schedules, and shrink those that fail",
		Long: `Generate random fault schedules and run them as scenarios with every check. The first
one that fails is shrunk to a scenario file that is as small as possible and still
fails, for peerlab run. KEY=VALUE are settings as in the cluster line of a scenario,
such as rejoin=0 or SuspicionMult=2. The same seed generates the same schedules, but
memberlist's own random choices differ each time. The exit status is 0 if all pass, 1
if one fails, and 3 if none fails but one is inconclusive. See docs/explore.md.`,
		Example:           "  peerlab explore\n  peerlab explore --peers 8 --for 10m --seed 42 --runs 1000\n  peerlab explore --checks views rejoin=0",
		ValidArgsFunction: completeSettings,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Settings = args
			if !cmd.Flags().Changed("seed") {
				f.Seed = rand.Uint64N(1_000_000)
			}
			return l.explore(cmd, f)
		},
	}, formatJSON)
	flags := cmd.Flags()
	flags.IntVar(&f.Peers, "peers", 8, "`N` peers in each cluster")
	flags.DurationVar(&f.For, "for", 10*time.Minute, "`DURATION` of each schedule, in the time of its engine")
	flags.Uint64Var(&f.Seed, "seed", 0, "seed of the first schedule; each further one has the next seed (default: a new one)")
	flags.IntVar(&f.Runs, "runs", 100, "`N` schedules; 0 means until interrupted")
	flags.StringSliceVar(&f.Checks, "checks", explore.Checks(), "checks to evaluate")
	flags.BoolVar(&f.Shaping, "netem", false, "also delay, duplicate and reorder packets; Docker needs netem for that")
	flags.DurationVar(&f.Shrinking, "shrink", time.Minute, "`DURATION` that shrinking may take; 0 does not shrink")
	f.add(flags, "sim")
	flags.StringVar(&f.out, "out", "", "`FILE` for the failing schedule (default: found-SEED.txt, or found-SEED-2.txt if that exists)")
	return cmd
}

func (l *lab) explore(cmd *cobra.Command, f exploreFlags) error {
	if f.Runs < 0 || f.Shrinking < 0 {
		return usageError{errors.New("--runs and --shrink must not be negative")}
	}
	if err := f.check(); err != nil {
		return err
	}
	if err := f.Check(); err != nil {
		return usageError{err}
	}
	host, err := l.host(cmd, f.engine, f.tuning)
	if err != nil {
		return err
	}
	defer host.close()
	if err := checkSettings(cmd.Context(), host.Host, f.engine, f.Settings); err != nil {
		return err
	}
	carries := runtime.NumCPU()
	if f.engine == "docker" {
		carries = max(1, carries*scenarios.PeersPerCore/f.Peers)
	} else if fit := host.memory / scenarios.Memory(f.Peers, true); fit < int64(carries) {
		carries = max(1, int(fit))
	}
	f.Host, f.Workers = host.Host, cmp.Or(f.parallel, carries)
	errs, out := cmd.ErrOrStderr(), cmd.OutOrStdout()
	fmt.Fprintf(errs, "seed %d\n", f.Seed)
	progress := newLive(errs)
	defer progress.close()
	if !f.quiet {
		f.Progress = exploring(progress, f.Runs)
	}
	stop := tellCleanup(cmd.Context(), f.engine, func(line string) { progress.say(line) })
	sum, err := explore.Search(cmd.Context(), f.Options)
	stop()
	progress.close()
	if err != nil {
		return err
	}
	found := sum.Finding
	if found != nil {
		if f.out, err = saveFinding(f.out, found); err != nil {
			return fmt.Errorf("save the finding: %w", err)
		}
	}
	if l.json() {
		if err := printJSON(cmd, exploredJSON(f, sum)); err != nil {
			return err
		}
	} else {
		printExplored(out, l.palette(out), f, sum)
	}
	switch {
	case found != nil:
		return exit(observe.Fail)
	case cmd.Context().Err() != nil && f.Runs > 0:
		return fmt.Errorf("interrupted after %d of %d schedules: --seed %d continues from there", sum.Done, f.Runs, f.Seed+uint64(sum.Done))
	case sum.Unable > 0:
		return exit(observe.Inconclusive)
	}
	return nil
}

// checkSettings says what is wrong with KEY=VALUE words before anything runs, as a
// scenario's cluster line would.
func checkSettings(ctx context.Context, host scenarios.Host, engine string, settings []string) error {
	if len(settings) == 0 {
		return nil
	}
	s, err := scenarios.Parse("explore", "cluster 3 "+strings.Join(settings, " ")+"\nstart\n")
	if err == nil {
		b := &scenarios.Batch{Host: host, Engine: engine, Scenarios: []*scenarios.Scenario{s}, Repeat: 1, Seed: 1}
		_, err = b.Plans(ctx)
	}
	var wrong scenarios.Problems
	if errors.As(err, &wrong) && len(wrong) > 0 {
		return usageError{errors.New(wrong[0].Text)}
	}
	return err
}

// saveFinding writes what was found to the file named, or else to a new one,
// whose name it returns: found-SEED.txt, or found-SEED-2.txt if there is one.
func saveFinding(file string, found *explore.Finding) (string, error) {
	if file != "" {
		return file, atomicfile.Write(file, atomicfile.Private, atomicfile.Bytes([]byte(found.Text)))
	}
	for n := 1; ; n++ {
		name := fmt.Sprintf("found-%d%s", found.Seed, scenarios.Extension)
		if n > 1 {
			name = fmt.Sprintf("found-%d-%d%s", found.Seed, n, scenarios.Extension)
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, atomicfile.Private)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = f.WriteString(found.Text)
		return name, errors.Join(err, f.Close())
	}
}

// exploring tells how far the search is: in a terminal on a line that is drawn
// anew, elsewhere on one of its own now and then.
func exploring(progress *live, runs int) func(explore.Progress) {
	began := time.Now()
	var last time.Time
	tell := progress.set
	if !progress.redraws {
		tell = progress.say
	}
	return func(p explore.Progress) {
		if !progress.redraws && p.Finding == "" && p.Done != runs && time.Since(last) < 2*time.Second {
			return
		}
		last = time.Now()
		after := time.Since(began).Seconds()
		switch {
		case p.Finding != "" && p.Shrunk == 0:
			progress.say(fmt.Sprintf("%8.1fs  seed %d fails: %s", after, p.Seed, terminal.Join(p.Finding)))
		case p.Finding != "":
			tell(fmt.Sprintf("%8.1fs  shrinking: %d lines, %d runs", after, p.Lines, p.Shrunk))
		case runs > 0:
			tell(fmt.Sprintf("%8.1fs  %d of %d schedules", after, p.Done, runs))
		default:
			tell(fmt.Sprintf("%8.1fs  %d schedules", after, p.Done))
		}
	}
}

func printExplored(out io.Writer, colors palette, f exploreFlags, sum explore.Summary) {
	found := sum.Finding
	if found == nil {
		fmt.Fprintf(out, "%d schedules of %d peers and %s from seed %d: no failure\n", sum.Done, f.Peers, f.For, f.Seed)
		if sum.Unable > 0 {
			fmt.Fprintf(out, "%d could not be told, such as %s\n", sum.Unable, terminal.Join(sum.Reason))
		}
		return
	}
	fmt.Fprintf(out, "%s\n", found.Text)
	printWrapped(out, storyLines(colors, found.Story)...)
	path := f.out
	if rel, err := filepath.Abs(path); err == nil {
		path = rel
	}
	if found.Interrupted {
		fmt.Fprintln(out, "shrinking was interrupted: the scenario can be smaller, and how often it fails is unknown")
	}
	fmt.Fprintf(out, "seed %d fails, after %d schedules; the scenario is in %s\n", found.Seed, sum.Done, path)
}

// exploredJSON is what a search came to, for --format json.
func exploredJSON(f exploreFlags, sum explore.Summary) any {
	type finding struct {
		Seed   uint64 `json:"seed"`
		Why    string `json:"why"`
		File   string `json:"file"`
		Lines  int    `json:"lines"`
		Of     int    `json:"of"`
		Failed int    `json:"failed"`
		Tried  int    `json:"tried"`
		// Interrupted says that shrinking was not finished.
		Interrupted bool `json:"interrupted,omitempty"`
	}
	result := struct {
		Seed    uint64   `json:"seed"`
		Done    int      `json:"done"`
		Unable  int      `json:"unable"`
		Reason  string   `json:"reason,omitempty"`
		Finding *finding `json:"finding,omitempty"`
	}{Seed: f.Seed, Done: sum.Done, Unable: sum.Unable, Reason: sum.Reason}
	if found := sum.Finding; found != nil {
		result.Finding = &finding{found.Seed, found.Why, f.out, found.Lines, found.Of, found.Failed, found.Tried, found.Interrupted}
	}
	return result
}
