package scenarios

import (
	"context"
	"io"
	"strings"
	"testing"

	"peerlab/observe"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// flooding is a factory of such engines.
type flooding struct{ testbed.Factory }

func (f flooding) Create(ctx context.Context, spec testbed.Spec) (testbed.Engine, error) {
	e, err := f.Factory.Create(ctx, spec)
	return floodingEngine{e}, err
}

// floodingEngine has peers answer without end.
type floodingEngine struct{ testbed.Engine }

func (floodingEngine) Exec(_ context.Context, _, _ string, _ testbed.Input, out io.Writer) error {
	piece := make([]byte, 1<<20)
	for {
		if _, err := out.Write(piece); err != nil {
			return err
		}
	}
}

// TestEndlessAnswer runs a line that a peer answers without end.
func TestEndlessAnswer(t *testing.T) {
	s, err := Parse("x.txt", three+"alice members\n")
	if err != nil {
		t.Fatal(err)
	}
	var res *Result
	err = sim.Run(t.Context(), 1, func(ctx context.Context, f testbed.Factory) error {
		plans, err := s.Plans(ctx, f, "", nil)
		if err == nil {
			res = plans[0].Run(ctx, flooding{f}, Options{})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.Verdict != observe.Inconclusive || !strings.Contains(res.Reason, "more than 16 MiB") {
		t.Errorf("%s: %s", res.Verdict, res.Reason)
	}
}
