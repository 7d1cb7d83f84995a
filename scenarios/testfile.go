package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"peerlab/event"
	peerline "peerlab/peer/command"
	"peerlab/peer/files"
	"peerlab/terminal"
	"peerlab/testbed"
)

// TestFile is a multi-peer test (NAME.cmd): each line a peer and a line of its
// shell, run strictly in order.
type TestFile struct {
	Name   string
	Path   string
	lines  []*testLine
	beside *beside
	peers  []string // in the order in which they are first named
}

// testLine is one line and what became of it.
type testLine struct {
	peer, text string
	err        error
	expects    bool // it is a testfilter
	event      *filter
}

// filter is a testfilter as a peer tells it.
type filter struct {
	View string `json:"view"`
	Want int    `json:"want"`
	Have int    `json:"have"`
	Text string `json:"text"`
	OK   bool   `json:"ok"`
}

// ReadTest reads a multi-peer test file. The error is a Problems.
func ReadTest(path string) (*TestFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f, err := ParseTest(path, string(text))
	if err == nil {
		f.beside = besideFile(path)
	}
	return f, err
}

// ParseTest reads the text of a multi-peer test file. The error is a Problems.
func ParseTest(path, text string) (*TestFile, error) {
	f := &TestFile{Name: strings.TrimSuffix(filepath.Base(path), TestExtension), Path: path, beside: &beside{none: errNoneBeside}}
	var wrong Problems
	number := 0
	if len(text) > limit {
		return nil, Problems{{File: path, Line: 1, Col: 1, Text: fmt.Sprintf("%d bytes are too many: at most %d", len(text), limit)}}
	}
	for line := range strings.Lines(strings.TrimPrefix(text, files.ByteOrderMark)) {
		number++
		line = strings.TrimLeft(strings.TrimRight(line, "\r\n"), blanks) // blanks at the end may be in a text
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		add := func(text string) {
			wrong = append(wrong, &Problem{File: path, Line: number, Col: 1, Text: text})
		}
		name, rest := line, ""
		if i := strings.IndexAny(line, blanks); i >= 0 {
			name, rest = line[:i], strings.TrimLeft(line[i:], blanks)
		}
		if err := testbed.CheckName(name); err != nil {
			add(err.Error())
			continue
		}
		if rest == "" {
			add(fmt.Sprintf("want the name of a peer and a line of its shell: %s alone says nothing", name))
			continue
		}
		if !slices.Contains(f.peers, name) {
			f.peers = append(f.peers, name)
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(strings.ReplaceAll(rest, "\t", " "), "/"), " ")
		f.lines = append(f.lines, &testLine{peer: name, text: rest, expects: first == "testfilter"})
	}
	if len(f.lines) == 0 && len(wrong) == 0 {
		wrong = append(wrong, &Problem{File: path, Line: 1, Col: 1, Text: "there is no line in it: want a peer and a line of its shell, such as alice init (for a peer with no layer up: peer run --bare --shell)"})
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return f, nil
}

// patience is how long one line may take.
const patience = 10 * time.Minute

// Run runs the lines on a new cluster of peers that do nothing by themselves,
// writes the summary, and says whether every command and every expected event
// is OK. A peer that ends fails its remaining lines and holds up nobody. An
// error is trouble with the engine.
func (f *TestFile) Run(ctx context.Context, factory testbed.Factory, out io.Writer) (ok bool, err error) {
	engine, err := factory.Create(ctx, testbed.Spec{Peers: f.peers, Settings: map[string]string{"profile": "local", "bare": "true"}})
	if err != nil {
		return false, fmt.Errorf("create the cluster: %w", err)
	}
	defer func() { err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))) }()
	engine.History()
	if err := errors.Join(engine.Start(ctx, testbed.Bootstrap), engine.Start(ctx, f.peers...)); err != nil {
		return false, fmt.Errorf("start the peers: %w", err)
	}
	if err := awaitPeers(ctx, engine, f.peers); err != nil {
		return false, err
	}
	ended := map[string]error{}
	for _, l := range f.lines {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if l.err = ended[l.peer]; l.err != nil {
			continue
		}
		l.run(ctx, engine, f.beside)
		if errors.Is(l.err, testbed.ErrStopped) {
			ended[l.peer] = fmt.Errorf("%s has ended", l.peer)
			if slices.Contains([]string{"exit", "quit", "abort"}, strings.TrimPrefix(strings.TrimSpace(l.text), "/")) {
				l.err = nil // that is what it was told
			}
		}
	}
	for _, name := range f.peers {
		f.evaluate(ctx, engine, name)
	}
	return f.summary(out), nil
}

// awaitPeers waits until the peers take commands, and begins the test in each.
func awaitPeers(ctx context.Context, engine testbed.Engine, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	started := map[string]bool{}
	for read := 0; len(started) < len(names); {
		events, err := engine.History().Read(ctx, read)
		if err != nil {
			return fmt.Errorf("wait for the peers to start: %w", err)
		}
		read += len(events)
		for _, e := range events {
			if e.Kind == event.PeerStarted {
				started[e.Peer] = true
			}
		}
	}
	for _, name := range names {
		if err := engine.Exec(ctx, name, "testreset", testbed.Input{}, io.Discard); err != nil {
			return fmt.Errorf("begin the test in %s: %w", name, err)
		}
	}
	return nil
}

func (l *testLine) run(ctx context.Context, engine testbed.Engine, beside *beside) {
	files := map[string]string{}
	words, err := peerline.Split(l.text)
	if err == nil { // or else the peer says what is wrong
		if files, l.err = beside.named(words); l.err != nil {
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	l.err = engine.Exec(ctx, l.peer, l.text, testbed.Input{Files: files}, io.Discard)
	var failed *testbed.CommandError
	if errors.As(l.err, &failed) {
		l.err = errors.New(failed.Message)
	}
}

// evaluate asks a peer, once messages in flight have had their time, how its
// expectations stand.
func (f *TestFile) evaluate(ctx context.Context, engine testbed.Engine, name string) {
	var filters []*filter
	var answer boundedOutput
	_ = engine.Exec(ctx, name, "testsummaryprepare", testbed.Input{}, io.Discard)
	if engine.Exec(ctx, name, "testlocalfilters -format json", testbed.Input{}, &answer) == nil {
		_ = json.Unmarshal(answer.Bytes(), &filters)
	}
	for _, l := range f.lines {
		if l.peer == name && l.expects && l.err == nil && len(filters) > 0 {
			l.event, filters = filters[0], filters[1:]
		}
	}
}

// summary writes for each peer each command and each expected event, and says
// whether all are OK.
func (f *TestFile) summary(out io.Writer) (ok bool) {
	ok = true
	word := func(fine bool) string {
		if fine {
			return "OK"
		}
		ok = false
		return "FAILED"
	}
	fmt.Fprintf(out, "Summary of %q (%s)\n", f.Name, uuid.NewString())
	for _, name := range f.peers {
		fmt.Fprintf(out, "\n%s\n", name)
		for _, l := range f.lines {
			if l.peer != name {
				continue
			}
			fmt.Fprintf(out, "  %-60s %s", peerCommands().Redact(l.text), word(l.err == nil))
			if l.err != nil {
				fmt.Fprintf(out, ": %s", terminal.FirstLine(l.err.Error()))
			}
			fmt.Fprintln(out)
			switch e := l.event; {
			case e != nil:
				fmt.Fprintf(out, "    %-58s %s\n", fmt.Sprintf("event %s %q: %d of %d", e.View, e.Text, e.Have, e.Want), word(e.OK))
			case l.expects && l.err == nil:
				fmt.Fprintf(out, "    %-58s %s: %s cannot be asked\n", "event", word(false), name)
			}
		}
	}
	return ok
}
