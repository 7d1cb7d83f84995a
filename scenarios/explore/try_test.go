package explore

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"peerlab/peer"
	"peerlab/peer/chat"
	"peerlab/scenarios"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

func host() scenarios.Host {
	return func(ctx context.Context, seed uint64, do func(context.Context, testbed.Factory) error) error {
		return sim.RunChanged(ctx, seed, func(c *peer.Config) {
			switch os.Getenv("FLAW") {
			case "dedupe":
				c.Chat.Flaws = []chat.Flaw{chat.NoDedupe}
			case "sync":
				c.Chat.Flaws = []chat.Flaw{chat.NoSync}
			case "holdback":
				c.Chat.Flaws = []chat.Flaw{chat.NoHoldback}
			}
		}, do)
	}
}

func TestTry(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("N"))
	seed, _ := strconv.Atoi(os.Getenv("SEED"))
	d, _ := time.ParseDuration(os.Getenv("FOR"))
	o := Options{
		Shape: Shape{Peers: 8, For: d, Settings: strings.Fields(os.Getenv("SETTINGS")), Checks: strings.FieldsFunc(os.Getenv("CHECKS"), func(r rune) bool { return r == ',' })},
		Host:  host(), Seed: uint64(seed), Runs: n, Workers: runtime.NumCPU(), Shrinking: time.Minute,
		Progress: func(p Progress) { t.Logf("%+v", p) },
	}
	began := time.Now()
	t.Log(generate(o.Seed, Shape{Peers: 8, For: d, Checks: Checks()}).text())
	sum, err := Search(t.Context(), o)
	t.Logf("%s: %+v %v", time.Since(began), sum, err)
	if sum.Finding != nil {
		t.Logf("\n%s\n%s", sum.Finding.Text, sum.Finding.Story)
	}
}
