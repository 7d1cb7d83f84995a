//go:build race

package sim

import "runtime"

// spareRace leaves the program with one processor. In Go 1.26 all timers of a
// bubble share one state of the race detector. Whoever finds a timer expired that
// nobody waited for uses it, wherever that runs: two goroutines that do at the
// same instant write over what is not theirs, and the program dies of it
// (golang/go#78156). Races are found all the same: they need no second processor
// to be seen.
func spareRace() {
	if runtime.GOMAXPROCS(0) > 1 {
		runtime.GOMAXPROCS(1)
	}
}
