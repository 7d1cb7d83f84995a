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
	"peerlab/observe"
)

// Markdown writes a table of rows for two engines of these names.
func Markdown(w io.Writer, engines [2]string, rows []Row) error {
	var b strings.Builder
	fmt.Fprintf(&b, "| scenario | %s | %s | latency | theory | %s | %s | same |\n|---|---|---|---|---|---|---|---|\n", engines[0], engines[1], engines[0], engines[1])
	for _, r := range rows {
		same := "yes"
		switch {
		case len(r.Differs) > 0:
			same = "**no**: " + strings.Join(r.Differs, "; ")
		case r.Skipped != "":
			same = r.Skipped
		}
		head := fmt.Sprintf("| %s | %s | %s |", r.Scenario, r.Verdicts[0], r.Verdicts[1])
		if len(r.Figures) == 0 {
			fmt.Fprintf(&b, "%s | | | | %s |\n", head, same)
		}
		for i, f := range r.Figures {
			if i > 0 {
				head, same = "| | | |", ""
			}
			name := f.Name
			if !f.Judged {
				name += " (shown only)"
			}
			fmt.Fprintf(&b, "%s %s | %s | %s | %s | %s |\n", head, name, band(f.Band), seconds(f.Engines[0]), seconds(f.Engines[1]), same)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
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
