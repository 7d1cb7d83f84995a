package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/peer"
	"peerlab/peer/membership/memberlistconfig"
	"peerlab/testbed"
	"peerlab/testbed/docker"
	"peerlab/testbed/docker/adapter"
	"peerlab/testbed/settings"
)

// localPeers is how many peers that start at the same time see each other soon
// with the local profile: in virtual time 20 take some 20 s and 50 some 40 s, and
// with lan 50 take 2 s.
const localPeers = 10

// ample is what peerlab up adds to the local profile where nobody chose it: with
// that profile's RetransmitMult of 2 one start in six or so has gossip miss
// somebody, who then waits for a push/pull. 4 is that of lan and wan.
const ample = "RetransmitMult=4"

// patientFor is how long up waits in silence before it says for what.
const patientFor = 3 * time.Second

type upFlags struct {
	peer.Config
	subnet   string
	image    string
	adapter  string
	service  string
	patience time.Duration
	tuning   bool
}

func (l *lab) upCommand() *cobra.Command {
	var f upFlags
	cmd := withFormats(&cobra.Command{
		Use: "up [N]", Short: "Start a cluster of N peers (5) and wait until every peer sees the whole cluster",
		Long: `Start a bootstrap service and N peers, 5 by default, in containers on a network of
their own, and wait until every peer sees the whole cluster. The cluster runs until
peerlab down. If peerlab up is interrupted or killed, it removes what it has started.

The profile is local with RetransmitMult=4 for up to ten peers, and lan for more.
With --profile local it is memberlist's own, whose RetransmitMult is 2: gossip
sometimes misses a peer, which then learns the news from a push/pull, up to 45 s later.`,
		Example: "  peerlab up\n  peerlab up 20 --cluster big --profile wan --set SuspicionMult=2 --rejoin 0",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("up takes one argument: the number of peers")}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			n := 5
			if len(args) == 1 {
				var err error
				if n, err = strconv.Atoi(args[0]); err != nil || n < 1 || n > testbed.MaxPeers {
					return usageError{fmt.Errorf("the number of peers must be between 1 and %[2]d, not %[1]q", args[0], testbed.MaxPeers)}
				}
			}
			o, err := f.options(l.cluster, n)
			l.limits.set(&o)
			if err = errors.Join(err, o.CheckLimits()); err != nil {
				return usageError{err}
			}
			return l.up(cmd, o, f)
		},
	}, formatJSON)
	flags := cmd.Flags()
	flags.StringVar(&f.Profile, "profile", "", "memberlist's defaults for `"+strings.Join(memberlistconfig.Profiles(), "|")+"` (local with "+ample+" for up to 10 peers, lan for more)")
	flags.StringArrayVar(&f.Set, "set", nil, "`Field=value` of memberlist's configuration; repeatable")
	flags.DurationVar(&f.Rejoin, "rejoin", peer.DefaultRejoin, "how often a peer contacts missing peers; 0 for never")
	flags.StringVar(&f.subnet, "subnet", "", "`RANGE` of addresses, such as 10.78.0.0/24 (a free one)")
	flags.StringVar(&f.image, "image", "", "`IMAGE` of the peers (peerlab-peer, or peerlab- and the adapter)")
	flags.StringVar(&f.adapter, "adapter", "", "how to talk to the image's peers: `"+strings.Join(adapter.Names(), "|")+"`")
	flags.StringVar(&f.service, "bootstrap-image", "", "`IMAGE` of the bootstrap service (peerlab-bootstrap)")
	l.limits.add(flags)
	flags.BoolVar(&f.tuning, "tune-host", false, "enlarge the host's neighbor (ARP) table for the peers until peerlab down (needs root)")
	flags.DurationVar(&f.patience, "timeout", time.Minute, "how long to wait until every peer sees the whole cluster")
	return cmd
}

// options checks the flags with what a peer itself checks, before there is a
// container in which it would fail.
func (f upFlags) options(cluster string, n int) (docker.Options, error) {
	cluster = cmp.Or(cluster, docker.DefaultName)
	if err := testbed.CheckName(cluster); err != nil {
		return docker.Options{}, fmt.Errorf("--cluster: %w", err)
	}
	o := docker.Options{Name: cluster, Peers: testbed.Names(n), PeerImage: f.image, BootstrapImage: f.service, Keep: true}
	f.Name = o.Peers[0]
	var err error
	if o.Adapter, err = adapter.Named(f.adapter); err != nil {
		return o, fmt.Errorf("--adapter: %w", err)
	}
	own := o.Adapter == adapter.Adapter(adapter.Own{})
	switch {
	case f.Profile != "":
	case n <= localPeers:
		f.Profile = "local"
		if own {
			f.Set = append([]string{ample}, f.Set...) // of two values the last counts
		}
	default:
		f.Profile = "lan"
	}
	if _, err := peer.New(f.Config); err != nil {
		return o, err
	}
	if f.subnet != "" {
		if o.Subnet, err = netip.ParsePrefix(f.subnet); err != nil {
			return o, fmt.Errorf("--subnet %q: want a range such as 10.78.0.0/24", f.subnet)
		}
	}
	o.Settings = map[string]string{"profile": f.Profile}
	if own || f.Rejoin != peer.DefaultRejoin {
		o.Settings["rejoin"] = f.Rejoin.String()
	}
	if len(f.Set) > 0 {
		o.Settings["set"] = strings.Join(f.Set, ",")
	}
	_, err = o.Adapter.Start(adapter.Peer{Name: f.Name, Settings: o.Settings})
	return o, err
}

func (l *lab) up(cmd *cobra.Command, o docker.Options, f upFlags) error {
	ctx, patience := cmd.Context(), f.patience
	p := newSteps(cmd.ErrOrStderr())
	d, err := l.connect(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	profile := o.Settings["profile"]
	if set := o.Settings["set"]; set != "" {
		profile += ", " + set
	}
	p.say("creating cluster %s with %d peers, profile %s", o.Name, len(o.Peers), profile)
	tuner := &hostTuner{daemon: d, tune: f.tuning, errs: cmd.ErrOrStderr()}
	if o.Tuning, err = tuner.prepare(ctx, len(o.Peers)); err != nil {
		return err
	}
	c, err := docker.Create(ctx, d, o)
	if err != nil {
		tuner.restore()
	}
	if ctx.Err() != nil && err != nil {
		return errors.New("interrupted: nothing was left behind")
	}
	if err != nil {
		return err
	}
	seen := newView(o.Peers)
	if o.Adapter.Bootstrap() {
		err = c.Start(ctx, testbed.Bootstrap)
	}
	if err == nil {
		p.say("starting the peers")
		err = during(func() error { return c.Start(ctx, o.Peers...) }, func() {
			p.say("  %d of %d peers started, after %s", started(c.Done()), len(o.Peers), p.took())
		})
	}
	if err == nil {
		waiting, cancel := context.WithTimeout(ctx, patience)
		err = seen.wait(waiting, c.History(), func(whole int) {
			if whole == len(o.Peers) || !p.quick() {
				p.say("  %d of %d peers see the whole cluster, after %s", whole, len(o.Peers), p.took())
			}
		}, func() {
			if why := seen.why(o.Settings); why != "" {
				p.say("  waiting: %s", why)
			}
		})
		cancel()
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if ctx.Err() != nil || err != nil && !errors.Is(err, context.DeadlineExceeded) {
		p.say("removing what was started")
		return errors.Join(err, c.Remove(context.WithoutCancel(ctx)))
	}
	peers, listed := c.Status(ctx)
	why := ""
	if err != nil {
		why = blocked(ctx, c, seen)
	}
	if err := errors.Join(listed, c.Close(ctx)); err != nil {
		return err
	}
	if why != "" {
		return fmt.Errorf("%s; the cluster is still there, %s removes it", why, c.Command("down"))
	}
	if err != nil {
		behind := seen.behind()[0]
		return fmt.Errorf("%s does not see the whole cluster after %s: look at %s, and let peerlab doctor --peers %d check this host; the cluster is still there, %s removes it",
			behind, patience, c.Command("logs", behind), len(o.Peers), c.Command("down"))
	}
	hint := c.Command("attach", o.Peers[0]) + " opens a shell in a peer"
	if o.Adapter.Shell() == nil {
		hint = c.Command("exec", o.Peers[0], "--", "LINE") + " runs a command of " + o.Adapter.Name()
	}
	p.say("a cluster of %d peers after %s: %s", len(o.Peers), p.took(), hint)
	return l.printPeers(cmd, peers)
}

// blocked measures a link between two peers that do not see each other, where
// there are such. It says so if no packet passes there, else "".
func blocked(ctx context.Context, c *docker.Cluster, v *view) string {
	from := v.behind()[0]
	for _, to := range v.peers {
		if to == from || v.State(from, to) == observe.Alive {
			continue
		}
		if m, err := c.Measure(ctx, from, to); err == nil && m.Arrived == 0 && !m.TCP {
			return fmt.Sprintf("a measurement shows that no packet gets from %s to %s: something on this host, such as its firewall, drops packets between containers; peerlab doctor looks for it", from, to)
		}
		break
	}
	return ""
}

// view is whom each of the peers of a cluster sees.
type view struct {
	*observe.View
	peers []string
}

func newView(peers []string) *view { return &view{observe.NewView(), peers} }

// wait returns when each peer sees all. It tells how many do when that changes,
// and calls waiting, once, when for some seconds that has not.
func (v *view) wait(ctx context.Context, h *testbed.History, tell func(whole int), waiting func()) error {
	silent := time.Now().Add(patientFor)
	for read, told := 0, 0; ; {
		reading, cancel := ctx, context.CancelFunc(func() {})
		if waiting != nil {
			reading, cancel = context.WithDeadline(ctx, silent)
		}
		events, err := h.Read(reading, read)
		late := waiting != nil && reading.Err() != nil && ctx.Err() == nil
		cancel()
		if err != nil && !late {
			return err
		}
		read += len(events)
		for _, e := range events {
			v.Add(e)
		}
		if whole := len(v.peers) - len(v.behind()); whole != told {
			told, silent = whole, time.Now().Add(patientFor)
			tell(whole)
		}
		if told == len(v.peers) {
			return nil
		}
		if late {
			waiting()
			waiting = nil
		}
	}
}

// why says for what a cluster with these settings waits, "" if that is not what
// gossip missed.
func (v *view) why(of map[string]string) string {
	m, err := settings.Model(of, len(v.peers))
	if err != nil {
		return ""
	}
	for _, name := range v.peers {
		if unheard := v.Unheard(name); len(unheard) > 0 && m.MissedByOne() > 0 {
			chance, next, _ := observe.WhyUnheard(m)
			return fmt.Sprintf("%s has not heard of %s: %s; %s", name, strings.Join(unheard, ", "), chance, next)
		}
	}
	return ""
}

// behind returns those that do not see all.
func (v *view) behind() []string {
	return slices.DeleteFunc(slices.Clone(v.peers), func(name string) bool {
		return v.Count(name, observe.Alive) >= len(v.peers)
	})
}

// started counts the peers that have been started.
func started(done []event.Event) (n int) {
	for _, e := range done {
		if e.Kind == testbed.LabStart && e.Member != testbed.Bootstrap {
			n++
		}
	}
	return n
}
