package program

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"peerlab/peer/command"
	"peerlab/peer/control"
	"peerlab/terminal"
)

func (p Program) execCommand() *cobra.Command {
	return onSocket(&cobra.Command{
		Use: "exec -- LINE", Short: "Run one line in the running peer and exit with its status",
		Long: `Run one line in the running peer and exit with its status.

Several arguments are taken as they are, each as one word, and joined by single
blanks where the command takes a text; a single one is a line like one typed in
the shell. An argument - of a command that can read standard
input, such as execute, hands it that.

With - in place of the line it is the first line of standard input, where nobody
sees it in the list of processes; what follows it is the standard input of the
command. A first line that begins with { is the JSON body of POST /v1/exec, which
has "line" or "words", "stdin" and "files"; with "hold":true the command is
cancelled when standard input ends.

Help and tables fit the terminal; elsewhere COLUMNS says how wide they may be.`,
		Example: "  peer exec -- members -format json\n  peer exec -- 'msg hello, everyone'\n  peer exec -- execute - <script\n" +
			"  printf '%s\\n' 'keys install -' \"$KEY\" | peer exec -",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("nothing to run: write %s -- LINE, for example: peer exec -- members", cmd.CommandPath())}
			}
			return nil
		},
	}, func(cmd *cobra.Command, client *control.Client, _ string, args []string) error {
		ctx, cancel := context.WithCancel(cmd.Context())
		defer cancel()
		stdin := bufio.NewReader(cmd.InOrStdin())
		req, isTyped := requestOf(args), true
		if len(args) == 1 && args[0] == "-" {
			var err error
			if req, isTyped, err = readRequest(ctx, stdin); err != nil {
				return err
			}
		}
		if req.Line != nil && strings.TrimSpace(*req.Line) == "" {
			return usageError{errors.New("nothing to run: the line is empty")}
		}
		if isTyped && p.readsInput(req) {
			text, err := control.ReadStdin(ctx, stdin)
			if err != nil {
				return err
			}
			req.Stdin = &text
		}
		if req.Hold {
			go func() { // for as long as the process runs: a read cannot be interrupted
				_, _ = io.Copy(io.Discard, stdin)
				cancel()
			}()
		}
		req.Colour = req.Colour || terminal.TakesColour(os.Stdout)
		if req.Columns == 0 {
			req.Columns = columns()
		}
		// A command added to the peer may print what others say.
		out, flush := terminal.Guard(cmd.OutOrStdout())
		defer func() { _ = flush() }()
		return client.ExecRequest(ctx, req, out)
	})
}

// columns returns the width of the terminal to which the output goes, or what
// COLUMNS says where somebody passes it on to one; 0 if there is none.
func columns() int {
	if columns, _ := terminal.Size(os.Stdout); columns > 0 {
		return columns
	}
	columns, _ := strconv.Atoi(os.Getenv("COLUMNS")) // which many a program sets to nonsense
	return columns
}

// requestOf returns the request that arguments make: one is a line, several are
// words.
func requestOf(args []string) control.Request {
	if len(args) == 1 {
		return control.Request{Line: &args[0]}
	}
	return control.Request{Words: args}
}

// readRequest reads the first line of standard input. isTyped says that it is a
// line as one types it, so that what follows is for the command to read.
func readRequest(ctx context.Context, stdin *bufio.Reader) (req control.Request, isTyped bool, err error) {
	first, err := control.ReadLine(ctx, stdin)
	switch {
	case errors.Is(err, control.ErrTooLong):
		return req, false, usageError{err}
	case err != nil:
		return req, false, err
	}
	if !strings.HasPrefix(first, "{") {
		return control.Request{Line: &first}, true, nil
	}
	if req, err = control.DecodeRequest([]byte(first)); err != nil {
		err = usageError{err}
	}
	return req, false, err
}

// readsInput reports whether a request reads standard input. A command that does
// not say reads it if nobody has to type it.
func (p Program) readsInput(req control.Request) bool {
	words := req.Words
	if req.Line != nil {
		var err error
		if words, err = command.Split(*req.Line); err != nil {
			return false // it is a text, or fails
		}
	}
	made, err := p.new(p.config("peer"))
	if err != nil {
		return false
	}
	reads, known := made.Commands().ReadsInput(words)
	return reads || !known && !term.IsTerminal(int(os.Stdin.Fd()))
}
