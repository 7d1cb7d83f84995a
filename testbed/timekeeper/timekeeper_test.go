//go:build unix

package timekeeper

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"peerlab/testbed"
)

// watching makes this binary a process that watches, for a test to stop.
const watching = "TIMEKEEPER_TEST_WATCH"

func TestMain(m *testing.M) {
	if os.Getenv(watching) != "" {
		watchAndTell()
		return
	}
	goleak.VerifyTestMain(m)
}

func watchAndTell() {
	h := testbed.NewHistory()
	go Watch(context.Background(), h)
	fmt.Println("watching")
	for n := 0; ; n++ {
		events, err := h.Read(context.Background(), n)
		if err != nil {
			return
		}
		fmt.Println(events[0].Kind, events[0].Text)
	}
}

// TestLateTimersAreNoticed stops a process that watches, which makes its timers
// late whatever else the host does.
func TestLateTimersAreNoticed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("stops a process by signals")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), watching+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Again and again, for the first time may come before it watches.
	const held = 500 * time.Millisecond
	var stopping sync.WaitGroup
	stopping.Go(func() {
		tick := time.NewTicker(held)
		defer tick.Stop()
		for n := 0; ; n++ {
			_ = cmd.Process.Signal([]os.Signal{syscall.SIGSTOP, syscall.SIGCONT}[n%2])
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	noticed := false
	for lines := bufio.NewScanner(out); !noticed && lines.Scan(); {
		// A busy host may have been noticed before: wait for what was done here.
		_, after, found := strings.Cut(lines.Text(), "lab.busy a timer came ")
		word, _, _ := strings.Cut(after, " late")
		late, err := time.ParseDuration(word)
		noticed = found && err == nil && late >= held-2*beat
	}
	cancel()
	stopping.Wait()
	_ = cmd.Wait() // it was killed
	if !noticed {
		t.Errorf("that it was stopped for %s was not noticed", held)
	}
}

// changing is a host whose files are different each second.
type changing struct {
	second atomic.Int32
	files  func(second int) map[string]string
}

func (c *changing) Open(name string) (fs.File, error) {
	now := make(fstest.MapFS)
	for name, text := range c.files(int(c.second.Load())) {
		now[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return now.Open(name)
}

// watch runs a watcher for some seconds of virtual time and returns what it
// recorded.
func watch(t *testing.T, seconds int, files func(second int) map[string]string) (recorded []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		root := &changing{files: files}
		ctx, cancel := context.WithCancel(t.Context())
		w := watcher{host: host{root}, cpus: 2}
		var watching sync.WaitGroup
		watching.Go(func() {
			w.watch(ctx, func(text string) { recorded = append(recorded, text) })
		})
		for range seconds {
			time.Sleep(time.Second - time.Millisecond) // between two beats
			root.second.Add(1)
			time.Sleep(time.Millisecond)
		}
		cancel()
		watching.Wait()
	})
	return recorded
}

func stat(steal, other int) string {
	return fmt.Sprintf("cpu  %d 0 0 0 0 0 0 %d 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\n", other, steal)
}

func TestWhatTheKernelTells(t *testing.T) {
	const v1, v2 = "3:cpuset:/\n2:cpu,cpuacct:/a/b\n", "0::/a/b\n"
	tests := []struct {
		name  string
		files func(second int) map[string]string
		want  string // of what is recorded; "" is nothing
	}{
		{"nothing", func(int) map[string]string { return nil }, ""},
		{"nonsense", func(int) map[string]string {
			return map[string]string{"proc/loadavg": "a b c d/e", "proc/stat": "cpu x", "proc/self/cgroup": "::", "sys/fs/cgroup/cpu.stat": "throttled_usec"}
		}, ""},
		{"a short queue", func(int) map[string]string { return map[string]string{"proc/loadavg": "9 9 9 127/800 1\n"} }, ""},
		{"a long queue", func(int) map[string]string { return map[string]string{"proc/loadavg": "0 0 0 128/800 1\n"} }, "128 tasks shared 2 processors"},
		{"a little steal", func(s int) map[string]string { return map[string]string{"proc/stat": stat(19*s, 81*s)} }, ""},
		{"much steal", func(s int) map[string]string { return map[string]string{"proc/stat": stat(20*s, 80*s)} }, "20 % of processor time went to other machines"},
		{"steal of long ago", func(s int) map[string]string { return map[string]string{"proc/stat": stat(1_000_000, 80*s)} }, ""},
		{"a little throttling", func(s int) map[string]string {
			return map[string]string{"proc/self/cgroup": v2, "sys/fs/cgroup/a/b/cpu.stat": fmt.Sprintf("usage_usec 1\nthrottled_usec %d\n", 199_000*s)}
		}, ""},
		{"throttled", func(s int) map[string]string {
			return map[string]string{"proc/self/cgroup": v2, "sys/fs/cgroup/a/b/cpu.stat": fmt.Sprintf("usage_usec 1\nthrottled_usec %d\n", 200_000*s)}
		}, "held the lab up for 200ms"},
		{"throttled, version 1", func(s int) map[string]string {
			return map[string]string{"proc/self/cgroup": v1, "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.stat": fmt.Sprintf("nr_periods 1\nthrottled_time %d\n", 300_000_000*s)}
		}, "held the lab up for 300ms"},
		{"another's limit", func(s int) map[string]string {
			return map[string]string{"proc/self/cgroup": v2, "sys/fs/cgroup/a/c/cpu.stat": fmt.Sprintf("throttled_usec %d\n", 900_000*s)}
		}, ""},
		{"two at once", func(s int) map[string]string {
			return map[string]string{"proc/loadavg": "0 0 0 200/800 1\n", "proc/stat": stat(50*s, 50*s)}
		}, "200 tasks shared 2 processors; 50 % of processor time"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			const seconds = 5
			got := watch(t, seconds, test.files)
			if test.want == "" {
				if len(got) > 0 {
					t.Errorf("recorded %q", got)
				}
				return
			}
			if len(got) < seconds-1 || len(got) > seconds {
				t.Errorf("%d records in %d seconds", len(got), seconds)
			}
			for _, text := range got {
				if !strings.Contains(text, test.want) {
					t.Errorf("recorded %q, want %q", text, test.want)
				}
			}
		})
	}
}

func TestClockThatIsSet(t *testing.T) {
	now := time.Now()
	for by, want := range map[time.Duration]string{
		0: "", 199 * time.Millisecond: "", 200 * time.Millisecond: "the clock jumped by 200ms", -3 * time.Second: "the clock jumped by -3s",
	} {
		w := watcher{host: host{fstest.MapFS{}}, cpus: 1}
		before := now.Add(-beat)
		w.tick(before, now)
		w.jumped = by
		if got := w.verdict(sample{}, sample{}); got != want {
			t.Errorf("a jump by %s is %q, want %q", by, got, want)
		}
	}
}

// TestThisHostCanBeRead is what keeps the paths right.
func TestThisHostCanBeRead(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	h := host{os.DirFS("/")}
	if n := h.runnable(); n < 1 {
		t.Errorf("%d tasks run, and this one does", n)
	}
	if s := h.sample(); s.total == 0 {
		t.Errorf("no processor time: %+v", s)
	}
}

func BenchmarkBeat(b *testing.B) {
	w := watcher{host: host{os.DirFS("/")}, cpus: 1}
	for b.Loop() {
		now := time.Now()
		w.tick(now, now)
	}
}
