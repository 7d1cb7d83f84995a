package shell

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"peerlab/internal/terminal"
)

// supervise runs a line in the peer. show gets its output as it comes, safe on
// a terminal; remark is told once if the peer of a silent command gives no
// sign of life. A command may be silent for long for good reasons, so that
// silence alone is no news.
func supervise(ctx context.Context, peer Peer, line string, patience time.Duration, show func(string) error, remark func(string)) error {
	var shown atomic.Int64 // how often there was output
	out := terminal.NewWriter(writerFunc(func(text string) error {
		shown.Add(1)
		return show(text)
	}))
	watched, done := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		if !answers(watched, peer, patience, &shown) {
			remark(terminal.Line(peer.Name()) + " does not answer (paused?): Ctrl-C to stop waiting")
		}
	})
	err := peer.Exec(ctx, line, out)
	done()
	watching.Wait()
	_ = out.Flush()
	return err
}

// answers returns false once the peer does not answer, true when ctx ends.
func answers(ctx context.Context, peer Peer, patience time.Duration, shown *atomic.Int64) bool {
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for before := int64(0); ; {
		select {
		case <-ctx.Done():
			return true
		case <-tick.C:
		}
		if now := shown.Load(); now != before {
			before = now
			continue
		}
		ask, cancel := context.WithTimeout(ctx, patience*(answerTime/defaultPatience))
		err := peer.Ping(ask)
		cancel()
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) && shown.Load() == before {
			return false
		}
	}
}
