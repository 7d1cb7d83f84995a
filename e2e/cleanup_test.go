package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// ownerLabel is on everything these tests create in the daemon.
const ownerLabel = "peerlab.e2e"

// owner names the process something belongs to: host, process id and when
// that process started, because ids are used again.
type owner string

func thisProcess() (owner, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name this host: %w", err)
	}
	return owner(fmt.Sprintf("%s/%d/%s", host, os.Getpid(), startTime(os.Getpid()))), nil
}

// startTime is in clock ticks since boot; empty for a process that is gone,
// or where there is no /proc.
func startTime(pid int) string {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	// The second field, in parentheses, may hold anything.
	_, rest, _ := strings.Cut(string(stat), ") ")
	if fields := strings.Fields(rest); len(fields) > 19 {
		return fields[19]
	}
	return ""
}

// gone says whether o ran on this host and has ended.
func (o owner) gone() bool {
	part := strings.Split(string(o), "/")
	host, err := os.Hostname()
	if len(part) != 3 || err != nil || part[0] != host {
		return false
	}
	pid, err := strconv.Atoi(part[1])
	if err != nil {
		return false
	}
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	return startTime(pid) != part[2]
}

// tag is o in the form of an image tag.
func (o owner) tag() string { return strings.ReplaceAll(string(o), "/", ".") }

// sweep removes containers, networks and images of the owners that match.
func sweep(ctx context.Context, docker client.APIClient, match func(owner) bool) error {
	ours := make(client.Filters).Add("label", ownerLabel)
	matches := func(labels map[string]string) bool { return match(owner(labels[ownerLabel])) }
	var errs []error
	failed := func(err error) { errs = append(errs, err) }

	containers, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	// One after the other: see testbed/docker's removeContainers.
	for _, c := range containers.Items {
		if matches(c.Labels) {
			if _, err := docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil && !errdefs.IsNotFound(err) {
				failed(fmt.Errorf("remove container: %w", err))
			}
		}
	}
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	if err != nil {
		return fmt.Errorf("list networks: %w", err)
	}
	for _, n := range networks.Items {
		if matches(n.Labels) {
			if _, err := docker.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
				failed(fmt.Errorf("remove network: %w", err))
			}
		}
	}
	images, err := docker.ImageList(ctx, client.ImageListOptions{Filters: ours})
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	for _, i := range images.Items {
		if matches(i.Labels) {
			if _, err := docker.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true}); err != nil && !errdefs.IsNotFound(err) {
				failed(fmt.Errorf("remove image: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}

// watchVariable makes this test binary a watchdog for the owner it names.
const watchVariable = "PEERLAB_E2E_WATCH"

// watchdog is a second process that removes what the first owns when that one
// ends, in whatever way: normally, by a panic, the test timeout, Ctrl-C or
// kill -9. It notices by its standard input, which then ends.
type watchdog struct {
	process *exec.Cmd
	input   io.Closer
	once    sync.Once
}

func startWatchdog(o owner) (*watchdog, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), watchVariable+"="+string(o))
	// Its own session, which a Ctrl-C in the terminal does not reach.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{process: cmd, input: input}, nil
}

// finish has the watchdog remove everything and waits for it.
func (w *watchdog) finish() {
	w.once.Do(func() {
		_ = w.input.Close()
		if err := w.process.Wait(); err != nil {
			fmt.Fprintf(os.Stderr, "e2e: something may be left, look for the label %s: %v\n", ownerLabel, err)
		}
	})
}

// watch is the watchdog's main.
func watch(o owner) int {
	_, _ = io.Copy(io.Discard, os.Stdin)
	docker, err := client.New(client.FromEnv)
	if err != nil {
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// What the daemon was asked for in the last moment may appear only now,
	// and a container being removed holds its network: look until it is quiet.
	retry := time.NewTicker(time.Second / 2)
	defer retry.Stop()
	for quiet := 0; quiet < 2; {
		if err := sweep(ctx, docker, func(other owner) bool { return other == o }); err == nil {
			quiet++
		} else {
			quiet = 0
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return 1
		}
	}
	return 0
}
