package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"peerlab/peer/files"
)

// Extension ends the name of a scenario file. TestExtension ends that of a
// multi-peer test file.
const (
	Extension     = ".txt"
	TestExtension = ".cmd"
)

// limit is the longest scenario, in bytes.
const limit = 1 << 20

// Scenario is the text of one experiment. Parsing it finds what is wrong with
// each line as such; Plan finds the rest.
type Scenario struct {
	// Name is the file's, without its extension.
	Name string
	// Path is where it was read, for messages.
	Path string
	// Title is the first line of the comment it begins with.
	Title string
	Text  string

	lines  []line
	beside *beside
}

// line is one that has a command.
type line struct {
	number int // from 1
	text   string
	// broken says that it cannot be cut into words: the command is what could be
	// read of it.
	broken bool
	*command
}

// Parse reads the text of a scenario. The error is a Problems.
func Parse(path, text string) (*Scenario, error) {
	s := &Scenario{Name: strings.TrimSuffix(filepath.Base(path), Extension), Path: path, Text: text, beside: &beside{none: errNoneBeside}}
	var wrong Problems
	add := func(number, col int, text string) {
		wrong = append(wrong, &Problem{File: path, Line: number, Col: col, Text: text})
	}
	switch {
	case len(text) > limit:
		add(1, 1, fmt.Sprintf("%d bytes are too many: at most %d", len(text), limit))
		return nil, wrong
	case !utf8.ValidString(text):
		add(1, 1, "this is not UTF-8")
		return nil, wrong
	case strings.ContainsRune(text, 0):
		add(1, 1, "this is not text: it holds a NUL character")
		return nil, wrong
	}
	number := 0
	for text := range strings.Lines(strings.TrimPrefix(text, files.ByteOrderMark)) {
		number++
		text = strings.TrimSuffix(text, "\n")
		comment, is := strings.CutPrefix(text, "#")
		if title := strings.TrimSpace(comment); is && s.Title == "" && len(s.lines) == 0 {
			s.Title = title
		}
		c, problem := parseLine(text)
		if problem != nil {
			add(number, problem.Col, problem.Text)
		}
		if c != nil {
			s.lines = append(s.lines, line{number, text, problem != nil, c})
		}
	}
	if len(wrong) > 0 {
		return nil, s.withOthers(wrong)
	}
	return s, nil
}

// withOthers adds to what is wrong with lines as such what is wrong with the
// others, as far as no engine and no file beside the scenario is needed for it.
func (s *Scenario) withOthers(wrong Problems) Problems {
	whole := *s
	whole.beside = nil
	_, err := whole.Plans(context.Background(), nil, "", nil)
	var others Problems
	if errors.As(err, &others) {
		wrong = append(wrong, others...)
	}
	slices.SortStableFunc(wrong, func(a, b *Problem) int { return cmp.Or(a.Line-b.Line, a.Col-b.Col) })
	return wrong
}

// Read parses a file.
func Read(path string) (*Scenario, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s", path)
	}
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory: name the files in it", path)
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: %d bytes are too many for a scenario: at most %d", path, info.Size(), limit)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := Parse(path, string(text))
	if err == nil {
		s.beside = besideFile(path)
	}
	return s, err
}
