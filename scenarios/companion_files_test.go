package scenarios

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"peerlab/observe"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// place writes files below a new directory and returns it. A name that ends in
// -> is a symbolic link.
func place(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		link, isLink := strings.CutSuffix(name, "->")
		path := filepath.Join(dir, link)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil && isLink {
			err = os.Symlink(text, path)
		} else if err == nil {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const bare = "cluster 1 bare=true\nstart\nawait 10s events peer.started>=1\n"

// A relative path names a file beside the scenario, wherever the program runs.
func TestFilesBesideTheScenario(t *testing.T) {
	dir := place(t, map[string]string{
		"x.txt": bare + `
alice execute setup.txt
stdout 'set up\nand more'
alice membership configure
alice config load ./conf/lan.json
repeat 2 alice execute step{}.txt
stdout 'step one\nstep two'
alice execute setup.link
! alice execute /run/peer/setup.txt
! alice config save new.json
! alice log on new.log
`,
		"setup.txt":     "echo set up\nexecute more/more.txt\n",
		"more/more.txt": "echo and more\n",
		"conf/lan.json": `{"SuspicionMult": 7}`,
		"step1.txt":     "echo step one\n",
		"step2.txt":     "echo step two\n",
		"setup.link->":  "setup.txt",
		"more.txt":      "echo not this one\n",
	})
	s, err := Open(filepath.Join(dir, "x.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if res := playAll(t, s)[0]; res.Verdict != observe.Pass {
		t.Errorf("%s: %s", res.Verdict, res.Reason)
	}
	if _, err := os.Stat(filepath.Join(dir, "new.json")); err == nil {
		t.Error("a peer wrote beside the scenario")
	}
}

// What is not a plain file beside the scenario is told before anything runs.
func TestFilesThatAreNotRead(t *testing.T) {
	outside := place(t, map[string]string{"secret": "hunter2"})
	dir := place(t, map[string]string{
		"dir/a":        "",
		"out->":        filepath.Join(outside, "secret"),
		"up->":         "../" + filepath.Base(outside) + "/secret",
		"dirlink->":    outside,
		".hidden":      "hunter2",
		".ssh/id":      "hunter2",
		"large":        strings.Repeat("#", 1<<20+1),
		"binary":       "\xff",
		"many":         "execute half1\nexecute half2\n",
		"half1":        strings.Repeat("#", 600<<10),
		"half2":        strings.Repeat("#", 600<<10),
		"linked.txt->": "x.txt",
	})
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for name, want := range map[string]string{
		"missing": "no such file beside the scenario", "dir": "not a regular file", "socket": "not a regular file",
		"out": "leads out of the scenario's directory", "up": "leads out of the scenario's directory", "dirlink/secret": "leads out of the scenario's directory",
		".hidden": "begins with a dot", ".ssh/id": "begins with a dot", "./dir/../.hidden": "begins with a dot",
		"large": "the limit is 1048576", "binary": "not UTF-8", "many": "the limit is 1048576", "~/x": "no such file beside the scenario",
		"../" + filepath.Base(outside) + "/secret": "leads out of the scenario's directory", "dir/../../x": "leads out of the scenario's directory",
	} {
		for _, line := range []string{"alice execute " + name, "alice config load " + name} {
			if strings.HasSuffix(line, "load many") {
				continue
			}
			path := filepath.Join(dir, "x.txt")
			if err := os.WriteFile(path, []byte(bare+line+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Plans(t.Context(), nil, "", nil)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "x.txt:4:") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v, want %q", line, err, want)
			}
		}
	}
}

// A scenario that comes from no file has none beside it.
func TestNothingBeside(t *testing.T) {
	dir := place(t, map[string]string{"x.txt": bare + "alice execute setup.txt\n", "setup.txt": "echo hi", "link.txt->": "x.txt"})
	t.Chdir(dir)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString(bare + "alice execute setup.txt\n"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	piped, err := Open("/proc/self/fd/" + strconv.Itoa(int(r.Fd())))
	if err != nil {
		t.Fatal(err)
	}
	linked, err := Open("link.txt")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse("y.txt", bare+"alice execute setup.txt\n")
	if err != nil {
		t.Fatal(err)
	}
	builtIn, err := Open("gallery/crash")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := builtIn.beside.named([]string{"execute", "setup.txt"}); err == nil || !strings.Contains(err.Error(), "built in") {
		t.Errorf("beside one that is built in: %v", err)
	}
	for _, tc := range []struct {
		s    *Scenario
		want string
	}{{piped, "is not a regular file"}, {linked, "is a symbolic link"}, {parsed, "no file"}} {
		if _, err := tc.s.Plans(t.Context(), nil, "", nil); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "beside") {
			t.Errorf("%s: %v, want %q", tc.s.Path, err, tc.want)
		}
	}
}

// What files say is part of a configuration: runs with others are not those of
// before.
func TestFilesMakeAnotherConfiguration(t *testing.T) {
	dir := place(t, map[string]string{"x.txt": bare + "alice execute setup.txt\n", "setup.txt": "echo one"})
	key := func() string {
		s, err := Open(filepath.Join(dir, "x.txt"))
		if err != nil {
			t.Fatal(err)
		}
		plans, err := s.Plans(t.Context(), nil, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		return new(Batch).key(plans[0])
	}
	before := key()
	if key() != before {
		t.Error("the same files make another configuration")
	}
	if err := os.WriteFile(filepath.Join(dir, "setup.txt"), []byte("echo two"), 0o600); err != nil {
		t.Fatal(err)
	}
	if key() == before {
		t.Error("other files make the same configuration")
	}
}

func TestFilesBesideATestFile(t *testing.T) {
	dir := place(t, map[string]string{
		"x.cmd":     "alice execute setup.txt\nalice execute /etc/passwd\nalice execute missing.txt\nalice set f setup.txt\nalice execute $f\n",
		"setup.txt": "echo hi",
	})
	f, err := ReadTest(filepath.Join(dir, "x.cmd"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = sim.Run(t.Context(), 1, func(ctx context.Context, factory testbed.Factory) error {
		_, err := f.Run(ctx, factory, &out)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"execute setup.txt OK", "execute /etc/passwd FAILED: open /etc/passwd: no such file or directory",
		"execute missing.txt FAILED: missing.txt: no such file beside the scenario",
	} {
		if !has(out.String(), want) {
			t.Errorf("there is no %q in\n%s", want, out.String())
		}
	}
}

// A setting that is a file is one beside the scenario, too.
func TestSecretBesideTheScenario(t *testing.T) {
	outside := place(t, map[string]string{"secret": "hunter2"})
	dir := place(t, map[string]string{
		"x.txt": "arm same SECRET=secrets.txt\narm other SECRET=other.txt\n" +
			"cluster 2 chat-secret-file=secrets.txt\npeer bob chat-secret-file=$SECRET\nstart\nawait 60s all see 2 alive\nwait 10s\nalice msg hello\n" +
			"[arm:same] await 20s bob has message hello\n[arm:other] hold 20s not bob has message hello\n",
		"secrets.txt": "cmFuZG9tIGFuZCBsb25nIGVub3VnaCBhcyBhIHNlY3JldA==\n", "other.txt": "YW5vdGhlciBzZWNyZXQgdGhhdCBpcyBsb25nIGVub3VnaA==\n", "short.txt": "hunter2\n",
	})
	s, err := Open(filepath.Join(dir, "x.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range playAll(t, s) {
		if res.Verdict != observe.Pass {
			t.Errorf("%s: %s: %s", res.Scenario, res.Verdict, res.Reason)
		}
	}
	for name, want := range map[string]string{
		"missing.txt": "no such file beside the scenario", "short.txt": "use 32 or more", "../" + filepath.Base(outside) + "/secret": "beside the scenario",
		filepath.Join(outside, "secret"): "", // the peer's own
	} {
		s, err := Parse("x.txt", "cluster 2 chat-secret-file="+name+"\n")
		if err != nil {
			t.Fatal(err)
		}
		s.beside = besideFile(filepath.Join(dir, "x.txt"))
		_, err = s.Plans(t.Context(), nil, "", nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// A key in a script beside the scenario is kept no more than one in a line.
func TestKeyInAFileBesideTheScenario(t *testing.T) {
	const key = "MDEyMzQ1Njc4OWFiY2RlZg=="
	dir := place(t, map[string]string{"x.txt": bare + "alice execute keys.txt\n", "keys.txt": "keys install - " + key + "\n"})
	s, err := Open(filepath.Join(dir, "x.txt"))
	if err != nil {
		t.Fatal(err)
	}
	res := playAll(t, s)[0]
	if res.Verdict != observe.Fail || !strings.Contains(res.Reason, "keys.txt:1: keys install") || strings.Contains(res.Reason+res.Story, key) {
		t.Errorf("%s: %s\n%s", res.Verdict, res.Reason, res.Story)
	}
}

// A saved run has the files that its lines were given, without keys, and runs
// again with them. None of them takes the place of one of its own.
func TestSavedRunHasTheFilesBeside(t *testing.T) {
	const key = "MDEyMzQ1Njc4OWFiY2RlZg=="
	dir := place(t, map[string]string{
		"x.txt":           bare + "alice execute result.json\nalice config load sub/config.json\n! alice execute bad.txt\nrepeat 2 alice execute n{}.txt\n",
		"result.json":     "echo hi\nexecute sub/more.txt\n",
		"sub/more.txt":    "echo more",
		"sub/config.json": "{}", "bad.txt": "keys install " + key + "\n", "n1.txt": "echo 1", "n2.txt": "echo 2\r\n",
		"not-named.txt": "echo no",
	})
	s, err := Open(filepath.Join(dir, "x.txt"))
	if err != nil {
		t.Fatal(err)
	}
	b := &Batch{Host: sim.Run, Engine: "sim", Scenarios: []*Scenario{s}, Dir: t.TempDir(), Seed: 1}
	done := b.mustRun(t)[0]
	if done.Verdict != observe.Pass {
		t.Fatalf("%s: %s", done.Verdict, done.Reason)
	}
	for name, want := range map[string]string{
		"result.json": "echo hi\nexecute sub/more.txt\n", "sub/more.txt": "echo more", "n1.txt": "echo 1", "n2.txt": "echo 2\r\n",
	} {
		path := filepath.Join(done.Dir, "files", name)
		text, err := os.ReadFile(path)
		if info, statErr := os.Stat(path); err != nil || statErr != nil || string(text) != want || info.Mode() != 0o600 {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if bad, err := os.ReadFile(filepath.Join(done.Dir, "files", "bad.txt")); err != nil || strings.Contains(string(bad), key) {
		t.Errorf("%q, %v", bad, err)
	}
	if _, err := os.Stat(filepath.Join(done.Dir, "files", "not-named.txt")); err == nil {
		t.Error("a file that no line names was copied")
	}
	if found, err := Saved([]string{b.Dir}); err != nil || !slices.Equal(found, []string{done.Dir}) {
		t.Errorf("saved runs: %v, %v", found, err)
	}
	again, err := Open(filepath.Join(done.Dir, "scenario.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if res := playAll(t, again)[0]; res.Verdict != observe.Pass {
		t.Errorf("again: %s: %s", res.Verdict, res.Reason)
	}
}

// What all lines of a scenario are given together has a limit: it is copied.
func TestFilesOfAllLinesAreLimited(t *testing.T) {
	files, text := map[string]string{}, bare
	for i := range 33 {
		name := fmt.Sprintf("f%d", i)
		files[name], text = "# "+strings.Repeat("x", 512<<10), text+"alice execute "+name+"\n"
	}
	files["x.txt"] = text
	s, err := Open(filepath.Join(place(t, files), "x.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Plans(t.Context(), nil, "", nil); err == nil || !strings.Contains(err.Error(), "the limit is 16 MiB") {
		t.Error(err)
	}
}
