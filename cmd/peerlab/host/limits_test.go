package host

import (
	"strings"
	"testing"
	"testing/fstest"

	"peerlab/testbed/docker/dockerd"
)

func TestHostLimits(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	root := fstest.MapFS{
		"proc/sys/kernel/threads-max": file("100000\n"), "proc/sys/kernel/pid_max": file("3200\n"),
		"proc/sys/net/ipv4/neigh/default/gc_thresh3": file("1024\n"), "proc/sys/net/ipv4/neigh/default/gc_thresh2": file("512\n"),
	}
	states := func(root fstest.MapFS, peers int) (s []string) {
		for _, l := range kernelLimits(root, peers) {
			c := l.check(peers)
			s = append(s, c.Name+" "+c.State)
			if (c.State == "missing") != (c.Mend != "") {
				t.Errorf("%d peers: %+v", peers, c)
			}
		}
		return s
	}
	for peers, want := range map[int]string{
		31: "threads ok, ARP table ok", 32: "threads ok, ARP table missing", 101: "threads missing, ARP table missing",
	} {
		if got := strings.Join(states(root, peers), ", "); got != want {
			t.Errorf("%d peers: %s, want %s", peers, got, want)
		}
	}
	if got := strings.Join(states(fstest.MapFS{}, 5), ", "); got != "threads unknown, ARP table unknown" {
		t.Errorf("nothing can be read: %s", got)
	}
	// The remedy is enough.
	root["proc/sys/net/ipv4/neigh/default/gc_thresh3"] = file("80000")
	if got := states(root, 200)[1]; got != "ARP table ok" {
		t.Errorf("mended: %s", got)
	}
}

func TestContainerLimits(t *testing.T) {
	for _, test := range []struct {
		about       dockerd.About
		state, says string
	}{
		{dockerd.About{MemoryLimit: true, PIDsLimit: true}, "ok", "memory and processes"},
		{dockerd.About{PIDsLimit: true}, "missing", "control group for memory"},
		{dockerd.About{}, "missing", "memory, pids"},
	} {
		if c := ContainerLimits(test.about); c.State != test.state || !strings.Contains(c.Found, test.says) {
			t.Errorf("%+v: %+v", test.about, c)
		}
	}
}
