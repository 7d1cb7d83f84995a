package e2e

import (
	"context"
	"testing"
	"time"

	apicontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// stop sends SIGTERM and returns how long the container took to end.
func (c *cluster) stop(t *testing.T, name string) time.Duration {
	t.Helper()
	life := c.life(t, name)
	patience := 10
	began := time.Now()
	if _, err := shared.docker.ContainerStop(t.Context(), life.GetContainerID(), client.ContainerStopOptions{Timeout: &patience}); err != nil {
		t.Fatalf("stop %s: %v", name, err)
	}
	code, ended := c.finished(t, life)
	if code != 0 {
		t.Errorf("%s ended with exit code %d after SIGTERM", name, code)
	}
	return ended.Sub(began)
}

// kill sends SIGKILL and returns when the container ended.
func (c *cluster) kill(t *testing.T, name string) time.Time {
	t.Helper()
	life := c.life(t, name)
	if _, err := shared.docker.ContainerKill(t.Context(), life.GetContainerID(), client.ContainerKillOptions{Signal: "KILL"}); err != nil {
		t.Fatalf("kill %s: %v", name, err)
	}
	_, ended := c.finished(t, life)
	return ended
}

// finished waits for the end of a member and of its log.
func (c *cluster) finished(t *testing.T, life *container) (code int, at time.Time) {
	t.Helper()
	c.end(life.name)
	code, at = c.ended(t, life)
	select {
	case <-life.read:
	case <-time.After(10 * time.Second):
		t.Fatalf("the log of %s does not end", life.name)
	}
	return code, at
}

// ended waits for the end of a container.
func (c *cluster) ended(t *testing.T, life *container) (code int, at time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	waited := shared.docker.ContainerWait(ctx, life.GetContainerID(), client.ContainerWaitOptions{Condition: apicontainer.WaitConditionNotRunning})
	select {
	case <-waited.Result:
	case err := <-waited.Error:
		t.Fatalf("wait for the end of %s: %v", life.name, err)
	}
	state, err := life.State(ctx)
	if err == nil {
		at, err = time.Parse(time.RFC3339Nano, state.FinishedAt)
	}
	if err != nil {
		t.Fatalf("how %s ended: %v", life.name, err)
	}
	return state.ExitCode, at
}

// pause freezes a peer, resume lets it go on.
func (c *cluster) pause(t *testing.T, name string) {
	t.Helper()
	life := c.life(t, name)
	if _, err := shared.docker.ContainerPause(t.Context(), life.GetContainerID(), client.ContainerPauseOptions{}); err != nil {
		t.Fatalf("pause %s: %v", name, err)
	}
	if state, err := life.State(t.Context()); err != nil || !state.Paused {
		t.Fatalf("%s is not paused: %v", name, err)
	}
}

func (c *cluster) resume(t *testing.T, name string) {
	t.Helper()
	if _, err := shared.docker.ContainerUnpause(t.Context(), c.life(t, name).GetContainerID(), client.ContainerUnpauseOptions{}); err != nil {
		t.Fatalf("resume %s: %v", name, err)
	}
}

// disconnect takes a peer off the network, reconnect puts it back at the same
// address.
func (c *cluster) disconnect(t *testing.T, name string) {
	t.Helper()
	if _, err := shared.docker.NetworkDisconnect(t.Context(), c.net.ID, client.NetworkDisconnectOptions{
		Container: c.life(t, name).GetContainerID(),
	}); err != nil {
		t.Fatalf("disconnect %s: %v", name, err)
	}
}

func (c *cluster) reconnect(t *testing.T, name string) {
	t.Helper()
	if _, err := shared.docker.NetworkConnect(t.Context(), c.net.ID, client.NetworkConnectOptions{
		Container: c.life(t, name).GetContainerID(),
		EndpointConfig: &network.EndpointSettings{
			Aliases:    []string{name},
			IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: c.addr(name)},
		},
	}); err != nil {
		t.Fatalf("reconnect %s: %v", name, err)
	}
}
