package explore

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"peerlab/testbed/sim"
)

func TestTry(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("N"))
	seed, _ := strconv.Atoi(os.Getenv("SEED"))
	d, _ := time.ParseDuration(os.Getenv("FOR"))
	o := Options{
		Shape:  Shape{Peers: 8, For: d, Settings: strings.Fields(os.Getenv("SETTINGS")), Checks: strings.FieldsFunc(os.Getenv("CHECKS"), func(r rune) bool { return r == ',' })},
		Engine: sim.Run, Seed: uint64(seed), Runs: n, Workers: runtime.NumCPU(), Shrinking: time.Minute,
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
