package enginetest

import (
	"context"
	"fmt"
	"testing"

	"peerlab/testbed"
)

// Host calls do with a factory of the engine, where its clusters can be used:
// for a simulator that is within virtual time. It returns when do has.
type Host func(t *testing.T, do func(ctx context.Context, f testbed.Factory))

// Options say how the suite is run.
type Options struct {
	// Clusters is on how many clusters the cases work that allow it, at the same
	// time; on each one case after another, with a repair between them. It is for
	// engines that take long to make a cluster. With 0 each case has its own.
	Clusters int
}

// settings are those of all clusters of the suite. Gossip is sent often enough
// to reach every peer of so few.
var settings = map[string]string{"profile": "local", "set": "RetransmitMult=8"}

// peers is how many peers a cluster of the suite has.
const peers = 4

// testCase is one thing that an engine must do.
type testCase struct {
	name string
	// fresh cases get a cluster of which nothing runs yet; the others one that
	// has formed.
	fresh bool
	do    func(c *cluster)
}

// cases are all of them, a file for each group.
func cases() []testCase {
	var all []testCase
	for _, group := range [][]testCase{lifecycleCases(), pauseCases(), moveCases(), linkCases(), historyCases(), execCases(), closeCases()} {
		all = append(all, group...)
	}
	return all
}

// Test runs the suite.
func Test(t *testing.T, host Host, o Options) {
	shared := make([][]testCase, o.Clusters)
	next := 0
	for _, tc := range cases() {
		if o.Clusters > 0 && !tc.fresh {
			at := next % o.Clusters
			shared[at], next = append(shared[at], tc), next+1
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			host(t, func(ctx context.Context, f testbed.Factory) {
				withCluster(ctx, t, f, func(c *cluster) {
					if !tc.fresh {
						c.repair()
					}
					tc.do(c)
				})
			})
		})
	}
	testRefusals(t, host)
	for i, cases := range shared {
		t.Run(fmt.Sprintf("shared cluster %d", i+1), func(t *testing.T) {
			t.Parallel()
			host(t, func(ctx context.Context, f testbed.Factory) {
				withCluster(ctx, t, f, func(c *cluster) { onOneCluster(ctx, t, c, cases) })
			})
		})
	}
}

// onOneCluster has the cases work on a cluster, one after another.
func onOneCluster(ctx context.Context, t *testing.T, c *cluster, cases []testCase) {
	c.repair()
	for _, tc := range cases {
		if t.Failed() && ctx.Err() != nil {
			return
		}
		t.Run(tc.name, func(t *testing.T) {
			one := *c
			one.t = t
			attempt(tc.do, &one)
			attempt((*cluster).repair, &one)
			*c = one
		})
	}
	c.t = t
}

// withCluster calls do with a new cluster of which nothing runs, and removes it.
func withCluster(ctx context.Context, t *testing.T, f testbed.Factory, do func(c *cluster)) {
	t.Helper()
	names := testbed.Names(peers)
	e, err := f.Create(ctx, testbed.Spec{Peers: names, Settings: settings})
	if err != nil {
		t.Error(err)
		return
	}
	defer func() {
		if err := e.Close(context.WithoutCancel(ctx)); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	attempt(do, newCluster(ctx, t, f, e, names))
}
