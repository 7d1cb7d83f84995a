package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"peerlab/internal/terminal"
)

// maxDepth bounds how deep scripts may run each other.
const maxDepth = 16

// scripts is the context key of the names of the scripts that run, outermost
// first.
type scripts struct{}

// RunScript runs the lines of src, each as RunLine does, and stops at the first
// that fails, or with keepGoing tells the failure and goes on. name stands in
// errors; a script that runs itself, directly or through others, is refused.
func (r *Registry) RunScript(ctx context.Context, name string, src io.Reader, out io.Writer, keepGoing bool) error {
	running, _ := ctx.Value(scripts{}).([]string)
	switch {
	case slices.Contains(running, name):
		return fmt.Errorf("%s executes itself, through %s", name, strings.Join(append(running, name), " → "))
	case len(running) >= maxDepth:
		return fmt.Errorf("%s: scripts execute each other %d deep, that is the limit", name, maxDepth)
	}
	ctx = context.WithValue(ctx, scripts{}, append(slices.Clip(running), name))

	lines := bufio.NewScanner(src)
	lines.Buffer(nil, MaxLine+2)
	n, failed := 0, 0
	for lines.Scan() {
		n++
		if ctx.Err() != nil {
			return fmt.Errorf("%s:%d: interrupted", name, n)
		}
		err := r.RunLine(ctx, lines.Text(), nil, out)
		if err == nil {
			continue
		}
		err = fmt.Errorf("%s:%d: %w", name, n, err)
		if !keepGoing || ctx.Err() != nil {
			return err
		}
		failed++
		_, _ = io.WriteString(out, terminal.Clean(err.Error())+"\n")
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%s:%d: line is too long: the limit is %d bytes", name, n+1, MaxLine)
	} else if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if failed > 0 {
		return fmt.Errorf("%s: %d of %d lines failed", name, failed, n)
	}
	return nil
}
