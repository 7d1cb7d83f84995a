package fabric

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// insideVM is set in the environment of the tests within the machine.
const insideVM = "FABRIC_INSIDE_VM"

// kernelRoot is where a kernel of Debian's linux-image-cloud-amd64 is looked
// for, below boot and lib/modules: / if it is installed, another directory if
// the package was only unpacked there.
const kernelRoot = "PEERLAB_KERNEL_ROOT"

// modules are those that the tests need, beside what these depend on.
var modules = []string{"veth", "bridge", "nf_tables", "nft_meta_bridge", "nft_numgen", "sch_htb", "sch_tbf", "sch_netem"}

// TestInVirtualMachine runs this package's tests of the kernel in a machine
// whose kernel has everything: this test binary is its init process, the
// modules its only other files. The machine's clock counts instructions, so a
// busy host does not make it late.
func TestInVirtualMachine(t *testing.T) {
	if os.Getenv(insideVM) != "" {
		t.Skip("this is the virtual machine")
	}
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	missing := func(what string, err error) {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s: %v", what, err)
		}
		t.Skipf("%s: %v", what, err)
	}
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		missing("install qemu-system-x86", err)
	}
	kernel, drivers, err := findKernel()
	if err != nil {
		missing("install linux-image-cloud-amd64, or unpack it and set "+kernelRoot, err)
	}

	dir := t.TempDir()
	binary := filepath.Join(dir, "init")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the static test binary: %v\n%s", err, output)
	}
	files := []string{"init", binary}
	for i, driver := range drivers {
		files = append(files, fmt.Sprintf("%02d.ko", i), driver)
	}
	initramfs := filepath.Join(dir, "initramfs")
	must(t, os.WriteFile(initramfs, cpio(t, files), 0o600))

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	machine := exec.CommandContext(ctx, qemu, "-accel", "tcg", "-cpu", "max", "-icount", "shift=1,sleep=off", "-m", "512",
		"-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-kernel", kernel, "-initrd", initramfs, "-append", "console=ttyS0 loglevel=1 panic=-1")
	var errs bytes.Buffer
	machine.Stderr = &errs
	console, err := machine.Output()
	text := strings.ReplaceAll(string(console), "\r\n", "\n")
	if err != nil {
		t.Fatalf("the machine: %v\n%s%s", err, errs.String(), text)
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "measured") || strings.Contains(line, "--- FAIL") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if !strings.Contains(text, "\nall tests passed\n") {
		t.Errorf("the tests in the machine failed:\n%s", text)
	}
	for _, want := range []string{"--- PASS: TestShape ", "--- PASS: TestLoss ", "--- PASS: TestNothingPassesUnshaped "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the machine's output", want)
		}
	}
}

// bootAsInit makes an init process fit to run tests, and does not return.
func bootAsInit(run func() int) {
	status := 1
	err := func() error {
		for _, m := range [][2]string{{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/tmp"}} {
			if err := errors.Join(os.MkdirAll(m[1], 0o755), unix.Mount(m[0], m[1], m[0], 0, "")); err != nil {
				return fmt.Errorf("mount %s: %w", m[1], err)
			}
		}
		drivers, err := filepath.Glob("/*.ko")
		if err != nil {
			return err
		}
		for _, name := range drivers { // in order
			file, err := os.Open(name)
			if err != nil {
				return err
			}
			if err := errors.Join(unix.FinitModule(int(file.Fd()), "", 0), file.Close()); err != nil {
				return fmt.Errorf("module %s: %w", name, err)
			}
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		os.Args = []string{"/init", "-test.v", "-test.short", "-test.timeout=4m"}
		return os.Setenv(insideVM, "1")
	}()
	if err != nil {
		fmt.Println("boot:", err)
	} else {
		status = run()
	}
	if status == 0 {
		fmt.Println("all tests passed")
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // with -no-reboot that ends the machine
}

// findKernel returns the newest kernel and its modules, each after those on
// which it depends.
func findKernel() (kernel string, drivers []string, err error) {
	root := os.Getenv(kernelRoot)
	if root == "" {
		root = "/"
	}
	kernels, err := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*-cloud-amd64"))
	if err != nil || len(kernels) == 0 {
		return "", nil, fmt.Errorf("no boot/vmlinuz-*-cloud-amd64 below %s", root)
	}
	kernel = slices.Max(kernels)
	version := strings.TrimPrefix(filepath.Base(kernel), "vmlinuz-")
	all := make(map[string]string) // path by name
	if err := filepath.WalkDir(filepath.Join(root, "lib/modules", version), func(path string, _ fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			all[strings.ReplaceAll(name, "-", "_")] = path
		}
		return err
	}); err != nil {
		return "", nil, err
	}
	var add func(name string) error
	add = func(name string) error {
		path, ok := all[name]
		if !ok {
			return fmt.Errorf("kernel %s has no module %s", version, name)
		}
		depends, err := dependencies(path)
		if err != nil {
			return err
		}
		for _, other := range depends {
			if err := add(other); err != nil {
				return err
			}
		}
		if !slices.Contains(drivers, path) {
			drivers = append(drivers, path)
		}
		return nil
	}
	for _, name := range modules {
		if err := add(name); err != nil {
			return "", nil, err
		}
	}
	return kernel, drivers, nil
}

// dependencies reads the names of the modules that one needs.
func dependencies(path string) ([]string, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", path, err)
	}
	defer file.Close()
	section := file.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("module %s has no .modinfo", path)
	}
	info, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("module %s: %w", path, err)
	}
	for entry := range strings.SplitSeq(string(info), "\x00") {
		if names, ok := strings.CutPrefix(entry, "depends="); ok && names != "" {
			return strings.Split(names, ","), nil
		}
	}
	return nil, nil
}

// cpio packs files, given as name and source in turn, the way the kernel
// unpacks its initramfs.
func cpio(t *testing.T, files []string) []byte {
	t.Helper()
	var archive bytes.Buffer
	add := func(name string, mode int, content []byte) {
		fmt.Fprintf(&archive, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			archive.Len()+1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0, name)
		pad := func() { archive.Write(make([]byte, -archive.Len()&3)) }
		pad()
		archive.Write(content)
		pad()
	}
	add("dev", 0o40755, nil)
	for pair := range slices.Chunk(files, 2) {
		content, err := os.ReadFile(pair[1])
		must(t, err)
		add(pair[0], 0o100755, content)
	}
	add("TRAILER!!!", 0, nil)
	return archive.Bytes()
}
