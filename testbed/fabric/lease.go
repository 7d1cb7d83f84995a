package fabric

import (
	"errors"
	"fmt"
	"time"
)

// DefaultLease is for who has no reason to choose another: a lab killed leaves
// its faults in force for no more than these ten seconds, and may be late by
// as much.
const DefaultLease = 10 * time.Second

const (
	minLease = 100 * time.Millisecond
	maxLease = 30 * 24 * time.Hour
)

// ErrLapsed means that the matrix to be renewed is no longer in force: its
// lease ended, or another was applied, or the agent was started anew.
var ErrLapsed = errors.New("the matrix is no longer in force: its lease ended, or it was replaced or cleared")

// lease is how long a matrix stays in force unless it is renewed. The zero
// lease does not end.
type lease struct {
	length time.Duration
	end    time.Time
}

func newLease(length time.Duration, now time.Time) lease {
	return lease{length: length, end: now.Add(length)}
}

func (l lease) ended(now time.Time) bool {
	return l.length != 0 && !now.Before(l.end)
}

func validLease(d time.Duration) error {
	if d != 0 && (d < minLease || d > maxLease) {
		return fmt.Errorf("lease: %s is not within %s and %s, nor 0 for none", d, minLease, maxLease)
	}
	return nil
}
