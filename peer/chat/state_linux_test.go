package chat_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"peerlab/peer/chat"
)

// mount gives a file system of a few hundred KiB.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mounting a tmpfs takes root: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestFullDisk(t *testing.T) {
	state := mount(t, "size=256k")
	a, b := joinWith(t, "a", 1, chat.Options{State: state}), joinWith(t, "b", 1, chat.Options{})
	meet(a, b)
	text := strings.Repeat("x", 8<<10)
	var err error
	sent := 0
	for ; err == nil && sent < 1000; sent++ {
		_, err = a.SendKept(wait(t), text)
	}
	if err == nil || !strings.Contains(err.Error(), "is not kept") || !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("after %d messages: %v", sent, err)
	}
	if _, err := a.SendAndWait(wait(t), "goes on in memory"); err != nil {
		t.Fatal(err)
	}
	if got := b.await(sent + 1); got[sent] != "goes on in memory" {
		t.Errorf("b shows %.20q last", got[len(got)-1])
	}
	if s := a.Stats().State; !strings.HasPrefix(s, "memory: ") || !strings.Contains(s, "no space left") {
		t.Errorf("kept in %q", s)
	}
}

func TestStateThatCannotBeUsed(t *testing.T) {
	readOnly := mount(t, "size=256k")
	if err := unix.Mount("", readOnly, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	used := t.TempDir()
	other := joinWith(t, "other", 1, chat.Options{State: used})
	defer other.leave()
	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, "chat.db"), []byte(strings.Repeat("rubbish", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ dir, why string }{
		"read-only": {readOnly, "read-only file system"},
		"in use":    {used, "another peer uses it"},
		"damaged":   {damaged, "invalid database"},
	} {
		t.Run(name, func(t *testing.T) {
			a := joinWith(t, "a", 1, chat.Options{State: test.dir})
			if s := a.Stats().State; !strings.HasPrefix(s, "memory: ") || !strings.Contains(s, test.why) {
				t.Errorf("kept in %q", s)
			}
			id, err := a.SendKept(wait(t), "hello")
			if err == nil || !strings.Contains(err.Error(), test.why) || id.Seq != 1 {
				t.Errorf("%v, %v", id, err)
			}
		})
	}
	a := joinWith(t, "a", 1, chat.Options{})
	if _, err := a.SendKept(wait(t), "hello"); err == nil || !strings.Contains(err.Error(), "--state") {
		t.Errorf("without a state directory: %v", err)
	}
}
