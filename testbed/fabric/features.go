package fabric

import (
	"fmt"
	"strings"
)

// Feature is a piece of the kernel that some faults need.
type Feature struct {
	// Name is what the kernel calls it: "nf_tables", "sch_netem".
	Name string `json:"name"`
	// For says what cannot be done without it.
	For string `json:"for"`
	// Missing says why it cannot be used here. It is empty if it can.
	Missing string `json:"missing,omitempty"`
}

// What the fabric needs of the kernel, beside veth and bridges.
const (
	nfTables = "nf_tables"
	schHTB   = "sch_htb"
	schTBF   = "sch_tbf"
	schNetem = "sch_netem"
)

var purposes = [...]Feature{
	{Name: nfTables, For: "drop, over, loss"},
	{Name: schHTB, For: "delay, jitter, reorder, duplicate, corrupt, rate"},
	{Name: schNetem, For: "delay, jitter, reorder, duplicate, corrupt"},
	{Name: schTBF, For: "rate"},
}

// Needs returns the names of the features that m cannot do without.
func (m Matrix) Needs() []string {
	var shaped, netemed, rate bool
	for _, link := range m {
		shaped = shaped || link.Shape != (Shape{})
		netemed = netemed || netem(link.Shape)
		rate = rate || link.Shape.Rate != 0
	}
	needs := []string{nfTables}
	if shaped {
		needs = append(needs, schHTB)
	}
	if netemed {
		needs = append(needs, schNetem)
	}
	if rate {
		needs = append(needs, schTBF)
	}
	return needs
}

// CheckFeatures returns an error that names each feature that m needs and the
// kernel lacks, nil if it has them all.
func (m Matrix) CheckFeatures(features []Feature) error {
	missing := make(map[string]Feature)
	for _, f := range features {
		if f.Missing != "" {
			missing[f.Name] = f
		}
	}
	var told []string
	for _, need := range m.Needs() {
		if f, ok := missing[need]; ok {
			told = append(told, fmt.Sprintf("%s, needed for %s: %s", f.Name, f.For, f.Missing))
		}
	}
	if len(told) == 0 {
		return nil
	}
	return fmt.Errorf("the kernel lacks %s", strings.Join(told, "; "))
}
