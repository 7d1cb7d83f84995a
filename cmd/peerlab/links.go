package main

import (
	"context"
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
			return usageError{fmt.Errorf("--for %s: want a duration above 0, such as 30s", last)}
		}
		if slices.Contains(args, "-") {
			return usageError{fmt.Errorf("the shell took > for a redirection: write %s alice bob, or quote the arrow: %[1]s 'alice -> bob'", cmd.CommandPath())}
		}
		if at := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "for=") }); at >= 0 && cmd.Name() != "heal" {
			return usageError{fmt.Errorf("%s: how long it lasts is a flag, --for %s", args[at], strings.TrimPrefix(args[at], "for="))}
		}
		if err := checkWords(args); err != nil {
			return usageError{err}
		}
		return l.on(cmd, func(c *docker.Cluster) error { return l.setLinks(cmd, c, args, both, last) })
	}
	withFormats(cmd, formatJSON)
	if cmd.Name() == "cut" || cmd.Name() == "link" {
		cmd.Flags().BoolVar(&both, "both", false, "the way back as well")
	}
	if cmd.Name() != "heal" {
		cmd.Flags().DurationVar(&last, "for", 0, "`DURATION` after which all that is then in force ends (none: until peerlab heal)")
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
		p.say("  what that does to links of %s cannot be measured until it runs", strings.Join(stopped, ", "))
	}
	err = during(func() error { return state.Set(ctx, want, last) }, func() { p.say("  still at it, after %s", p.took()) })
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
	return fmt.Sprintf("what was to end at %s now stays: a change without --for takes the end away", until.Local().Format("15:04:05"))
}

// doing is what is said before, since measuring takes a while. all says that all
// links are to be healthy, not only some that happen to be the last.
func doing(now, want testbed.Links, all bool) string {
	switch changed := now.Changed(want); {
	case changed == 0 && len(want) == 0:
		return "nothing changes: all links are healthy already"
	case changed == 0:
		return "nothing changes: the links are like that already"
	case len(want) == 0 && all:
		return "healing all links"
	case len(want) == 0 && changed == 1:
		return "healing one link: then all are healthy"
	case len(want) == 0:
		return fmt.Sprintf("healing %d links: then all are healthy", changed)
	case changed == 1:
		return "changing one link and measuring what that does"
	default:
		return fmt.Sprintf("changing %d links and measuring what that does", changed)
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

func peerNames(ctx context.Context, c *docker.Cluster) ([]string, error) {
	peers, err := c.Peers(ctx)
	return namesOf(peers), err
}

func namesOf(peers []testbed.Peer) []string {
	names := make([]string, len(peers))
	for i, p := range peers {
		names[i] = p.Name
	}
	return names
}

func (l *lab) partitionCommand() *cobra.Command {
	return l.onLinks(&cobra.Command{
		Use: "partition A,B / C,D [/ rest]", Short: "Cut the cluster into groups: no packet passes from one to another",
		Long: `Cut the cluster into groups: no packet passes from one to another, TCP connections
that stand included. A peer in no group keeps all its links: it is a bridge. rest
is everybody in no other group.

A partition states the whole division and replaces the one before it; cuts and
degraded links stay. peerlab heal ends it.`,
		Example: "  peerlab partition alice,bob / rest\n  peerlab partition alice / bob            # the others reach both\n  peerlab partition alice,bob / charly / rest --for 30s",
		Args:    atLeast(1, "groups of peers, such as alice,bob / rest"), ValidArgsFunction: l.completeGroups,
	})
}

// ends explains how a direction is written on a command line.
const ends = `FROM and TO are peers, separated by commas, or all, or rest: those not at the other
end. Only packets in that direction are meant; --both means the way back, too. An
arrow is understood as well where it is quoted, for to a shell > is a redirection:
'alice -> bob', 'alice <-> bob'; and so is alice:bob.`

func (l *lab) cutCommand() *cobra.Command {
	return l.onLinks(&cobra.Command{
		Use: "cut FROM TO [drop=udp|tcp]", Short: "Drop all packets from some peers to others: one way, or --both",
		Long: `Drop all packets from some peers to others, or with drop=udp or drop=tcp those of
one protocol. What else is in force stays: a cut lets nothing through that was
dropped before. peerlab heal ends it.

` + ends,
		Example: "  peerlab cut alice bob                    # bob still reaches alice\n  peerlab cut alice,bob rest --both\n  peerlab cut alice rest drop=udp --for 1m\n  peerlab cut 'alice <-> bob'",
		Args:    atLeast(1, "from whom to whom, such as alice bob"), ValidArgsFunction: l.completeLink("drop=udp", "drop=tcp"),
	})
}

func (l *lab) linkCommand() *cobra.Command {
	return l.onLinks(&cobra.Command{
		Use: "link FROM TO KEY=VALUE…", Short: "Degrade links: loss, delay, rate and more; one way, or --both",
		Long: `Degrade the links from some peers to others. What is given takes the place of what
the same key was before, what is not given stays; loss=0 takes a loss away.

` + linkKeyHelp() + `
From delay on it takes a kernel with netem or tbf: peerlab doctor says what yours has.

` + ends,
		Example: "  peerlab link alice bob loss=20%\n  peerlab link all all delay=50ms±10ms\n  peerlab link alice rest rate=256kbit --both --for 5m\n  peerlab link 'alice <-> bob' over=1000",
		Args:    atLeast(1, "from whom to whom and what, such as alice bob loss=20%"), ValidArgsFunction: l.completeLink(linkWords()...),
	})
}

func (l *lab) healCommand() *cobra.Command {
	return l.onLinks(&cobra.Command{
		Use: "heal [PEER…|FROM:TO]", Short: "Make all links healthy, those from and to some peers, or those named",
		Long: `Make all links healthy, those from and to the named peers, or those that an arrow
names: 'alice -> bob', alice:bob. Whether the peers find
each other again is theirs to tell: see peerlab events.`,
		ValidArgsFunction: l.completeHeal,
	})
}

func (l *lab) linksCommand() *cobra.Command {
	return withFormats(&cobra.Command{
		Use: "links", Short: "Show which links are cut or degraded, and until when", Args: exactly(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return l.on(cmd, func(c *docker.Cluster) error {
				state, err := c.LinkState(cmd.Context())
				if err != nil {
					return err
				}
				return l.showLinks(cmd, c, state, nil)
			})
		},
	}, formatJSON)
}

// linkKeyHelp has a line for each key of a link.
func linkKeyHelp() string {
	var b strings.Builder
	for _, key := range testbed.LinkKeys() {
		fmt.Fprintf(&b, "  %-24s  %s\n", key.Example, key.Text)
	}
	return b.String()
}
