package scenarios

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"peerlab/internal/atomicfile"
	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/testbed"
)

// Host calls do with the factory of an engine, where its clusters can be used:
// for a simulator that is within virtual time, and what is random is drawn from
// seed. It returns what do returns.
type Host func(ctx context.Context, seed uint64, do func(ctx context.Context, f testbed.Factory) error) error

// Batch is scenarios to be run, each arm so many times.
type Batch struct {
	Host      Host
	Engine    string // what Host's factory is called
	Scenarios []*Scenario
	Arm       string // only this one, if not empty
	Set       map[string]string
	Repeat    int // 0 is 1
	// Dir takes what the runs leave: a directory for each configuration, and
	// in it one for each run. Those that are complete are not run again.
	Dir string
	// Seed is that of the first run of each configuration; the next have the
	// next.
	Seed uint64
	// Parallel is how many run at the same time; 0 is as many as this host
	// carries.
	Parallel int
	// Memory is how much the clusters of all runs at the same time may take, in
	// bytes, where they are in this process; 0 for any. It decides with Parallel 0.
	Memory int64
	// Tell, if set, is told of the progress. It is not called concurrently.
	Tell func(Note)
	// Part says that others run into the same Dir, such as the combinations of a
	// sweep: junit.xml is written by whoever knows all runs, with WriteJUnit.
	Part bool
}

// Note is one step of one run.
type Note struct {
	Run  string // its name, with the number if there are several
	At   time.Duration
	Line int // 0 for what a line has to show
	Text string
	// Done is the result, when the run has ended.
	Done *Done
}

// Done is one run that has ended, now or earlier. Its events are in Dir only.
type Done struct {
	*Result
	Name   string // of the scenario, with the arm
	Number int    // of the run, from 1
	Dir    string
	// Earlier says that it was found complete in Dir and not run again.
	Earlier bool
}

// job is one run to be made.
type job struct {
	plan   *Plan
	name   string
	number int
	dir    string
	seed   uint64
}

// Plans checks all scenarios before any runs. The error is a Problems.
func (b *Batch) Plans(ctx context.Context) (plans []*Plan, err error) {
	var wrong Problems
	err = b.Host(ctx, b.Seed, func(ctx context.Context, f testbed.Factory) error {
		for _, s := range b.Scenarios {
			some, err := s.Plans(ctx, f, b.Arm, b.Set)
			var problems Problems
			if err != nil && !errors.As(err, &problems) {
				return err
			}
			plans, wrong = append(plans, some...), append(wrong, problems...)
		}
		return nil
	})
	if err == nil && len(wrong) > 0 {
		err = wrong
	}
	return plans, err
}

// Run runs the plans and returns all results, in the order of the plans and of
// their numbers. When ctx ends it returns what is complete and the context's
// error; the same call later goes on from there.
func (b *Batch) Run(ctx context.Context, plans []*Plan) ([]*Done, error) {
	began := time.Now()
	jobs := b.jobs(plans)
	done := make([]*Done, len(jobs))
	errs := make([]error, len(jobs))
	capacity, weight := b.capacity()
	slots := semaphore.NewWeighted(capacity)
	var running sync.WaitGroup
	var telling sync.Mutex
	for i, j := range jobs {
		if done[i] = j.earlier(); done[i] != nil {
			b.tell(&telling, Note{Run: b.label(j), Done: done[i]})
			continue
		}
		w := min(weight(j.plan), capacity)
		if slots.Acquire(ctx, w) != nil {
			break
		}
		running.Go(func() {
			defer slots.Release(w)
			if done[i], errs[i] = b.one(ctx, j, &telling); done[i] != nil {
				b.tell(&telling, Note{Run: b.label(j), At: done[i].Ended.Sub(done[i].Began), Done: done[i]})
			}
		})
	}
	running.Wait()
	var complete []*Done
	for _, d := range done {
		if d != nil {
			complete = append(complete, d)
		}
	}
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return complete, err
	}
	if b.Part {
		return complete, nil
	}
	return complete, WriteJUnit(b.Dir, began, complete, func(d *Done) string { return b.called(d.Name, d.Number) })
}

// WriteJUnit writes what runs came to that began now, for CI systems: junit.xml
// in dir. The name of each is to differ from the others'.
func WriteJUnit(dir string, began time.Time, done []*Done, name func(*Done) string) error {
	suite := observe.JUnit{Began: began}
	for _, d := range done {
		suite.Runs = append(suite.Runs, observe.JUnitRun{Name: name(d), Record: &d.Record, Story: d.Story})
	}
	var err error
	if suite.Host, err = os.Hostname(); err != nil {
		suite.Host = "localhost"
	}
	return atomicfile.Write(filepath.Join(dir, junitFile), atomicfile.Private, suite.Write)
}

func (b *Batch) tell(telling *sync.Mutex, n Note) {
	telling.Lock()
	defer telling.Unlock()
	if b.Tell != nil {
		b.Tell(n)
	}
}

func (b *Batch) label(j job) string { return b.called(j.name, j.number) }

// called is the name of a run, with its number if there are several.
func (b *Batch) called(name string, number int) string {
	if b.Repeat > 1 {
		return fmt.Sprintf("%s #%d", name, number)
	}
	return name
}

// PeersPerCore is how many peers in containers a core carries beside each other
// before their timers are late.
const PeersPerCore = 8

// capacity is what this host carries, and what a plan takes of it.
func (b *Batch) capacity() (int64, func(*Plan) int64) {
	cores := int64(runtime.NumCPU())
	one := func(*Plan) int64 { return 1 }
	switch {
	case b.Parallel > 0:
		return int64(b.Parallel), one
	case b.Engine == "sim" && b.Memory > 0: // a core as long as it runs, and its part of the memory
		return cores, func(p *Plan) int64 { return max(1, (cores*p.Memory()+b.Memory-1)/b.Memory) }
	case b.Engine == "sim":
		return cores, one
	}
	return cores * PeersPerCore, func(p *Plan) int64 { return int64(len(p.Spec.Peers)) }
}

// Memory is roughly how much a run of the plan takes in virtual time.
func (p *Plan) Memory() int64 {
	return Memory(len(p.Spec.Peers), p.Spec.Settings["no-chat"] != "true")
}

// Memory is roughly how much a cluster takes in virtual time, in bytes: node
// tables and the chat's connections grow with the square of the peers. make
// bench-sim measures it.
func Memory(peers int, chat bool) int64 {
	pair := int64(6 << 10)
	if chat {
		pair = 40 << 10
	}
	return 16<<20 + pair*int64(peers)*int64(peers)
}

func (b *Batch) jobs(plans []*Plan) []job {
	var jobs []job
	for number := 1; number <= max(1, b.Repeat); number++ {
		for _, p := range plans {
			jobs = append(jobs, job{
				plan: p, name: p.Name(), number: number, seed: b.Seed + uint64(number) - 1,
				dir: filepath.Join(b.Dir, b.key(p), fmt.Sprintf("%03d", number)),
			})
		}
	}
	return jobs
}

// key names the directory of a configuration: whatever could change what runs
// come to makes it another one.
func (b *Batch) key(p *Plan) string {
	parts := map[string]any{
		"text": p.Scenario.Text, "arm": p.Arm, "set": b.Set, "engine": b.Engine, "seed": b.Seed, "spec": p.Spec,
	}
	if len(p.files) > 0 {
		parts["files"] = p.files
	}
	of, err := json.Marshal(parts)
	if err != nil {
		panic(err) // there are only strings and numbers in it
	}
	sum := sha256.Sum256(of)
	return strings.ReplaceAll(p.Name(), "/", ".") + "-" + hex.EncodeToString(sum[:])[:10]
}

// earlier returns the run if it is there already. One that could not tell is
// run again.
func (j job) earlier() *Done {
	record, err := observe.Load(j.dir)
	if err != nil || record.Verdict == observe.Inconclusive {
		return nil
	}
	record.Events = nil
	d := &Done{Result: &Result{Record: *record}, Name: j.name, Number: j.number, Dir: j.dir, Earlier: true}
	d.Story = d.SavedStory()
	return d
}

// Files beside those that observe writes.
const (
	scenarioFile = "scenario" + Extension
	storyFile    = "story.txt"
	logsDir      = "logs"
	junitFile    = "junit.xml" // of all runs of a batch
)

// one makes one run and saves it.
func (b *Batch) one(ctx context.Context, j job, telling *sync.Mutex) (*Done, error) {
	if err := os.RemoveAll(j.dir); err != nil {
		return nil, fmt.Errorf("make room for the run: %w", err)
	}
	if err := os.MkdirAll(j.dir, atomicfile.PrivateDir); err != nil {
		return nil, fmt.Errorf("make room for the run: %w", err)
	}
	var res *Result
	err := b.Host(ctx, j.seed, func(inner context.Context, f testbed.Factory) error {
		res = j.plan.Run(inner, f, Options{
			Progress: func(at time.Duration, line int, text string) {
				b.tell(telling, Note{Run: b.label(j), At: at, Line: line, Text: text})
			},
			Interrupted: ctx.Err,
			Logs: func(peer string) (io.WriteCloser, error) {
				if err := ctx.Err(); err != nil {
					return nil, err // the run is not kept
				}
				return j.log(peer)
			},
		})
		return nil
	})
	switch {
	case ctx.Err() != nil:
		// Neither complete nor worth keeping.
		return nil, os.RemoveAll(j.dir)
	case err != nil && res == nil:
		now := time.Now()
		res = &Result{Record: observe.Record{
			Scenario: j.name, Engine: b.Engine, Settings: j.plan.Spec.Settings, Own: j.plan.Spec.Own, Peers: j.plan.Spec.Peers,
			Began: now, Ended: now, Verdict: observe.Inconclusive, Reason: terminal.FirstLine(err.Error()), Cause: causeOf(err),
		}, Story: err.Error()}
	case err != nil && res.Verdict == observe.Pass:
		res.Verdict, res.Reason, res.Story = observe.Inconclusive, terminal.FirstLine(err.Error()), err.Error()
		res.Cause = causeOf(err)
	}
	res.Seed = j.seed
	d := &Done{Result: res, Name: j.name, Number: j.number, Dir: j.dir}
	if err := d.save(j.plan); err != nil {
		return nil, err
	}
	d.Events = nil
	return d, nil
}

func (d *Done) save(p *Plan) error {
	text := p.Redact(p.Scenario.Text)
	err := atomicfile.Write(filepath.Join(d.Dir, scenarioFile), atomicfile.Private, atomicfile.Bytes([]byte(text)))
	if err == nil {
		err = p.Scenario.beside.save(filepath.Join(d.Dir, filesDir), p.Redact)
	}
	if err == nil && d.Story != "" {
		d.Story += fmt.Sprintf("\neverything that happened: %s\n", filepath.Join(d.Dir, observe.EventsFile))
		if exists(filepath.Join(d.Dir, logsDir)) {
			d.Story += fmt.Sprintf("what the peers logged:    %s\n", filepath.Join(d.Dir, logsDir))
		}
		err = atomicfile.Write(filepath.Join(d.Dir, storyFile), atomicfile.Private, atomicfile.Bytes([]byte(d.Story)))
	}
	if err != nil {
		return fmt.Errorf("save the run: %w", err)
	}
	return d.Record.Save(d.Dir)
}

// log opens a file for what a peer logged.
func (j job) log(peer string) (io.WriteCloser, error) {
	dir := filepath.Join(j.dir, logsDir)
	if err := os.MkdirAll(dir, atomicfile.PrivateDir); err != nil {
		return nil, err
	}
	return atomicfile.Create(filepath.Join(dir, peer+".log"))
}

// Saved returns the directories of complete runs in or below the given ones, each
// of which has to have some.
func Saved(dirs []string) ([]string, error) {
	var found []string
	for _, dir := range dirs {
		some, err := SavedIn(dir)
		if err != nil {
			return nil, err
		}
		if len(some) == 0 {
			return nil, fmt.Errorf("%s holds no saved run: a run has a %s", dir, observe.ResultFile)
		}
		found = append(found, some...)
	}
	return found, nil
}

// SavedIn returns the directories of complete runs in or below dir.
func SavedIn(dir string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != dir:
			return nil // somebody has removed it meanwhile
		case err != nil:
			return err
		case d.IsDir() && d.Name() == filesDir && path != dir && exists(filepath.Join(filepath.Dir(path), scenarioFile)):
			return filepath.SkipDir // what was beside the scenario of a run
		case d.Name() == observe.ResultFile && !d.IsDir():
			found = append(found, filepath.Dir(path))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for saved runs: %w", err)
	}
	return found, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// SavedStory returns what was told of the run, as it is in its directory, ""
// where that has none.
func (d *Done) SavedStory() string {
	story, _ := os.ReadFile(filepath.Join(d.Dir, storyFile))
	return string(story)
}
