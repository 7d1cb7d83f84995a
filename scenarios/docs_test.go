package scenarios

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"peerlab/observe"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// block is a block of code in a page, which is a scenario or a test file.
type block struct {
	name string // where it is: README.md:140
	text string
	cmd  bool // it is a multi-peer test file
}

// blocks returns the scenarios and test files of a page in Markdown: the blocks of
// code that have a cluster line or, after cat NAME, nothing else; and those whose
// lines all are for one of the usual peers, and of which one begins it.
func blocks(name, page string) (found []block) {
	var text []string
	in, begin := false, 0
	for i, line := range strings.Split(page, "\n") {
		switch {
		case strings.HasPrefix(line, "```") && !in:
			in, begin, text = true, i+1, nil
		case strings.HasPrefix(line, "```"):
			in = false
			if b, is := asScenario(text); is {
				b.name = fmt.Sprintf("%s:%d", name, begin)
				found = append(found, b)
			}
		case in:
			text = append(text, line)
		}
	}
	return found
}

var (
	prompt      = regexp.MustCompile(`^\$ `)
	shown       = regexp.MustCompile(`^\$ cat \S+\.(txt|cmd)$`)
	clusterLine = regexp.MustCompile(`^(\[\S+\] *)*cluster\s`)
	peersLine   = regexp.MustCompile(`^(alice|bob|charly|dave|erin) \S`)
	initLine    = regexp.MustCompile(`^\w+ init$`)
)

// asScenario reads the lines of a block. Of a session in a terminal it is what a
// cat has shown.
func asScenario(lines []string) (b block, is bool) {
	if len(lines) > 0 && prompt.MatchString(lines[0]) {
		if !shown.MatchString(lines[0]) {
			return b, false
		}
		lines = lines[1:]
		for i, line := range lines {
			if prompt.MatchString(line) {
				lines = lines[:i]
				break
			}
		}
	}
	clusters, peers, inits, others := 0, 0, 0, 0
	for _, line := range lines {
		switch {
		case clusterLine.MatchString(line):
			clusters++
		case peersLine.MatchString(line):
			peers++
			if initLine.MatchString(line) {
				inits++
			}
		case line != "" && !strings.HasPrefix(line, "#"):
			others++
		}
	}
	b.text = strings.Join(lines, "\n") + "\n"
	b.cmd = clusters == 0 && peers > 0 && inits > 0 && others == 0
	return b, b.cmd || clusters > 0
}

// beside are the files that scenarios of the pages name.
var besidePages = map[string]string{
	"secrets.txt":     "0123456789abcdef0123456789abcdef\n",
	"setup/alice.txt": "# alice's setup\nlog level\n",
}

func TestBlocksOfAPage(t *testing.T) {
	for _, test := range []struct {
		name, page string
		want       []string
	}{
		{"a scenario", "text\n```\ncluster 3\nstart\n```\n", []string{"cluster 3\nstart\n"}},
		{"with arms", "```text\n# title\narm a\n\ncluster 3\n```", []string{"# title\narm a\n\ncluster 3\n"}},
		{"a terminal", "```\n$ cat crash.txt\ncluster 3\nstart\n$ peerlab run crash.txt\n$ cat other.txt\ncluster 4\n```", []string{"cluster 3\nstart\n"}},
		{"a test file", "```\nalice init\nbob init\nalice msg hello\n```", []string{"alice init\nbob init\nalice msg hello\n"}},
		{"two", "```\ncluster 2\n```\n```\ncluster 3\n```", []string{"cluster 2\n", "cluster 3\n"}},
		{"what a program prints", "```\n$ make up\na cluster of five after 2.5 s\n```", nil},
		{"a cluster in a sentence", "cluster 5\n", nil},
		{"a single command", "```\nalice members\n```", nil},
	} {
		var got []string
		for _, b := range blocks("x.md", test.page) {
			got = append(got, b.text)
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestScenariosOfTheDocs runs every scenario of README and docs with seeds 1 to
// 50; with PEERLAB_NIGHTLY, which is make nightly, to 500; and a few with -short.
func TestScenariosOfTheDocs(t *testing.T) {
	seeds := 50
	switch {
	case os.Getenv("PEERLAB_NIGHTLY") != "":
		seeds = 500
	case testing.Short():
		seeds = 3
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range besidePages {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks(filepath.Base(page), string(text)) {
			n++
			extension := ".txt"
			if b.cmd {
				extension = TestExtension
			}
			path := filepath.Join(dir, fmt.Sprintf("block%d%s", n, extension))
			if err := os.WriteFile(path, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Run(b.name, func(t *testing.T) {
				t.Parallel()
				for seed := 1; seed <= seeds && !t.Failed(); seed++ {
					playBlock(t, path, b.cmd, uint64(seed))
				}
			})
		}
	}
	if n < 3 {
		t.Errorf("%d scenarios in README and docs: are they found?", n)
	}
}

// playBlock runs a scenario with all its arms, or a test file, in virtual time.
func playBlock(t *testing.T, path string, cmd bool, seed uint64) {
	err := sim.Run(t.Context(), seed, func(ctx context.Context, f testbed.Factory) error {
		if cmd {
			file, err := ReadTest(path)
			if err != nil {
				return err
			}
			var out bytes.Buffer
			ok, err := file.Run(ctx, f, &out)
			if err == nil && !ok {
				t.Errorf("seed %d:\n%s", seed, out.String())
			}
			return err
		}
		s, err := Open(path)
		if err != nil {
			return err
		}
		plans, err := s.Plans(ctx, f, "", nil)
		if err != nil {
			return err
		}
		for _, p := range plans {
			if res := p.Run(ctx, f, Options{}); res.Verdict != observe.Pass {
				t.Errorf("seed %d: %s: %s\n%s", seed, res.Verdict, res.Reason, res.Story)
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
}
