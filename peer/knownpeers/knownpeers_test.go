package knownpeers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"peerlab/peer/files"
)

func peers(n int) []Peer {
	var all []Peer
	for i := range n {
		all = append(all, Peer{fmt.Sprint("p", i), fmt.Sprintf("192.0.2.%d:7946", i%250+1), time.Unix(int64(i), 0).UTC()})
	}
	return all
}

func TestSaveAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	f, err := Open(files.OS{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Load(); got != nil || err != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
	if err := f.Save(append(peers(Kept+5), Peer{"p3", "192.0.2.99:1", time.Unix(1000, 0)})); err != nil {
		t.Fatal(err)
	}
	got, err := f.Load()
	if err != nil || len(got) != Kept || got[0].Addr != "192.0.2.99:1" || got[1].Name != fmt.Sprint("p", Kept+4) {
		t.Fatalf("%v, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("left %v", left)
	}
	// The same peers seen later are nothing new; another is.
	path := filepath.Join(dir, "peers.json")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].Seen = got[i].Seen.Add(time.Hour)
	}
	if err := f.Save(got); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("written without a change")
	}
	if err := f.Save(got[1:]); err != nil {
		t.Fatal(err)
	}
	if again, err := f.Load(); err != nil || len(again) != Kept-1 {
		t.Errorf("%v, %v", again, err)
	}
}

func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	f, err := Open(files.OS{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"half":        `[{"name":"a","addr":"192.0.2.1:1"`,
		"nothing":     "",
		"no address":  `[{"name":"a","addr":"example.org:1"}]`,
		"port 0":      `[{"name":"a","addr":"192.0.2.1:0"}]`,
		"no name":     `[{"addr":"192.0.2.1:1"}]`,
		"endless":     strings.Repeat(" ", maxFile+1),
		"other JSON":  `{"a":1}`,
		"not a time":  `[{"name":"a","addr":"192.0.2.1:1","seen":7}]`,
		"binary":      "\x00\xff",
		"empty names": `[{}]`,
	} {
		if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Load(); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		f.last = ""
		if err := f.Save(peers(1)); err != nil {
			t.Errorf("%s: not replaced: %v", name, err)
		}
		if got, err := f.Load(); err != nil || len(got) != 1 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(files.OS{}, filepath.Join(file, "x")); err == nil {
		t.Error("a directory below a file")
	}
}

func FuzzParse(f *testing.F) {
	b, err := json.Marshal(peers(3))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("[{}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parse(bytes.Clone(b))
		if err != nil {
			return
		}
		if len(got) > Kept {
			t.Fatalf("%d peers", len(got))
		}
		for _, p := range got {
			if p.Name == "" || p.Addr == "" {
				t.Fatalf("%+v", p)
			}
		}
	})
}
