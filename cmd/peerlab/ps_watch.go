package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peerlab/internal/terminal"
	"peerlab/internal/terminal/layout"
	"peerlab/testbed"
	"peerlab/testbed/docker"
)

// refresh is how often the ages in a watched list are drawn anew.
const refresh = time.Second

// watchPeers shows the list whenever it changes, until the cluster is gone or the
// context ends.
func (l *lab) watchPeers(cmd *cobra.Command, c *docker.Cluster) error {
	ctx, h, v := cmd.Context(), c.History(), newClusterView()
	show := l.watcher(cmd)
	var rows []peerRow
	changed := true
	for read := 0; ; {
		began := time.Now()
		waiting, cancel := context.WithTimeout(ctx, refresh)
		events, err := h.Read(waiting, read)
		news := false
		for err == nil { // what comes together is shown together
			news = v.add(events...) || news
			read += len(events)
			if time.Since(began) > refresh {
				break
			}
			quiet, stop := context.WithTimeout(waiting, gather)
			events, err = h.Read(quiet, read)
			stop()
		}
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, testbed.ErrClosed):
			fmt.Fprintf(cmd.ErrOrStderr(), "the cluster %s is gone\n", c.Name())
			return nil
		case err != nil && !errors.Is(err, context.DeadlineExceeded):
			return err
		}
		if news || changed {
			if rows, err = peerRows(ctx, c, v); rows == nil {
				return unlessInterrupted(ctx, err)
			}
		}
		changed = news // what an event announces may come a moment after it
		if err := show(rows); err != nil {
			return err
		}
	}
}

// watcher returns what shows a list that changes.
func (l *lab) watcher(cmd *cobra.Command) func(rows []peerRow) error {
	out := cmd.OutOrStdout()
	if !l.json() && layout.Width(out) > 0 {
		return l.redraw(terminal.Raw(out))
	}
	var before []peerRow
	return func(rows []peerRow) error {
		same := func(a, b peerRow) bool {
			return a.Status == b.Status && a.faults() == b.faults() && (a.Sees == nil) == (b.Sees == nil) && (a.Sees == nil || *a.Sees == *b.Sees)
		}
		if l.json() {
			if before != nil && slices.EqualFunc(rows, before, same) {
				return nil
			}
			before = rows
			return printJSON(cmd, rows)
		}
		changed := slices.DeleteFunc(slices.Clone(rows), func(r peerRow) bool {
			return slices.ContainsFunc(before, func(b peerRow) bool { return b.Name == r.Name && same(r, b) })
		})
		if len(changed) == 0 {
			return nil
		}
		text := l.peerTable(out, changed, time.Now())
		if before != nil { // the head was there
			_, text, _ = strings.Cut(text, "\n")
		}
		before = rows
		_, err := io.WriteString(out, text)
		return err
	}
}

// redraw returns what draws a list over the one before, in a terminal.
func (l *lab) redraw(out io.Writer) func(rows []peerRow) error {
	drawn := 0
	return func(rows []peerRow) error {
		columns, height := terminal.Size(out)
		if columns == 0 { // no terminal
			columns, height = 80, 24
		}
		lines := strings.Split(strings.TrimSuffix(l.peerTable(out, rows, time.Now()), "\n"), "\n")
		if room := max(height-2, 2); len(lines) > room {
			more := len(lines) - room + 1
			lines = append(lines[:room-1], fmt.Sprintf("… %d more in a taller terminal", more))
		}
		var b strings.Builder
		if drawn > 0 {
			fmt.Fprintf(&b, "\x1b[%dA", drawn)
		}
		for _, line := range lines {
			b.WriteString("\r" + layout.Snip(line, columns) + "\x1b[K\n")
		}
		b.WriteString("\x1b[J")
		drawn = len(lines)
		_, err := io.WriteString(out, b.String())
		return err
	}
}
