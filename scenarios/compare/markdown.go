package compare

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"peerlab/internal/atomicfile"
	"peerlab/internal/terminal"
	"peerlab/internal/terminal/layout"
	"peerlab/observe"
)

// Markdown writes a table of rows for two engines of these names.
func Markdown(w io.Writer, engines [2]string, rows []Row) error {
	var b strings.Builder
	line := func(cells []string) {
		b.WriteString("|")
		for _, cell := range cells {
			if cell != "" {
				cell = " " + cell
			}
			b.WriteString(cell + " |")
		}
		b.WriteString("\n")
	}
	line(header("scenario", "latency", "theory", "same", engines))
	b.WriteString("|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		for _, cells := range r.cells("**no**: ") {
			line(cells)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Table writes the same for a terminal.
func Table(w io.Writer, engines [2]string, rows []Row) error {
	table := layout.NewTable(header("SCENARIO", "LATENCY", "THEORY", "SAME", engines)...)
	for _, r := range rows {
		for _, cells := range r.cells("no: ") {
			table.Row(cells...)
		}
	}
	return table.Write(w)
}

func header(scenario, latency, theory, same string, engines [2]string) []string {
	return []string{scenario, engines[0], engines[1], latency, theory, engines[0], engines[1], same}
}

// cells are the row's lines in a table; differs goes before what does not agree.
func (r Row) cells(differs string) (lines [][]string) {
	same := "yes"
	switch {
	case len(r.Differs) > 0:
		same = differs + strings.Join(r.Differs, "; ")
	case r.Skipped != "":
		same = r.Skipped
	}
	same = terminal.Join(same)
	head := []string{r.Scenario, string(r.Verdicts[0]), string(r.Verdicts[1])}
	for _, f := range r.Figures {
		name := f.Name
		if !f.Judged {
			name += " (shown only)"
		}
		lines = append(lines, append(head, name, band(f.Band), seconds(f.Engines[0]), seconds(f.Engines[1]), same))
		head, same = []string{"", "", ""}, ""
	}
	if lines == nil {
		lines = [][]string{append(head, "", "", "", "", same)}
	}
	return lines
}

func band(b *observe.Band) string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf("%.1f to %.1f s", b.Least, b.Most)
}

func seconds(s observe.Summary) string {
	switch s.N {
	case 0:
		return "-"
	case 1:
		return fmt.Sprintf("%.2f s", s.Mean)
	}
	return fmt.Sprintf("%.2f s (%.2f to %.2f)", s.Median, s.Min, s.Max)
}

// The table stands between these lines of a file.
const (
	begin = "<!-- made by peerlab compare -->"
	end   = "<!-- end -->"
)

// Replace puts text where a file has its table. The file keeps its mode, and if
// it cannot be written, its content.
func Replace(path, text string) error {
	p, err := findPlace(path)
	if err != nil {
		return err
	}
	content := []byte(p.before + begin + "\n\n" + text + "\n" + end + p.after)
	return atomicfile.Write(p.path, p.mode, atomicfile.Bytes(content))
}

// CheckPlace returns an error where Replace would find no place for a table.
func CheckPlace(path string) error {
	_, err := findPlace(path)
	return err
}

// place is where a file has its table.
type place struct {
	path          string // where a link leads: the file is to be replaced, not the link
	mode          fs.FileMode
	before, after string // what stands around it
}

func findPlace(path string) (p place, err error) {
	if p.path, err = filepath.EvalSymlinks(path); err != nil {
		return p, err
	}
	info, err := os.Stat(p.path)
	if err != nil {
		return p, err
	}
	p.mode = info.Mode().Perm()
	old, err := os.ReadFile(p.path)
	if err != nil {
		return p, err
	}
	before, rest, ok := strings.Cut(string(old), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return p, errors.New(p.path + " has no place for the table: want the lines " + begin + " and " + end)
	}
	p.before, p.after = before, after
	return p, nil
}
