package scenarios

import (
	"context"
	"fmt"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// A host is too busy when the timers of this very process come late: what it
// does to the peers' it does to ours.
const (
	beat      = 100 * time.Millisecond
	noticed   = 250 * time.Millisecond // by which a timer must be late to be recorded
	tolerated = 2 * time.Second        // in all
)

// watchHost records the lateness of timers until ctx ends. In virtual time
// there is none.
func (r *run) watchHost(ctx context.Context) {
	for {
		began := time.Now()
		if sleep(ctx, beat) != nil {
			return
		}
		if late := time.Since(began) - beat; late >= noticed {
			r.engine.History().Record(event.Event{Kind: testbed.LabBusy, Text: fmt.Sprintf("a timer came %s late", late.Round(time.Millisecond))})
			r.mu.Lock()
			r.late += late
			r.mu.Unlock()
		}
	}
}

func (r *run) lateness() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.late
}
