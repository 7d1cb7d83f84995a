// Package layout arranges text in tables and paragraphs that fit a terminal.
//
// Text must be safe for a terminal and may be coloured by [terminal.Colour].
package layout

import (
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"peerlab/terminal"
)

// Width returns how many columns a line that is written to w may have: those
// of the terminal, or 0, which is no limit, where w is a file or a pipe.
func Width(w io.Writer) int {
	columns, _ := terminal.Size(w)
	return columns
}

// Wrap breaks a line between words so that no part is wider than width. The
// parts after the first are indented by so many columns. A word that is too long,
// such as a path, stays whole: a terminal breaks it, and it can be copied. A width
// of 0 is no limit.
func Wrap(line string, width, indent int) string {
	if width < 1 || text.StringWidthWithoutEscSequences(line) <= width {
		return line
	}
	const narrowest = 20 // of what is left of an indented line
	indent = min(indent, max(0, width-narrowest))
	var parts []string
	part, words := "", 0 // and the words in it
	for word := range strings.SplitAfterSeq(line, " ") {
		body := strings.TrimRight(word, " ")
		if body != "" && words > 0 && text.StringWidthWithoutEscSequences(part+body) > width {
			parts = append(parts, strings.TrimRight(part, " "))
			part, words = strings.Repeat(" ", indent), 0
		}
		part += word
		if body != "" {
			words++
		}
	}
	return strings.Join(append(parts, part), "\n")
}

// Snip cuts a line that is wider than width: an ellipsis is its end then.
func Snip(line string, width int) string {
	return text.Snip(line, max(1, width), "…")
}

// Table is rows of cells below a header. Create it with NewTable.
type Table struct {
	header []string
	rows   [][]string
	right  map[int]bool
}

// NewTable returns a table without rows. Without a header its first row says how
// many columns it has.
func NewTable(header ...string) *Table {
	return &Table{header: header, right: map[int]bool{}}
}

// AlignRight aligns columns, counted from 0, at their right.
func (t *Table) AlignRight(columns ...int) {
	for _, c := range columns {
		t.right[c] = true
	}
}

// Row adds a row. A cell is one line.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Write writes the table to w, as wide as [Width] says.
func (t *Table) Write(w io.Writer) error {
	_, err := io.WriteString(w, t.String(Width(w)))
	return err
}

const gap = "  " // between two columns

// String returns the table. Cells are wrapped within their columns if it would
// be wider than width otherwise; 0 is no limit. Where even that does not fit,
// each row is a block with a line for each cell.
func (t *Table) String(width int) string {
	widths := terminal.FitColumns(t.widths(), len(gap), width)
	if width > 0 && total(widths) > width {
		return t.blocks(width)
	}
	return t.render(widths)
}

// Width is how wide the table is where nothing limits it.
func (t *Table) Width() int { return total(t.widths()) }

// total is how wide a table is with columns of these widths.
func total(widths []int) int {
	sum := len(gap) * max(0, len(widths)-1)
	for _, w := range widths {
		sum += w
	}
	return sum
}

// widths are those of the columns, as wide as their widest cells.
func (t *Table) widths() []int {
	var widths []int
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(cell))
		}
	}
	return widths
}

// render writes columns of these widths.
func (t *Table) render(widths []int) string {
	w := table.NewWriter()
	style := table.Style{Box: table.BoxStyle{PaddingRight: gap}}
	w.SetStyle(style)
	w.SuppressTrailingSpaces()
	var columns []table.ColumnConfig
	for i, width := range widths {
		c := table.ColumnConfig{Number: i + 1, WidthMax: width, WidthMaxEnforcer: text.WrapSoft}
		if t.right[i] {
			c.Align, c.AlignHeader = text.AlignRight, text.AlignRight
		}
		columns = append(columns, c)
	}
	w.SetColumnConfigs(columns)
	if len(t.header) > 0 {
		w.AppendHeader(cells(t.header))
	}
	for _, row := range t.rows {
		w.AppendRow(cells(row))
	}
	if rendered := w.Render(); rendered != "" {
		return rendered + "\n"
	}
	return ""
}

func cells(row []string) table.Row {
	all := make(table.Row, len(row))
	for i, cell := range row {
		all[i] = cell
	}
	return all
}

// blocks writes each row as a small table of its own: a line for each cell.
func (t *Table) blocks(width int) string {
	var b strings.Builder
	for i, row := range t.rows {
		if i > 0 {
			b.WriteByte('\n')
		}
		block := NewTable()
		for column, cell := range row {
			name := ""
			if column < len(t.header) {
				name = t.header[column]
			}
			block.Row(name, cell)
		}
		b.WriteString(block.render(terminal.FitColumns(block.widths(), len(gap), width)))
	}
	return b.String()
}
