package fabric

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"peerlab/testbed"
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
	nfTables  = "nf_tables"
	nftNumgen = "nft_numgen"
	schHTB    = "sch_htb"
	schTBF    = "sch_tbf"
	schNetem  = "sch_netem"
)

// purposes says of each feature what cannot be done without it: the keys of a
// link that take it.
func purposes() []Feature {
	keys := make(map[string][]string)
	for _, key := range testbed.LinkKeys() {
		module := cmp.Or(key.Kernel, nfTables)
		keys[module] = append(keys[module], key.Name)
		if isQueue(module) {
			keys[schHTB] = append(keys[schHTB], key.Name)
		}
	}
	features := make([]Feature, 0, len(keys))
	for _, name := range []string{nfTables, nftNumgen, schHTB, schNetem, schTBF} {
		features = append(features, Feature{Name: name, For: strings.Join(keys[name], ", ")})
	}
	return features
}

// isQueue reports whether a module makes queues, of which each link has its own.
func isQueue(module string) bool { return strings.HasPrefix(module, "sch_") }

// Needs returns the names of the features that m cannot do without, nf_tables first.
func (m Matrix) Needs() []string {
	needs := make(map[string]bool)
	for _, link := range m {
		for _, module := range link.KernelNeeds() {
			needs[module] = true
			if isQueue(module) {
				needs[schHTB] = true
			}
		}
	}
	return append([]string{nfTables}, slices.Sorted(maps.Keys(needs))...)
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
