package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"peerlab/testbed"
)

// exec runs a line in peers, in all at the same time, and returns what each of
// them says, and its failure.
func (w *world) exec(ctx context.Context, names []string, line string) ([]boundedOutput, []error) {
	said, errs := make([]boundedOutput, len(names)), make([]error, len(names))
	var running sync.WaitGroup
	for i, name := range names {
		running.Go(func() { errs[i] = w.execOne(ctx, name, line, &said[i]) })
	}
	running.Wait()
	return said, errs
}

// execOne runs a line in a peer. A failure of the command is an outcome; all
// else that can go wrong is trouble.
func (w *world) execOne(ctx context.Context, name, line string, out io.Writer) error {
	line, err := w.address(ctx, line)
	if err != nil {
		return err
	}
	files, err := w.beside.named(lineWords(line))
	if err != nil {
		return &outcome{text: name + ": " + err.Error()}
	}
	err = w.engine.Exec(ctx, name, line, testbed.Input{Files: files}, out)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, new(*testbed.CommandError)), errors.Is(err, testbed.ErrPaused), errors.Is(err, testbed.ErrStopped):
		// The scenario can expect it with !.
		return &outcome{text: err.Error()}
	}
	return err
}

// gossipPort is where every peer's membership listens, on every engine.
const gossipPort = 7946

// address replaces the peers that a line joins by where they are now.
func (w *world) address(ctx context.Context, line string) (string, error) {
	named := contacts(lineWords(line))
	if len(named) == 0 {
		return line, nil
	}
	peers, err := w.engine.Peers(ctx)
	if err != nil {
		return "", err
	}
	// The longer name first: it may begin with the shorter.
	slices.SortFunc(named, func(a, b string) int { return len(b) - len(a) })
	for _, name := range named {
		for _, p := range peers {
			if p.Name == name {
				line = strings.ReplaceAll(line, "@"+name, netip.AddrPortFrom(p.Addr, gossipPort).String())
			}
		}
	}
	return line, nil
}

// ask has a peer run a line that answers with JSON. That it cannot is no error.
func (w *world) ask(ctx context.Context, name, line string, answer any) (ok bool, err error) {
	var said boundedOutput
	switch err := w.execOne(ctx, name, line, &said); {
	case errors.As(err, new(*outcome)):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := json.Unmarshal(said.Bytes(), answer); err != nil {
		return false, fmt.Errorf("what %s answers to %q: %w", name, line, err)
	}
	return true, nil
}
