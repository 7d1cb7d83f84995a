package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peerlab/testbed"
	"peerlab/testbed/docker"
)

// onLinks makes a command that changes links, shows the links then in force and
// what was measured.
func (l *lab) onLinks(cmd *cobra.Command) *cobra.Command {
	var last time.Duration
	var both bool
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("for") && last <= 0 {
			return usageError{fmt.Errorf("--for %s: the duration must be above 0, such as 30s", last)}
		}
		if slices.Contains(args, "-") {
			return usageError{fmt.Errorf("the shell took > for a redirection: write %s alice bob, or quote the arrow: %[1]s 'alice -> bob'", cmd.CommandPath())}
		}
		if at := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "for=") }); at >= 0 && cmd.Name() != "heal" {
			return usageError{fmt.Errorf("%s: the duration is a flag, --for %s", args[at], strings.TrimPrefix(args[at], "for="))}
		}
		if err := checkWords(args); err != nil {
			return usageError{err}
		}
		return l.on(cmd, func(c *docker.Cluster) error { return l.setLinks(cmd, c, args, both, last) })
	}
	withFormats(cmd, formatJSON)
	if cmd.Name() == "cut" || cmd.Name() == "link" {
		cmd.Flags().BoolVar(&both, "both", false, "also the opposite direction")
	}
	if cmd.Name() != "heal" {
		cmd.Flags().DurationVar(&last, "for", 0, "`DURATION` after which all faults on links end (default: until peerlab heal)")
	}
	return cmd
}

// checkWords looks at what needs no cluster to be wrong: the last words, of a
// link.
func checkWords(args []string) error {
	words := strings.Fields(strings.Join(args, " "))
	first := slices.IndexFunc(words, func(word string) bool { return strings.Contains(word, "=") })
	if first < 0 {
		return nil
	}
	_, err := testbed.ParseLinkChange(words[first:])
	return err
}

func (l *lab) setLinks(cmd *cobra.Command, c *docker.Cluster, args []string, both bool, last time.Duration) error {
	ctx := cmd.Context()
	state, err := c.LinkState(ctx)
	if err != nil {
		return err
	}
	peers, now, until := namesOf(state.Peers), state.Links, state.Until
	change, err := testbed.ParseLinksChange(cmd.Name(), args, testbed.NewRoster(peers), both)
	if errors.Is(err, testbed.ErrNoPeer) {
		return err
	}
	if err != nil {
		return usageError{err}
	}
	want, err := change(now)
	if err != nil {
		return usageError{err}
	}
	if err := want.Check(peers); err != nil {
		return err
	}
	p := newSteps(cmd.ErrOrStderr())
	p.say("%s", doing(now, want, len(args) == 0))
	if stopped := unmeasured(now, want, state.Peers); len(stopped) > 0 {
		p.say("  the effect on links of %s cannot be measured until it runs", strings.Join(stopped, ", "))
	}
	err = during(func() error { return state.Set(ctx, want, last) }, func() { p.say("  still working, after %s", p.took()) })
	if err != nil && !errors.As(err, new(*testbed.NoEffectError)) {
		return err // nothing has changed
	}
	if gone := endless(until, last, len(want)); gone != "" {
		p.say("%s", gone)
	}
	return errors.Join(l.showLinks(cmd, c, state, probes(c.Done())), err)
}

// endless says that links which were to end by themselves do so no longer, since
// what is now in force has no end; "" where that is not so. There are so many left.
func endless(until time.Time, last time.Duration, left int) string {
	if until.IsZero() || last > 0 || left == 0 {
		return ""
	}
	return fmt.Sprintf("the faults that would have ended at %s now stay: a change without --for removes the end", until.Local().Format("15:04:05"))
}

// doing is what is said before, since measuring takes a while. all says that all
// links are to be healthy, not only some that happen to be the last.
func doing(now, want testbed.Links, all bool) string {
	switch changed := now.Changed(want); {
	case changed == 0 && len(want) == 0:
		return "nothing changes: all links are already healthy"
	case changed == 0:
		return "nothing changes: the links already are like that"
	case len(want) == 0 && all:
		return "healing all links"
	case len(want) == 0 && changed == 1:
		return "healing one link: then all are healthy"
	case len(want) == 0:
		return fmt.Sprintf("healing %d links: then all are healthy", changed)
	case changed == 1:
		return "changing one link and measuring the effect"
	default:
		return fmt.Sprintf("changing %d links and measuring the effect", changed)
	}
}

// unmeasured returns the peers that do not run, and one of whose links changes to
// something else than healthy.
func unmeasured(now, want testbed.Links, peers []testbed.Peer) (names []string) {
	for _, p := range peers {
		if p.State != testbed.Stopped {
			continue
		}
		for pair, link := range want {
			if (pair.From == p.Name || pair.To == p.Name) && now[pair] != link {
				names = append(names, p.Name)
				break
			}
		}
	}
	return names
}
