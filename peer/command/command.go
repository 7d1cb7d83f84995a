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
	"text/tabwriter"

	"peerlab/terminal"
)

// Func does a command's work. It returns when done or when ctx ends, and
// reports failure by its error: one lower-case line that says what to do.
type Func func(ctx context.Context, c *Call) error

// Command is one entry of the registry.
type Command struct {
	Name    string   // one or more words: "members", "chat join"
	Aliases []string // other names for the same, each one or more words
	Group   string   // the heading it is listed under
	Usage   string   // its arguments as shown in help: "TEXT..."; flags are added by themselves
	Short   string   // one line of help, no full stop
	Long    string   // more help, optional
	Example string   // a line that works

	// MinArgs and MaxArgs bound the number of arguments after the flags;
	// a negative MaxArgs means any number.
	MinArgs, MaxArgs int
	// Text says that the arguments are free text: flags end at the first word
	// that is none.
	Text bool
	// Data says that the command shows data and so takes -format json.
	Data bool

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
	JSON bool      // -format json was given
	Name string    // the command's full name
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

// Table writes rows in aligned columns under a header.
func (c *Call) Table(header []string, rows [][]string) {
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			if i > 0 {
				_, _ = io.WriteString(w, "\t")
			}
			_, _ = io.WriteString(w, terminal.Line(cell))
		}
		_, _ = io.WriteString(w, "\n")
	}
	_ = w.Flush()
}
