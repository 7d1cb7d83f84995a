//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"peerlab/testbed/fabric"
)

// TestNobodyReads has an agent apply links and let their lease end while nobody
// reads what it writes. It still applies and heals, and ends when it is told to.
func TestNobodyReads(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	socket := filepath.Join(t.TempDir(), "agent")
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), agentVariable+"="+socket)
	agent.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	unread, full, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Close()
	if err := full.SetWriteDeadline(time.Now().Add(time.Second / 10)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = full.Write(make([]byte, 4096))
	}
	agent.Stdout, agent.Stderr = full, full
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = agent.Process.Kill() }()
	ended := make(chan error, 1)
	go func() { ended <- agent.Wait() }()

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client := fabric.NewClient(socket)
	defer client.Close()
	if err := client.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	pair := fabric.Pair{From: netip.MustParseAddr("10.0.0.1"), To: netip.MustParseAddr("10.0.0.2")}
	for i := range 2 * queuedLines {
		if _, err := client.Apply(ctx, fabric.Matrix{pair: {Drop: fabric.DropAll}}, 200*time.Millisecond); err != nil {
			t.Fatalf("apply %d: %v", i, err)
		}
	}
	for {
		status, err := client.Status(ctx)
		if err != nil {
			t.Fatalf("the links do not heal: %v", err)
		}
		if !status.Lapsed.IsZero() && len(status.Matrix) == 0 {
			break
		}
	}
	if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Error("the agent does not end")
	}
}

// agentVariable makes the test's program an agent on the socket it names.
const agentVariable = "FABRIC_TEST_AGENT"

func TestMain(m *testing.M) {
	socket := os.Getenv(agentVariable)
	if socket == "" {
		os.Exit(m.Run())
	}
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br-test"}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(run(context.Background(), []string{"agent", "--lab", "test", "--bridge", "br-test", "--socket", socket}, os.Stdin, os.Stdout, os.Stderr))
}
