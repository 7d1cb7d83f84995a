package scenarios

import (
	"time"

	"peerlab/testbed"
)

// tolerated is in how many seconds of a run the host may have failed to keep
// time: three, or one in twenty of a long run. More of it, and what the peers did
// may be the host's doing.
func tolerated(took time.Duration) int { return max(3, int(took/(20*time.Second))) }

// busy counts the seconds in which the host did not keep time.
func (r *run) busy() (n int) {
	if r.world == nil {
		return 0
	}
	for _, e := range r.world.events {
		if e.Kind == testbed.LabBusy {
			n++
		}
	}
	return n
}
