package neighbours

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

const arpCache = `entries  allocs   destroys hash_grows lookups  hits     res_failed rcv_probes_mcast rcv_probes_ucast periodic_gc_runs forced_gc_runs unresolved_discards table_fulls
0000001c 0000005f 0000001a 00000001   00000198 00000082 00000000   00000000         00000000         00000000         00000000       00000000            00000002
0000001c 00000085 000000ae 00000002   000002c1 0000010e 00000001   00000000         00000000         00000073         00000000       00000000            00000011
`

func TestRead(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	root := fstest.MapFS{statistics: file(arpCache), settings + "/gc_thresh3": file("1024\n"), settings + "/gc_thresh2": file("512\n")}
	got, err := Read(root)
	if want := (Table{Thresholds{512, 1024}, 28, 19}); err != nil || got != want || got.Room() != 995 {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for name, text := range map[string]string{"an old kernel": "entries allocs\n1 2\n", "no numbers": strings.ReplaceAll(arpCache, "0000001c", "what")} {
		root[statistics] = file(text)
		if got, err := Read(root); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, err := Read(fstest.MapFS{}); err == nil {
		t.Error("there is a table where there is none")
	}
	if n := got.Peers(); n != 31 || Needed(n) >= 1024 || Needed(n+1) < 1024 {
		t.Errorf("room for %d peers", n)
	}
	if more := got.For(28, Needed(50)); more.Most != 5156 || more.Soft != 2578 || got.For(0, 1) != got.Thresholds {
		t.Errorf("for 50 peers: %+v", more)
	}
}

// TestTune raises the thresholds of what is a host to it, and puts them back.
func TestTune(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, settings), 0o700); err != nil {
		t.Fatal(err)
	}
	host := Host(dir)
	write := func(x Thresholds) {
		t.Helper()
		if err := host.write(x, Thresholds{}); err != nil {
			t.Fatal(err)
		}
	}
	is := func(when string, want Thresholds) {
		t.Helper()
		if got, err := ReadThresholds(os.DirFS(dir)); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", when, got, err, want)
		}
	}
	before, after := Thresholds{512, 1024}, Thresholds{3000, 6000}
	write(before)
	c, err := host.Set(after)
	if err != nil {
		t.Fatal(err)
	}
	is("set", after)
	again, err := ParseChange(c.String())
	if err != nil || again != c {
		t.Errorf("%q is read as %+v, %v", c, again, err)
	}
	if err := host.Undo(again); err != nil {
		t.Error(err)
	}
	is("put back", before)
	if c, err = host.Set(after); err != nil {
		t.Fatal(err)
	}
	second, err := host.Set(Thresholds{7000, 14000})
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Undo(c, second); err != nil {
		t.Error(err)
	}
	is("two are put back, the last one first", before)
	if c, err = host.Set(after); err != nil {
		t.Fatal(err)
	}
	others := Thresholds{4000, 8000}
	write(others)
	if err := host.Undo(c); err != nil {
		t.Error(err)
	}
	is("somebody has set others", others)
	if err := host.Undo(Change{}); err != nil {
		t.Error(err)
	}
	is("nothing to undo", others)
}

func FuzzParse(f *testing.F) {
	f.Add(arpCache)
	f.Fuzz(func(t *testing.T, text string) {
		var table Table
		if err := table.parse(text); err == nil && table.Entries < 0 {
			t.Errorf("%+v", table)
		}
	})
}

func FuzzParseChange(f *testing.F) {
	f.Add("512 1024 3000 6000")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseChange(text)
		if err != nil {
			return
		}
		if again, err := ParseChange(c.String()); err != nil || again != c {
			t.Errorf("%q: %+v, then %+v, %v", text, c, again, err)
		}
	})
}
