package scenarios

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"peerlab/observe"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

func batch(t *testing.T, dir, text string) *Batch {
	t.Helper()
	s, err := Parse("x.txt", text)
	if err != nil {
		t.Fatal(err)
	}
	return &Batch{Host: sim.Run, Engine: "sim", Scenarios: []*Scenario{s}, Dir: dir, Seed: 1}
}

func (b *Batch) mustRun(t *testing.T) []*Done {
	t.Helper()
	plans, err := b.Plans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	done, err := b.Run(t.Context(), plans)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// earlier counts the runs that were not made again.
func earlier(done []*Done) (n int) {
	for _, d := range done {
		if d.Earlier {
			n++
		}
	}
	return n
}

const armed = "arm a X=2\narm b X=3\ncluster 3 SuspicionMult=$X\nstart\nawait 1m all see 3 alive\n[arm:b] check all see 2 alive\n"

func TestRepeatGoesOn(t *testing.T) {
	dir := t.TempDir()
	b := batch(t, dir, armed)
	b.Repeat = 2
	done := b.mustRun(t)
	if len(done) != 4 || earlier(done) != 0 {
		t.Fatalf("%d runs, %d of them earlier", len(done), earlier(done))
	}
	for _, d := range done {
		want := map[string]observe.Verdict{"x/a": observe.Pass, "x/b": observe.Fail}[d.Name]
		if d.Verdict != want {
			t.Errorf("%s: %s: %s", d.Name, d.Verdict, d.Reason)
		}
		record, err := observe.Load(d.Dir)
		if err != nil || len(record.Events) < 10 || record.Verdict != d.Verdict {
			t.Errorf("saved: %v", err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "junit.xml")); err != nil || strings.Count(string(text), "<failure") != 2 {
		t.Errorf("%s, %v", text, err)
	}

	for _, name := range []string{"x/a #1", "x/a #2", "x/b #1", "x/b #2"} {
		if text, err := os.ReadFile(filepath.Join(dir, "junit.xml")); err != nil || strings.Count(string(text), `<testcase name="`+name+`"`) != 1 {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}

	// More of the same: what is complete stays, stories included.
	b.Repeat = 3
	if done = b.mustRun(t); len(done) != 6 || earlier(done) != 4 || done[1].Story == "" {
		t.Errorf("%d runs, %d of them earlier", len(done), earlier(done))
	}
	// What was broken off has no result.
	if err := os.Remove(filepath.Join(done[0].Dir, observe.ResultFile)); err != nil {
		t.Fatal(err)
	}
	if done = b.mustRun(t); earlier(done) != 5 || done[0].Earlier {
		t.Errorf("%d of %d earlier", earlier(done), len(done))
	}
	// What could not be told is tried again.
	record := done[0].Record
	record.Verdict = observe.Inconclusive
	if err := record.Save(done[0].Dir); err != nil {
		t.Fatal(err)
	}
	if done = b.mustRun(t); earlier(done) != 5 {
		t.Errorf("%d of %d earlier", earlier(done), len(done))
	}
}

// TestConfigurationsDoNotMix changes whatever makes another configuration.
func TestConfigurationsDoNotMix(t *testing.T) {
	dir := t.TempDir()
	const text = "set X=2\ncluster 2 SuspicionMult=$X\nstart\n"
	batch(t, dir, text).mustRun(t)
	if n := earlier(batch(t, dir, text).mustRun(t)); n != 1 {
		t.Fatalf("the same was run %d times", 2-n)
	}
	for name, change := range map[string]func(*Batch){
		"a variable": func(b *Batch) { b.Set = map[string]string{"X": "3"} },
		"the text":   func(b *Batch) { *b = *batch(t, dir, text+"# more\n") },
		"the seed":   func(b *Batch) { b.Seed = 9 },
		"the engine": func(b *Batch) { b.Engine = "docker" },
	} {
		b := batch(t, dir, text)
		change(b)
		if n := earlier(b.mustRun(t)); n != 0 {
			t.Errorf("%s: another configuration's run was taken", name)
		}
	}
}

func TestBatchChecksAllFirst(t *testing.T) {
	b := batch(t, t.TempDir(), "cluster 2\nstrat\n")
	other, err := Parse("y.txt", "cluster 2\nkill dave\n")
	if err != nil {
		t.Fatal(err)
	}
	b.Scenarios = append(b.Scenarios, other)
	_, err = b.Plans(t.Context())
	var wrong Problems
	if !errors.As(err, &wrong) || len(wrong) != 2 {
		t.Errorf("%v", err)
	}
}

func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	b := batch(t, dir, "cluster 2\nstart\nwait 10h\n")
	plans, err := b.Plans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.Tell = func(n Note) {
		if n.Line == 3 {
			cancel()
		}
	}
	done, err := b.Run(ctx, plans)
	if !errors.Is(err, context.Canceled) || len(done) != 0 {
		t.Errorf("%d done, %v", len(done), err)
	}
	if saved, err := Saved([]string{dir}); err == nil {
		t.Errorf("%v is left", saved)
	}
}

// TestRunsShareMemory: what runs at the same time fits into the memory, but one
// run always does.
func TestRunsShareMemory(t *testing.T) {
	cores := int64(runtime.NumCPU())
	plan := func(settings string) *Plan {
		b := batch(t, t.TempDir(), "cluster 200"+settings+"\nstart\n")
		plans, err := b.Plans(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return plans[0]
	}
	chat, without := plan(""), plan(" no-chat=true")
	if chat.Memory() <= without.Memory() {
		t.Errorf("%d with the chat, %d without", chat.Memory(), without.Memory())
	}
	for _, test := range []struct {
		name   string
		batch  Batch
		atOnce int64
	}{
		{"any memory", Batch{Engine: "sim"}, cores},
		{"enough for all cores", Batch{Engine: "sim", Memory: cores * chat.Memory()}, cores},
		{"enough for one", Batch{Engine: "sim", Memory: chat.Memory()}, 1},
		{"not enough", Batch{Engine: "sim", Memory: 1}, 1},
		{"somebody wants three", Batch{Engine: "sim", Memory: 1, Parallel: 3}, 3},
	} {
		capacity, weight := test.batch.capacity()
		if got := capacity / min(weight(chat), capacity); got != test.atOnce {
			t.Errorf("%s: %d at the same time, want %d", test.name, got, test.atOnce)
		}
	}
}

// TestInterruptedInABacklog: a run that is reading what has happened at one instant
// of virtual time, or is in a wait, ends after the event at which it is
// interrupted.
func TestInterruptedInABacklog(t *testing.T) {
	for name, line := range map[string]string{
		"wait":  "wait 10h",
		"hold":  "hold 10h not alice sees 20 alive",
		"await": "await 10h alice sees bob dead",
		"asks":  "await 10h alice ends",
	} {
		s, err := Parse("x.txt", "cluster 20 no-chat=true\nstart\n"+line+"\n")
		if err != nil {
			t.Fatal(err)
		}
		interrupted := errors.New("interrupted")
		asked := 0
		var res *Result
		err = sim.Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
			plans, err := s.Plans(ctx, f, "", nil)
			if err != nil {
				return err
			}
			res = plans[0].Run(ctx, f, Options{Interrupted: func() error {
				if asked++; asked > 100 {
					return interrupted
				}
				return nil
			}})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if res.Verdict != observe.Inconclusive || res.Reason != "interrupted" || len(res.Events) > 101 {
			t.Errorf("%s: %s: %s, after %d events", name, res.Verdict, res.Reason, len(res.Events))
		}
	}
}

// What a run leaves is for its owner: it tells what was said and done.
func TestSavedRunsArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	done := batch(t, dir, "cluster 2\nstart alice\ncheck alice see 2 alive\n").mustRun(t)
	if done[0].Verdict != observe.Fail { // so that there is a story
		t.Fatal(done[0].Reason)
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = fs.ModeDir | 0o700
		} else {
			files++
		}
		if err == nil && info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("%d files, %v", files, err)
	}
}

// The reason of a failure stands whole behind a line that is shortened,
// wherever it is told.
func TestLongLineDoesNotHideTheReason(t *testing.T) {
	dir := t.TempDir()
	long := "check all have message '" + strings.Repeat("äx", 1000) + "'"
	b := batch(t, dir, "cluster 2\nstart\nawait 1m all see 2 alive\n"+long+"\n")
	done := b.mustRun(t)[0]
	const why = "alice does not have it; bob does not have it"
	if done.Failed == nil || done.Failed.Text != long {
		t.Errorf("the result has %+v", done.Failed)
	}
	junit, err := os.ReadFile(filepath.Join(dir, "junit.xml"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := JudgeAgain(loadRun(t, done.Dir))
	if err != nil {
		t.Fatal(err)
	}
	for place, text := range map[string]string{"reason": done.Reason, "story": done.Story, "JUnit": string(junit), "again": again.Reason} {
		if strings.Contains(text, strings.Repeat("äx", 45)) {
			t.Errorf("%s: the line is not shortened: %s", place, text)
		}
		if !strings.Contains(text, "…") || !strings.Contains(text, why) || !utf8.ValidString(text) {
			t.Errorf("%s: %s", place, text)
		}
	}
}

// logged is an engine whose peers' logs can be had.
type logged struct {
	testbed.Factory
	testbed.Engine
	asked func()
}

func (l logged) Name() string { return l.Factory.Name() }

func (l logged) Create(ctx context.Context, spec testbed.Spec) (testbed.Engine, error) {
	engine, err := l.Factory.Create(ctx, spec)
	l.Engine = engine
	return l, err
}

func (l logged) Logs(context.Context, string, bool, io.Writer, io.Writer) error {
	l.asked()
	return nil
}

// The logs of peers are fetched for a run that fails, and not for one that is
// interrupted, which is not kept.
func TestLogsOfAnInterruptedRun(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		asked := 0
		b := batch(t, t.TempDir(), "cluster 2\nstart\ncheck alice sees bob dead\n")
		plans, err := b.Plans(ctx)
		if err != nil {
			t.Fatal(err)
		}
		b.Host = func(_ context.Context, seed uint64, do func(context.Context, testbed.Factory) error) error {
			return sim.Run(t.Context(), seed, func(inner context.Context, f testbed.Factory) error {
				if interrupted {
					cancel()
				}
				return do(inner, logged{Factory: f, asked: func() { asked++ }})
			})
		}
		if _, err := b.Run(ctx, plans); errors.Is(err, context.Canceled) != interrupted || (asked > 0) == interrupted {
			t.Errorf("interrupted %v: logs were asked for %d times, %v", interrupted, asked, err)
		}
	}
}

// Whoever looks for runs does not mind that somebody removes one.
func TestSavedRunsThatAreRemovedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var removing sync.WaitGroup
	defer removing.Wait()
	defer cancel()
	removing.Go(func() {
		for ctx.Err() == nil {
			_ = os.MkdirAll(filepath.Join(dir, "run", "001", "logs"), 0o700)
			_ = os.RemoveAll(filepath.Join(dir, "run"))
		}
	})
	for range 2000 {
		if _, err := SavedIn(dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := SavedIn(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func loadRun(t *testing.T, dir string) *observe.Record {
	t.Helper()
	record, err := observe.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// Lines of other arms, and of other engines, do not run: nobody is told of them.
func TestSkippedLinesAreNotTold(t *testing.T) {
	b := batch(t, t.TempDir(), armed+"[docker] kill bob\n")
	var told []string
	b.Tell = func(n Note) { told = append(told, n.Run+" "+n.Text) }
	done := b.mustRun(t)
	all := strings.Join(told, "\n")
	if strings.Contains(all, "[docker]") || strings.Contains(all, "x/a [arm:b]") || !strings.Contains(all, "x/b [arm:b]") {
		t.Error(all)
	}
	for _, e := range loadRun(t, done[0].Dir).Events {
		if strings.Contains(e.Text, "[docker]") || strings.Contains(e.Text, "[arm:b]") {
			t.Errorf("in the history: %s", e.Text)
		}
	}
}
