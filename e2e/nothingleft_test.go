package e2e

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// orphanVariable makes TestOrphan run.
const orphanVariable = "PEERLAB_E2E_ORPHAN"

// TestOrphan is no test of its own: TestNothingIsLeft runs it in a process it
// kills.
func TestOrphan(t *testing.T) {
	if os.Getenv(orphanVariable) == "" {
		t.Skip("run by TestNothingIsLeft")
	}
	c := newCluster(t, rejoinEvery)
	c.start(t, "alice")
	c.pause(t, "alice") // the hardest to remove
	if _, err := os.Stdout.WriteString("\n" + orphanVariable + " " + string(shared.owner) + "\n"); err != nil {
		t.Fatal(err)
	}
	<-t.Context().Done()
}

// TestNothingIsLeft kills a process in the middle of these tests.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	if shared.missing != nil {
		t.Skip(shared.missing)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	orphan := exec.Command(self, "-test.run=^TestOrphan$", "-test.timeout=5m")
	orphan.Env = append(os.Environ(), orphanVariable+"=1",
		imagesVariable+"="+shared.images.peer+" "+shared.images.bootstrap)
	output, err := orphan.StdoutPipe()
	if err == nil {
		err = orphan.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var left owner
	for lines := bufio.NewScanner(output); left == "" && lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 2 && words[0] == orphanVariable {
			left = owner(words[1])
		}
	}
	before := owned(t, left)
	if err := orphan.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = orphan.Wait() // it was killed
	if left == "" || before != 3 {
		t.Fatalf("%q owned %d containers and networks before its end, want bootstrap, alice and their network", left, before)
	}
	if !left.gone() {
		t.Errorf("%q counts as running after its end", left)
	}
	for deadline := time.Now().Add(30 * time.Second); owned(t, left) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d containers and networks of %q are left", owned(t, left), left)
		}
	}
}

// owned counts the containers and networks of an owner.
func owned(t *testing.T, o owner) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ours := make(client.Filters).Add("label", ownerLabel+"="+string(o))
	containers, err := shared.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	if err != nil {
		t.Fatal(err)
	}
	networks, err := shared.docker.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	if err != nil {
		t.Fatal(err)
	}
	return len(containers.Items) + len(networks.Items)
}

func TestOwner(t *testing.T) {
	self, err := thisProcess()
	if err != nil {
		t.Fatal(err)
	}
	host, _, _ := strings.Cut(string(self), "/")
	tests := []struct {
		name string
		o    owner
		gone bool
	}{
		{"this process", self, false},
		{"a process that had this id before", owner(host + "/" + strings.Split(string(self), "/")[1] + "/1"), true},
		{"no process", owner(host + "/2147483646/1"), true},
		{"a process on another host", "elsewhere/2147483646/1", false},
		{"no label of ours", "something", false},
		{"no number", owner(host + "/x/1"), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.o.gone(); got != test.gone {
				t.Errorf("gone() = %t, want %t", got, test.gone)
			}
		})
	}
}
