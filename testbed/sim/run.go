package sim

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"peerlab/peer"
	"peerlab/testbed"
)

// linger is how long, in virtual time and after the last cluster has ended,
// goroutines have that memberlist leaves behind to come to their end: its
// timeouts. A goroutine that is still there then is a leak.
const linger = 24 * time.Hour

// Run calls f in virtual time, which begins at midnight UTC, 1 January 2000, and
// returns when everything that was started in it has ended; what f left running
// it closes. What is random in the networks of f's clusters is drawn from seed;
// every error of Run names it.
//
// f must use nothing that waits for the world outside, and no channel made
// there: time stands still meanwhile. Its context has the values of ctx and
// ends, in a cluster where something happens, soon after ctx does. Several Runs
// may go on at the same time, in tests as in any other program, but not one
// within another.
//
// Where everything waits for good, for a lock or for a channel made outside, Run
// fails with a *BlockedError and leaves behind what is blocked. Under the race detector the program has one
// processor from the first Run on.
func Run(ctx context.Context, seed uint64, f func(ctx context.Context, f testbed.Factory) error) error {
	return RunChanged(ctx, seed, func(*peer.Config) {}, f)
}

// RunChanged is Run with peers that are not those of the program: change is
// called with the configuration of each before it is made, in each of its lives,
// for several at the same time. It is how tests plant bugs.
func RunChanged(ctx context.Context, seed uint64, change func(*peer.Config), f func(ctx context.Context, f testbed.Factory) error) error {
	s := &simulation{seed: seed, change: change}
	stop := context.AfterFunc(ctx, func() { s.canceled.Store(true) })
	defer stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	spareRace()
	done := make(chan error, 1)
	go func() {
		// synctest ends this goroutine where its test has failed, as it does when
		// the race detector has found something.
		err := errors.New("the bubble's test failed: see what the race detector wrote")
		defer func() { done <- err }()
		err = s.bubble(ctx, f)
	}()
	err := s.guard(done)
	if err != nil {
		return fmt.Errorf("simulation with seed %d: %w", seed, err)
	}
	return nil
}

// simulation is one Run.
type simulation struct {
	seed     uint64
	change   func(*peer.Config)
	canceled atomic.Bool   // by the context outside
	ticks    atomic.Uint64 // grows while something happens
	id       atomic.Value  // of the bubble, in stack traces
	cancel   context.CancelFunc
	factory  *factory
}

// bubble runs f in virtual time. synctest wants a test, of which it needs
// nothing but that it is one: a new one prints nothing, reads no flags and takes
// part in no other test. TestRunInAProgram tells when a version of Go wants more.
func (s *simulation) bubble(ctx context.Context, f func(context.Context, testbed.Factory) error) (err error) {
	defer func() {
		// synctest panics when nobody in the bubble can ever go on.
		if p := recover(); p != nil {
			err = s.blocked(fmt.Sprint(p), err)
		}
	}()
	synctest.Test(new(testing.T), func(*testing.T) {
		s.id.Store(bubbleID())
		var inner context.Context
		inner, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
		defer s.cancel()
		s.factory = &factory{sim: s}
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
			err = errors.Join(err, s.factory.close())
			time.Sleep(linger)
		}()
		label(inner, "", func() { err = f(inner, s.factory) })
		if s.canceled.Load() && err == nil {
			err = ctx.Err()
		}
	})
	return err
}

// happened is called whenever something happens in a network.
func (s *simulation) happened() {
	s.ticks.Add(1)
	if s.canceled.Load() {
		s.cancel()
	}
}
