package logging

import (
	"context"
	"fmt"
	"log/slog"
)

// queued is how many lines wait for a follower before it misses some.
const queued = 256

// Filter chooses lines. The zero Filter chooses all from level info up.
type Filter struct {
	Layer string     // "" for all
	Level slog.Level // this or above; what the layer's own level holds back is not logged at all
}

// Follow calls fn with every line that passes the filter, without its newline,
// from now on until ctx ends, whose error it returns. A follower never holds
// up logging: when more than 256 lines wait, it misses those that come until
// it has caught up, and fn gets a line in their place that says how many. Lines
// over 4 KiB are cut. fn is called by the calling goroutine; what it logs
// comes back to it.
func (l *Log) Follow(ctx context.Context, filter Filter, fn func(line string)) error {
	f := &follower{filter: filter, wake: make(chan struct{}, 1)}
	l.mu.Lock()
	l.followers[f] = struct{}{}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.followers, f)
		l.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.wake:
		}
		l.mu.Lock()
		lines, missed := f.lines, f.missed
		f.lines, f.missed = nil, 0
		l.mu.Unlock()
		if missed > 0 {
			lines = append(lines, fmt.Sprintf("(lines missed here, the log was faster than this reader: %d)", missed))
		}
		for _, line := range lines {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fn(line)
		}
	}
}

// follower is guarded by the log's mu, but for wake.
type follower struct {
	filter Filter
	lines  []string
	missed int // after lines
	wake   chan struct{}
}

func (f *follower) offer(layer string, level slog.Level, line string) {
	if level < f.filter.Level || f.filter.Layer != "" && f.filter.Layer != layer {
		return
	}
	if len(f.lines) < queued {
		f.lines = append(f.lines, line)
	} else {
		f.missed++
	}
	select {
	case f.wake <- struct{}{}:
	default: // it has been told
	}
}
