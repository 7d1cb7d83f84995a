package explore

import (
	"fmt"
	"strings"

	"peerlab/internal/terminal"
)

// header is the comment that a finding begins with.
func (o Options) header(f *Finding) string {
	var b strings.Builder
	line := func(format string, args ...any) {
		fmt.Fprintf(&b, "# %s\n", terminal.Line(fmt.Sprintf(format, args...)))
	}
	line("Found by search, seed %d: %s", f.Seed, f.Why)
	line("%s", o.command(f.Seed))
	switch {
	case f.Interrupted && f.Lines == f.Of:
		line("The schedule is as it was made: shrinking was interrupted.")
	case f.Interrupted:
		line("Shrinking was interrupted: from %d lines it came to %d. How often these fail has not been measured.", f.Of, f.Lines)
	case f.Tried == 0:
	case f.Failed == 0:
		line("The schedule is as it was made: in %d more runs it did not fail again.", f.Tried)
	default:
		line("Shrunk from %d lines to %d. It failed in %d of %d more runs: what memberlist draws at random is not", f.Of, f.Lines, f.Failed, f.Tried)
		line("from the seed. peerlab run --engine docker runs it on containers.")
	}
	return b.String()
}

// command is what makes the schedule of a seed again.
func (o Options) command(seed uint64) string {
	words := []string{"peerlab explore", fmt.Sprintf("--peers %d --for %s --seed %d --runs 1", o.Peers, short(o.For), seed)}
	if len(o.Checks) < len(Checks()) {
		words = append(words, "--checks "+strings.Join(o.Checks, ","))
	}
	if o.Shaping {
		words = append(words, "--netem")
	}
	return strings.Join(append(words, o.Settings...), " ")
}
