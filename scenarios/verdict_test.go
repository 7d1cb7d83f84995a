package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// spoilt is a factory whose engines do something else on throttle.
type spoilt struct {
	testbed.Factory
	instead func(ctx context.Context, e testbed.Engine, names []string) error
}

func (s spoilt) Create(ctx context.Context, spec testbed.Spec) (testbed.Engine, error) {
	e, err := s.Factory.Create(ctx, spec)
	return spoiltEngine{e, s.instead}, err
}

type spoiltEngine struct {
	testbed.Engine
	instead func(ctx context.Context, e testbed.Engine, names []string) error
}

func (e spoiltEngine) Throttle(ctx context.Context, _ float64, names ...string) error {
	return e.instead(ctx, e.Engine, names)
}

// record notes an event in the history.
func record(e event.Event) func(context.Context, testbed.Engine, []string) error {
	return func(_ context.Context, engine testbed.Engine, _ []string) error {
		engine.History().Record(e)
		return nil
	}
}

// TestInconclusive has things happen that no scenario may pass over: not even
// one that wants the line to fail.
func TestInconclusive(t *testing.T) {
	for name, tc := range map[string]struct {
		instead func(ctx context.Context, e testbed.Engine, names []string) error
		want    string
	}{
		"a peer is killed behind its back": {func(ctx context.Context, e testbed.Engine, names []string) error { return e.Kill(ctx, names...) }, "bob was lost"},
		"a peer takes too much memory": {
			record(event.Event{Kind: testbed.LabExit, Member: "bob", Text: "137", Reason: testbed.OutOfMemory}),
			"bob was lost to something the scenario did not do: its process was killed: out of memory",
		},
		"a peer crashes": {record(event.Event{Kind: testbed.LabExit, Member: "bob", Text: "2"}), "bob was lost to something the scenario did not do: its process ended with status 2"},
		"a fault without effect": {func(context.Context, testbed.Engine, []string) error {
			return fmt.Errorf("throttle: %w", &testbed.NoEffectError{Detail: "alice -> bob: passes"})
		}, "a fault had no effect: alice -> bob: passes"},
		"it cannot be done": {func(context.Context, testbed.Engine, []string) error {
			return fmt.Errorf("throttle: %w", testbed.ErrUnable)
		}, "cannot be done here"},
		"events are missing": {record(event.Event{Kind: testbed.LabError, Member: "bob", Error: "event 7 came after 5"}), "what bob reported is incomplete: event 7 came after 5"},
		"the engine ends": {func(_ context.Context, e testbed.Engine, _ []string) error {
			e.History().Close()
			return nil
		}, "the engine ended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Parse("x.txt", three+"? throttle bob 0.5\n! await 1s alice sees bob left\nawait 1h alice sees bob suspect\n")
			if err != nil {
				t.Fatal(err)
			}
			var res *Result
			err = sim.Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
				plans, err := s.Plans(ctx, f, "", nil)
				if err != nil {
					return err
				}
				res = plans[0].Run(ctx, spoilt{f, tc.instead}, Options{})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if res.Verdict != observe.Inconclusive || !strings.Contains(res.Reason, tc.want) {
				t.Errorf("%s: %s, want %s", res.Verdict, res.Reason, tc.want)
			}
		})
	}
}

// unable is a factory that cannot delay.
type unable struct{ testbed.Factory }

func (unable) Check(_ context.Context, links testbed.Links) error {
	for pair, l := range links {
		if l.Shape.Delay > 0 {
			return fmt.Errorf("%s: delay: sch_netem is missing: this %w", pair, testbed.ErrUnable)
		}
	}
	return nil
}

func TestUnable(t *testing.T) {
	err := sim.Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
		for text, want := range map[string]string{
			"cluster 2\nstart\nlink alice -> bob delay=1s\n":          "x.txt:3:6: alice -> bob: delay: sch_netem is missing",
			"cluster 2\nstart\n[netem] link alice -> bob delay=1s\n":  "",
			"cluster 2\nstart\nlink alice -> bob loss=50%\n":          "",
			"cluster 2\nstart\n[!netem] link alice -> bob delay=1s\n": "x.txt:3:15: alice -> bob: delay: sch_netem is missing",
		} {
			s, err := Parse("x.txt", text)
			if err != nil {
				return err
			}
			_, err = s.Plans(ctx, unable{f}, "", nil)
			var problems Problems
			errors.As(err, &problems)
			if !strings.HasPrefix(problems.Error(), want) || (want == "") != (err == nil) || problems.Unable() != (want != "") {
				t.Errorf("%s: %v", text, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBusyHost adds busy seconds to a run that would pass.
func TestBusyHost(t *testing.T) {
	for busy, want := range map[int]observe.Verdict{0: observe.Pass, tolerated(0): observe.Pass, tolerated(0) + 1: observe.Inconclusive} {
		text := "cluster 1\nstart\n" + strings.Repeat("throttle alice off\n", busy) + "wait 1s\n"
		s, err := Parse("x.txt", text)
		if err != nil {
			t.Fatal(err)
		}
		err = sim.Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
			plans, err := s.Plans(ctx, f, "", nil)
			if err != nil {
				return err
			}
			res := plans[0].Run(ctx, spoilt{f, record(event.Event{Kind: testbed.LabBusy, Text: "a timer came 1s late"})}, Options{})
			if res.Verdict != want {
				t.Errorf("%d seconds: %s: %s", busy, res.Verdict, res.Reason)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := tolerated(10 * time.Minute); n != 30 {
		t.Errorf("%d of ten minutes", n)
	}
}
