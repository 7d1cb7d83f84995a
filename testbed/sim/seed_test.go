package sim

import (
	"context"
	"math"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// TestOneSeed measures how much runs with one seed differ, beside runs with
// several: ten peers join, a tenth of all packets is lost, one crashes. What the
// seed decides is little, so that the two differ about as much: docs/engines.md
// has the figures of go test -v -run OneSeed. With -short there are fewer runs.
func TestOneSeed(t *testing.T) {
	runs := 20
	if testing.Short() {
		runs = 4
	}
	measure := func(seed func(i int) uint64) (deaths []float64, events []float64) {
		for i := range runs {
			err := Run(t.Context(), seed(i), func(ctx context.Context, f testbed.Factory) error {
				l := &lab{t: t, ctx: ctx, names: testbed.Names(10)}
				var err error
				l.Engine, err = f.Create(ctx, testbed.Spec{Peers: l.names})
				l.must(err)
				l.up()
				links := make(testbed.Links)
				for _, a := range l.names {
					for _, b := range l.names {
						if a != b {
							links[testbed.Pair{From: a, To: b}] = testbed.Link{Loss: 10}
						}
					}
				}
				l.must(l.SetLinks(ctx, links))
				time.Sleep(time.Minute)
				at, start := l.History().Len(), time.Now()
				l.must(l.Kill(ctx, l.names[9]))
				l.see(5*time.Minute, l.names[:9], "dead", l.names[9])
				deaths = append(deaths, l.since(at, event.MemberDead)[0].Time.Sub(start).Seconds())
				events = append(events, float64(l.History().Len()))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return deaths, events
	}
	for what, seed := range map[string]func(int) uint64{
		"one seed":    func(int) uint64 { return 1 },
		"a seed each": func(i int) uint64 { return uint64(i) },
	} {
		deaths, events := measure(seed)
		mean, sd := spread(deaths)
		n, nsd := spread(events)
		t.Logf("%s: first detection after %.2f ± %.2f s, %.0f ± %.0f events", what, mean, sd, n, nsd)
		if mean < 5 || mean > 12 {
			t.Errorf("%s: first detection after %.2f s", what, mean)
		}
	}
}

// spread returns the mean and the standard deviation.
func spread(values []float64) (mean, sd float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		sd += (v - mean) * (v - mean) / float64(len(values)-1)
	}
	return mean, math.Sqrt(sd)
}
