package scenarios

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peerlab/observe"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// Keys of a scenario, and what stands for them.
const (
	firstKey, firstFingerprint   = "MDEyMzQ1Njc4OWFiY2RlZg==", "9f9f5111"
	secondKey, secondFingerprint = "ZmVkY2JhOTg3NjU0MzIxMA==", "3465f6e6"
)

const keyed = `arm sealed OTHER=` + secondKey + `
cluster 2
set KEY=` + firstKey + `
start
await 1m all see 2 alive
all keys install $KEY
repeat 1 alice keys install $OTHER
! bob keys install ` + secondKey + ` ` + firstKey + `
? bob keys ` + secondKey + `
bob keys install ` + secondKey + `
all keys use ` + secondKey + `
all keys remove $KEY
alice keys list
stdout '` + secondFingerprint + `'
await 1m all see 2 alive
check membership
mark 'the key was ` + firstKey + `'
`

// fails makes a scenario that fails in a line with a key.
const fails = "cluster 1\nstart\nalice keys remove " + firstKey + "\n"

func TestSavedRunsHoldNoKeys(t *testing.T) {
	for _, tc := range []struct {
		name, text, fingerprint string
		verdict                 observe.Verdict
	}{
		{"passes", keyed, firstFingerprint, observe.Pass},
		{"fails", fails, firstFingerprint, observe.Fail},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			b := batch(t, dir, tc.text)
			var told strings.Builder
			b.Tell = func(n Note) {
				told.WriteString(n.Text + "\n")
				if n.Done != nil {
					told.WriteString(n.Done.Reason + n.Done.Story)
				}
			}
			done := b.mustRun(t)
			if done[0].Verdict != tc.verdict {
				t.Fatalf("%s: %s\n%s", done[0].Verdict, done[0].Reason, done[0].Story)
			}
			files := filesBelow(t, dir)
			files["the progress"] = []byte(told.String())
			for path, text := range files {
				for _, key := range []string{firstKey, secondKey} {
					if bytes.Contains(text, []byte(key)) {
						t.Errorf("%s holds a key", path)
					}
				}
			}
			for _, name := range []string{scenarioFile, observe.EventsFile} {
				if text := files[filepath.Join(done[0].Dir, name)]; !bytes.Contains(text, []byte(tc.fingerprint)) {
					t.Errorf("%s lacks the fingerprint %s:\n%s", name, tc.fingerprint, text)
				}
			}

			record, err := observe.Load(done[0].Dir)
			if err != nil {
				t.Fatal(err)
			}
			again, err := JudgeAgain(record)
			if err != nil || again.Verdict != tc.verdict {
				t.Errorf("judged again: %+v, %v", again, err)
			}
			// The same command finds it complete.
			if done = b.mustRun(t); earlier(done) != len(done) {
				t.Error("it is run again")
			}
		})
	}
}

// No part of a key is kept where a text is shortened, nor where a repeat makes
// several keys of it.
func TestSavedRunsHoldNoPartsOfKeys(t *testing.T) {
	part := firstKey[1:9]
	pad := func(n int) string { return strings.Repeat("x", n) }
	known := "alice keys install " + firstKey + "\n"
	for _, tc := range []struct{ name, lines string }{
		{"line", "alice keys remove " + strings.Repeat(" ", 47) + firstKey},
		{"condition", known + "await 1s all have message " + pad(48) + firstKey},
		{"check", known + "check all have message " + pad(48) + firstKey},
		{"event", known + "alice msg " + pad(36) + firstKey + "\ncheck all see 2 alive"},
		{"repeat", "repeat 3 alice keys install {}" + firstKey[1:] + "\nalice msg 2" + firstKey[1:] + "\ncheck all see 2 alive"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			done := batch(t, dir, "cluster 2\nstart alice\nawait 1m alice sees 1 alive\n"+tc.lines+"\n").mustRun(t)
			if done[0].Verdict != observe.Fail {
				t.Fatalf("%s: %s", done[0].Verdict, done[0].Reason)
			}
			for path, text := range filesBelow(t, dir) {
				if i := bytes.Index(text, []byte(part)); i >= 0 {
					t.Errorf("%s holds a part of a key: …%s…", path, text[max(0, i-40):min(len(text), i+20)])
				}
			}
		})
	}
}

func filesBelow(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[path], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTestFileSummaryHoldsNoKeys(t *testing.T) {
	f, err := ParseTest("x.cmd", "alice init\nalice keys install "+firstKey+"\nalice keys use "+secondKey+"\n")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = sim.Run(t.Context(), 1, func(ctx context.Context, factory testbed.Factory) error {
		_, err := f.Run(ctx, factory, &out)
		return err
	})
	text := out.String()
	if err != nil || strings.Contains(text, firstKey) || strings.Contains(text, secondKey) ||
		!strings.Contains(text, "keys install "+firstFingerprint) || !strings.Contains(text, "keys use "+secondFingerprint) {
		t.Errorf("%v\n%s", err, text)
	}
}
