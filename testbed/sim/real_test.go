package sim

import "golang.org/x/sys/unix"

func realNow(ts *[2]int64) {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &t)
	ts[0], ts[1] = t.Sec, t.Nsec
}

// cpu returns the processor time used, in seconds.
func cpu() float64 {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
