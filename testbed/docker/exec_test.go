package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// Lines go by standard input: what is typed to a peer, keys included, is in no
// list of processes and in no event of Docker's.
func TestExec(t *testing.T) {
	t.Parallel()
	o := options("alice")
	o.Env["PEER_BARE"] = "true"
	c := create(t, o)
	ctx := t.Context()
	if err := errors.Join(c.Start(ctx, testbed.Bootstrap), c.Start(ctx, "alice")); err != nil {
		t.Fatal(err)
	}
	await(t, c, 0, "alice runs", about("alice", event.PeerStarted, ""))
	picked, err := c.pick(ctx, []string{"alice"})
	if err != nil {
		t.Fatal(err)
	}
	id := picked[0].ID

	t.Run("not in arguments", func(t *testing.T) {
		const secret = "MDEyMzQ1Njc4OWFiY2RlZg"
		since := time.Now()
		if err := c.Exec(ctx, "alice", "echo "+secret, testbed.Input{}, io.Discard); err != nil {
			t.Fatal(err)
		}
		told := daemon.API.Events(ctx, client.EventsListOptions{
			Since: since.Add(-time.Second).Format(time.RFC3339Nano), Until: time.Now().Add(time.Second).Format(time.RFC3339Nano),
			Filters: make(client.Filters).Add("container", id),
		})
		seen := 0
		for {
			select {
			case m := <-told.Messages:
				if strings.HasPrefix(string(m.Action), "exec_") {
					seen++
				}
				if text := fmt.Sprint(m); strings.Contains(text, secret) {
					t.Errorf("Docker tells %s", text)
				}
				continue
			case err := <-told.Err:
				if !errors.Is(err, io.EOF) || seen == 0 {
					t.Errorf("%d events of exec, %v", seen, err)
				}
			}
			break
		}
	})

	t.Run("input and files", func(t *testing.T) {
		script := "echo one\nnosuch\n"
		var out bytes.Buffer
		err := c.Exec(ctx, "alice", "execute -", testbed.Input{Stdin: &script}, &out)
		if out.String() != "one\n" || !errors.As(err, new(*testbed.CommandError)) || !strings.Contains(err.Error(), "standard input:2: unknown command") {
			t.Errorf("standard input: %q, %v", &out, err)
		}
		out.Reset()
		err = c.Exec(ctx, "alice", "execute d/x", testbed.Input{Files: map[string]string{"d/x": "echo '" + strings.Repeat("ä", 30_000) + "'"}}, &out)
		if err != nil || strings.Count(out.String(), "ä") != 30_000 {
			t.Errorf("a file: %d bytes, %v", out.Len(), err)
		}
		if err := c.Exec(ctx, "alice", "execute -", testbed.Input{}, io.Discard); err == nil || !strings.Contains(err.Error(), "no standard input") {
			t.Errorf("without standard input: %v", err)
		}
	})

	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(ctx)
		shown := make(chan struct{}, 1)
		ended := make(chan error, 1)
		go func() {
			ended <- c.Exec(ctx, "alice", "log follow -n 1", testbed.Input{}, writer(func([]byte) {
				select {
				case shown <- struct{}{}:
				default:
				}
			}))
		}()
		select {
		case <-shown:
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		left := []string{"?"}
		for deadline := time.Now().Add(30 * time.Second); len(left) > 0 && time.Now().Before(deadline); {
			top, err := daemon.API.ContainerTop(t.Context(), id, client.ContainerTopOptions{})
			if err != nil {
				t.Fatal(err)
			}
			left = nil
			for _, p := range top.Processes {
				if line := strings.Join(p, " "); !strings.Contains(line, "/peer run") {
					left = append(left, line)
				}
			}
		}
		if len(left) > 0 {
			t.Errorf("it goes on in the container: %q", left)
		}
	})

	t.Run("files as in the simulator", func(t *testing.T) {
		lines := []string{"membership configure"}
		given := map[string]string{"setup.txt": "echo set up"}
		for _, command := range []string{"execute", "config load", "config save", "log on"} {
			for _, path := range []string{
				"setup.txt", "./setup.txt", "missing.txt", "d/setup.txt", "../setup.txt", "../../etc/passwd", "~/setup.txt", "/setup.txt",
				"/home/you/.profile", "/etc/passwd", "/x", "/run/x", "/dev/x", "/etc", "/run/peer", ".", "/", "''",
				"/run/peer/sub/x", "/run/peer/" + strings.Repeat("x", 256),
			} {
				lines = append(lines, command+" "+path)
			}
		}
		lines = append(lines, "config save", "config save /run/peer/conf", "config load /run/peer/conf", "log on /run/peer/log", "log off",
			"config load /run/peer/conf/x", "shell date")
		answers := func(ctx context.Context, e testbed.Engine) (all []string) {
			for _, line := range lines {
				var out bytes.Buffer
				err := e.Exec(ctx, "alice", line, testbed.Input{Files: given}, &out)
				if err != nil && !errors.As(err, new(*testbed.CommandError)) {
					t.Fatalf("%s: %v", line, err)
				}
				all = append(all, fmt.Sprintf("%s: %s%v", line, &out, err))
			}
			return all
		}
		var want []string
		err := sim.Run(ctx, 1, func(ctx context.Context, f testbed.Factory) error {
			e, err := f.Create(ctx, testbed.Spec{Peers: []string{"alice"}, Settings: map[string]string{"profile": "local", "bare": "true"}})
			if err == nil {
				err = e.Start(ctx, "alice")
			}
			if err == nil {
				want = answers(ctx, e)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		got := answers(ctx, c)
		for i := range lines {
			if got[i] != want[i] {
				t.Errorf("%s\n  in the simulator %s", got[i], want[i])
			}
		}
	})
}
