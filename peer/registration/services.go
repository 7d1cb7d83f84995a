package registration

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"peerlab/bootstrap"
)

// How long a service that failed is asked after the others only, doubling.
const (
	minRest = 2 * time.Second
	maxRest = 2 * time.Minute
)

// service is one of several, and how it did.
type service struct {
	client *bootstrap.Client

	mu    sync.Mutex
	rest  time.Duration // 0 after an answer
	until time.Time     // when the rest is over
}

func (s *service) resting(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.until)
}

func (s *service) report(failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !failed {
		s.rest, s.until = 0, time.Time{}
		return
	}
	s.rest = min(max(2*s.rest, minRest), maxRest)
	// Peers that lost a service together do not come back to it together.
	s.until = time.Now().Add(s.rest/2 + rand.N(s.rest))
}

// askInOrder puts q to the services in their order, those that failed lately
// last, until one answers. It returns that one's URL, or all errors.
func askInOrder(ctx context.Context, services []*service, q question) (bootstrap.List, string, error) {
	now := time.Now()
	order := slices.Clone(services)
	slices.SortStableFunc(order, func(a, b *service) int {
		ra, rb := a.resting(now), b.resting(now)
		switch {
		case ra == rb:
			return 0
		case rb:
			return -1
		}
		return 1
	})
	var errs []error
	for _, s := range order {
		one, cancel := context.WithTimeout(ctx, timeout)
		list, err := q(one, s.client)
		cancel()
		if err == nil {
			s.report(false)
			return list, s.client.URL(), nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break // that was not the service's fault
		}
		s.report(true)
	}
	if len(errs) == 1 {
		return bootstrap.List{}, "", errs[0]
	}
	return bootstrap.List{}, "", oneLine(errs)
}

// oneLine joins errors in one line, which errors.Join does not.
func oneLine(errs []error) error {
	err := errs[0]
	for _, e := range errs[1:] {
		err = both{err, e}
	}
	return err
}

type both [2]error

func (b both) Error() string   { return b[0].Error() + "; " + b[1].Error() }
func (b both) Unwrap() []error { return b[:] }
