// Package command is the one registry of what can be typed at a peer. The
// shell, script files, scenario lines and the control API are four doors to
// it: a command added here is in all of them, with help and completion.
package command

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"

	"peerlab/internal/terminal"
)

// Func does a command's work. It returns when done or when ctx ends, and
// reports failure by its error: one lower-case line that says what to do.
type Func func(ctx context.Context, c *Call) error

// Command is one entry of the registry.
type Command struct {
	Name    string   // one or more words: "members", "chat join"
	Aliases []string // other names for the same, each one or more words
	// OldNames are further names, which help does not show, and which give way to
	// a command that has one of them as its name or alias.
	OldNames []string
	Group    string // the heading it is listed under
	Usage    string // its arguments as shown in help: "TEXT..."; flags are added by themselves
	Short    string // one line of help, no full stop
	Long     string // more help, optional
	Example  string // a line that works

	// MinArgs and MaxArgs bound the number of arguments after the flags;
	// a negative MaxArgs means any number.
	MinArgs, MaxArgs int
	// Text says that what follows the flags and TextAfter further arguments is a
	// text: the last argument, if it is not empty. It goes to the end of the line
	// as it is written, without the one pair of quotes that encloses all of it, if
	// there is one. Of words that are cut already it is all that is left, joined
	// by single blanks. A word that begins with a - begins the text if it neither
	// is a flag nor resembles one; -- ends the flags.
	Text      bool
	TextAfter int
	// FlagsFirst says that flags end at the first argument.
	FlagsFirst bool
	// Input says that an argument - alone has the command read standard input.
	// Who runs it reads that for it before.
	Input bool
	// Reads says that the arguments are files that the command reads.
	Reads bool
	// EndsPeer says that the command ends the peer: no error suggests it in place of
	// one that there is not.
	EndsPeer bool
	// Data says that the command shows data and so takes -format json.
	Data bool

	// Secret, if set, says that the arguments may be secret, such as keys. It
	// returns what stands for one where a line is kept or repeated, or the
	// argument itself if it gives nothing away; see [Registry.RedactWords].
	Secret func(arg string) string

	// Run does the work. A command with flags sets Flags instead, which
	// registers them and returns the function that reads them; it is called
	// anew for every call.
	Run   Func
	Flags func(*flag.FlagSet) Func

	// Complete returns candidates for the argument after args, of which word
	// is typed so far; optional. Those that do not begin with word are dropped.
	Complete func(args []string, word string) []string
	// Values are the candidates for the values of flags, by flag; optional.
	Values map[string][]string
}

// Call is one run of a command.
type Call struct {
	Args []string  // without the command's name and its flags
	Out  io.Writer // where output goes as it is made
	In   io.Reader // standard input of the caller; empty, never nil
	// NoInput says that In is empty because the caller has no standard input.
	NoInput bool
	JSON    bool   // -format json was given
	Name    string // the command's full name
	// Color says that the output goes to a terminal that takes colors.
	Color bool
	// Columns is the width of the terminal to which the output goes; 0: there is
	// none, or it is not known.
	Columns int
}

// Printf writes a line or more for a person to read. What other peers can put
// into it cannot act on the terminal.
func (c *Call) Printf(format string, args ...any) {
	_, _ = io.WriteString(c.Out, terminal.Clean(fmt.Sprintf(format, args...)))
}

// Show writes data as one JSON value if the caller asked for JSON, and calls
// human otherwise.
func (c *Call) Show(data any, human func()) error {
	if !c.JSON {
		human()
		return nil
	}
	b, err := json.MarshalIndent(data, "", "  ")
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	_, err = c.Out.Write(append(terminal.EscapeJSON(b), '\n'))
	return err
}

// Table writes rows in aligned columns under a header. Where the terminal is too
// narrow for that, long cells wrap inside their column. On a terminal that takes
// colors the header is bold, and cells that are nothing but a state or a verdict
// are colored.
func (c *Call) Table(header []string, rows [][]string) {
	const gap = 2
	all := append([][]string{header}, rows...)
	widths := make([]int, len(header))
	for i, row := range all {
		all[i] = make([]string, len(row))
		for j, cell := range row {
			all[i][j] = terminal.Line(cell)
			if j < len(widths) {
				widths[j] = max(widths[j], terminal.Width(all[i][j]))
			}
		}
	}
	widths = terminal.FitColumns(widths, gap, c.Columns)
	var b strings.Builder
	for i, row := range all {
		cells, height := make([][]string, len(row)), 1
		for j, cell := range row {
			cells[j] = []string{cell}
			if j < len(widths) {
				cells[j] = terminal.Wrap(cell, widths[j])
			}
			height = max(height, len(cells[j]))
		}
		for n := range height {
			blanks := 0 // not written yet: nothing may follow
			for j, lines := range cells {
				text := ""
				if n < len(lines) {
					text = lines[n]
				}
				if text != "" {
					b.WriteString(strings.Repeat(" ", blanks) + c.colorOf(i == 0, row[j]).Paint(text))
					blanks = 0
				}
				if j < len(widths) {
					blanks += max(0, widths[j]-terminal.Width(text))
				}
				blanks += gap
			}
			b.WriteByte('\n')
		}
	}
	_, _ = io.WriteString(c.Out, b.String())
}

// colorOf returns the color of a cell.
func (c *Call) colorOf(isHeader bool, cell string) terminal.Color {
	switch {
	case !c.Color:
		return terminal.Plain
	case isHeader:
		return terminal.Bold
	}
	return meaning[cell]
}

// meaning is the color of a cell that is nothing but a word.
var meaning = map[string]terminal.Color{
	"alive": terminal.Green, "suspect": terminal.Yellow, "dead": terminal.Red, "left": terminal.Dim,
	"yes": terminal.Green, "no": terminal.Red, "has it": terminal.Green, "no answer": terminal.Red,
}
