package dockerd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	contexts "github.com/docker/cli/cli/context/docker"
)

// watchVariable makes this program a watchdog for the run it names.
const watchVariable = "PEERLAB_WATCH"

// keepWord tells the watchdog that its work is done, or not wanted.
const keepWord = "keep"

// Watchdog is a second process of the same program that removes what a run
// made when the first one ends, in whatever way: by a panic, Ctrl-C or
// kill -9. It notices by its standard input, which then ends.
type Watchdog struct {
	process *exec.Cmd
	input   io.WriteCloser
	once    sync.Once
}

// ErrNoEntry is what Create and Guard return in a program that did not begin with
// RunWatchdogIfRequested: the watchdog, which is the same program, would do all that again.
var ErrNoEntry = errors.New("this program did not call dockerd.RunWatchdogIfRequested: begin main with it, or TestMain in a test (if status, requested := dockerd.RunWatchdogIfRequested(); requested { os.Exit(status) })")

// errIsWatchdog is what they return in the watchdog itself.
var errIsWatchdog = errors.New("this process is a watchdog and makes nothing: it must exit with the status that dockerd.RunWatchdogIfRequested returned")

// entered is whether RunWatchdogIfRequested was called: of this process, as its environment
// is.
var entered atomic.Bool

// CheckEntry returns why this process may not start a watchdog, if it may not.
func CheckEntry() error {
	switch {
	case !entered.Load():
		return ErrNoEntry
	case os.Getenv(watchVariable) != "":
		return errIsWatchdog
	}
	return nil
}

// watchOrder is the first line that a watchdog reads: which daemon to ask, as it
// was chosen then.
type watchOrder struct {
	Context, Host string
	TLS           *contexts.Endpoint
}

// StartWatchdog starts the watchdog of a run: of all that has its RunLabel or
// ImageRunLabel.
func StartWatchdog(run string, where Endpoint) (*Watchdog, error) {
	if err := CheckEntry(); err != nil {
		return nil, err
	}
	cmd, err := thisProgram()
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	cmd.Env = append(os.Environ(), watchVariable+"="+run)
	cmd.SysProcAttr = outOfReach()
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	w := &Watchdog{process: cmd, input: input}
	// Not in its environment: a key may be among it.
	if err := json.NewEncoder(input).Encode(watchOrder{where.Context, where.Host, where.tls}); err != nil {
		w.Dismiss()
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return w, nil
}

// thisProgram returns a command for the program that runs, which may have been
// replaced by another where it was.
func thisProgram() (*exec.Cmd, error) {
	const self = "/proc/self/exe" // the child's, until it runs another
	if _, err := os.Stat(self); err == nil {
		cmd := exec.Command(self)
		cmd.Args[0] = os.Args[0]
		return cmd, nil
	}
	path, err := os.Executable()
	return exec.Command(path), err
}

// PID is the id of the watchdog's process.
func (w *Watchdog) PID() int { return w.process.Process.Pid }

// Dismiss ends the watchdog with nothing removed.
func (w *Watchdog) Dismiss() { w.finish(keepWord) }

// RemoveAndWait has the watchdog remove all, and waits for it.
func (w *Watchdog) RemoveAndWait() { w.finish("") }

func (w *Watchdog) finish(word string) {
	w.once.Do(func() {
		_, _ = io.WriteString(w.input, word)
		_ = w.input.Close()
		_ = w.process.Wait()
	})
}

// RunWatchdogIfRequested must be called first by every program that makes a cluster or
// calls Guard, which fail with ErrNoEntry without it. In the program itself it returns
// false. What makes the cluster starts a second process of the same program, which
// removes the cluster if the first is killed. There the function returns true once that
// is done, with the status to exit with.
func RunWatchdogIfRequested() (status int, requested bool) {
	entered.Store(true)
	run := os.Getenv(watchVariable)
	if run == "" {
		return 0, false
	}
	input := bufio.NewReader(os.Stdin)
	first, err := input.ReadBytes('\n')
	if err != nil {
		return 0, true // the other process has ended and made nothing
	}
	var order watchOrder
	if err = json.Unmarshal(first, &order); err == nil {
		if said, _ := io.ReadAll(io.LimitReader(input, 64)); string(said) == keepWord {
			return 0, true
		}
		err = removeRun(run, Endpoint{Context: order.Context, Host: order.Host, tls: order.TLS})
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "peerlab: something may be left, look for the labels %s and %s with %s: %v\n", RunLabel, ImageRunLabel, run, err)
		return 1, true
	}
	return 0, true
}

// removeRun removes what a run made. What the daemon was asked for in the last
// moment may appear only now, and a container being removed holds its network:
// so it looks until it has been quiet for a while.
func removeRun(run string, where Endpoint) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	d, err := where.connect(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	retry := time.NewTicker(time.Second / 2)
	defer retry.Stop()
	for quiet := 0; quiet < 4; {
		removed, err := d.Sweep(ctx, RunLabel, func(labels map[string]string) bool { return labels[RunLabel] == run })
		images, imagesErr := d.sweepImages(ctx, ImageRunLabel, func(labels map[string]string) bool { return labels[ImageRunLabel] == run })
		err = errors.Join(err, imagesErr)
		if err == nil && removed == (Removed{}) && images == 0 {
			quiet++
		} else {
			quiet = 0
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return fmt.Errorf("not within two minutes: %w", err)
		}
	}
	return nil
}
