package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal"
	"peerlab/observe"
	"peerlab/scenarios"
	"peerlab/testbed"
)

// The exit statuses of peerlab, for every command; docs/exit-status.md explains
// them. 128 and the number of a signal is an interrupted command, as in a shell.
const (
	statusFailed       = 1 // it does not hold: a scenario failed, answers differ, a command failed
	statusUsage        = 2 // wrong usage, or a scenario with mistakes
	statusInconclusive = 3 // what was asked could not be found out
)

// usageError is wrong usage, as opposed to a failure.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// inconclusiveError is why nothing could be found out: Docker is not there, the
// disk is full. A failed scenario is another matter.
type inconclusiveError struct{ error }

func (e inconclusiveError) Unwrap() error { return e.error }

// verdictError is a verdict other than pass. The output has told why.
type verdictError struct{ observe.Verdict }

func (e verdictError) Error() string { return string(e.Verdict) }

// exit ends the program with the status for a verdict.
func exit(v observe.Verdict) error {
	if v == observe.Pass {
		return nil
	}
	return verdictError{v}
}

// failedError is an error that came after something had failed: that it does not
// hold is known, whatever the rest would have come to.
type failedError struct{ error }

func (e failedError) Unwrap() error { return e.error }

// after returns err of a command that had come to a verdict before. Wrong usage and
// mistakes stay what they are.
func after(v observe.Verdict, err error) error {
	if v != observe.Fail || errors.As(err, new(usageError)) || errors.As(err, new(problems)) {
		return err
	}
	return failedError{err}
}

// signalError is the cause with which a signal cancels the program's context.
type signalError struct{ os.Signal }

func (e signalError) Error() string {
	if e.Signal == os.Interrupt {
		return "interrupted (Ctrl-C)"
	}
	return "interrupted (SIGTERM)"
}

// exitStatus is the one place where the error of a command becomes an exit
// status.
func exitStatus(ctx context.Context, err error) int {
	var (
		shell    shellStatus
		verdict  verdictError
		signal   signalError
		mistakes scenarios.Problems
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &shell):
		return int(shell)
	case errors.As(err, new(failedError)), errors.As(err, &verdict) && verdict.Verdict == observe.Fail:
		return statusFailed
	case errors.As(context.Cause(ctx), &signal):
		number, _ := signal.Signal.(syscall.Signal)
		return 128 + int(number)
	case errors.As(err, &verdict):
		return statusInconclusive
	case errors.As(err, &mistakes) && mistakes.Unable():
		return statusInconclusive
	case errors.As(err, new(usageError)), errors.As(err, new(problems)):
		return statusUsage
	case errors.As(err, new(inconclusiveError)), errors.Is(err, testbed.ErrUnable):
		return statusInconclusive
	}
	return statusFailed
}

// experiment makes an error of a command that runs or judges scenarios
// inconclusive, because a failed scenario, or an answer that differs, is a
// verdict and no error.
func experiment(cmd *cobra.Command) {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		if err == nil || errors.As(err, new(verdictError)) {
			return err
		}
		return inconclusiveError{err}
	}
}

// printError says what went wrong, unless the output has.
func printError(w io.Writer, err error, status int, asJSON bool) {
	if errors.As(err, new(shellStatus)) || errors.As(err, new(verdictError)) {
		return
	}
	interrupted := status > 128
	if asJSON {
		printErrorJSON(w, err, status)
		return
	}
	if wrong := new(problems); errors.As(err, wrong) {
		prefix := "peerlab: "
		if errors.As(err, new(scenarios.Problems)) {
			prefix = "" // each line begins with its place
		}
		for line := range strings.Lines(wrong.Error()) {
			fmt.Fprintln(w, prefix+terminal.Line(strings.TrimSuffix(line, "\n")))
		}
		return
	}
	fmt.Fprintf(w, "peerlab: %s\n", oneLine(err, interrupted))
}

// printErrorJSON writes the error as one JSON object.
func printErrorJSON(w io.Writer, err error, status int) {
	type mistake struct {
		File   string `json:"file"`
		Line   int    `json:"line"`
		Column int    `json:"column"`
		Text   string `json:"text"`
	}
	told := struct {
		Error    string    `json:"error"`
		Status   int       `json:"status"`
		Problems []mistake `json:"problems,omitempty"`
	}{Error: oneLine(err, status > 128), Status: status}
	var mistakes scenarios.Problems
	if errors.As(err, &mistakes) {
		for _, p := range mistakes {
			told.Problems = append(told.Problems, mistake{p.File, p.Line, p.Col, p.Text})
		}
	}
	line, encodeErr := json.Marshal(told)
	if encodeErr != nil {
		return // there is nothing in it that cannot be encoded
	}
	_, _ = w.Write(append(terminal.EscapeJSON(line), '\n'))
}

// oneLine is what is said of an error: of several, the first few.
func oneLine(err error, interrupted bool) string {
	const shown = 3
	lines := strings.Split(err.Error(), "\n")
	if interrupted {
		// The rest is how each of the requests under way ended.
		lines = lines[:1]
		switch {
		case strings.HasPrefix(lines[0], "interrupted"):
		case errors.As(err, new(*url.Error)) && errors.Is(err, context.Canceled): // its text is a URL of Docker's
			lines[0] = "interrupted during a request to Docker"
		default:
			lines[0] = "interrupted: " + lines[0]
		}
	}
	if more := len(lines) - shown; more > 0 {
		lines = append(lines[:shown], fmt.Sprintf("and %d more", more))
	}
	return terminal.Line(strings.Join(lines, "; "))
}
