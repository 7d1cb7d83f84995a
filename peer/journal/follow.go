package journal

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
func (j *Journal) Follow(ctx context.Context, filter Filter, fn func(line string)) error {
	f := &follower{filter: filter, wake: make(chan struct{}, 1)}
	j.mu.Lock()
	j.followers[f] = struct{}{}
	j.mu.Unlock()
	defer func() {
		j.mu.Lock()
		delete(j.followers, f)
		j.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.wake:
		}
		j.mu.Lock()
		lines, missed := f.lines, f.missed
		f.lines, f.missed = nil, 0
		j.mu.Unlock()
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

// follower is guarded by the journal's mu, but for wake.
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
