package peer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"peerlab/internal/suggest"
	"peerlab/peer/broadcast"
	"peerlab/peer/membership"
	"peerlab/peer/membership/memberlistconfig"
)

// AddFlags defines the flags of peer run that say what peer it is to be, those
// of c.App among them, and sets c to their defaults; the name's is c.Name.
func (c *Config) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&c.Name, "name", c.Name, "the peer's `NAME`, unique in its cluster")
	flags.StringVar(&c.Bind, "bind", DefaultBind, "membership listens on `IP:PORT`, UDP and TCP; port 0 for any")
	flags.StringVar(&c.Advertise, "advertise", "", "`IP[:PORT]` told to others, if not the one bound")
	flags.StringVar(&c.Bootstrap, "bootstrap", "", "`URL` of the bootstrap service, or several separated by commas, tried in order (none: wait to be joined)")
	flags.StringVar(&c.State, "state", "", "`DIR` in which the peer remembers others, to find them with no service up, and what was said (none: it forgets)")
	flags.StringVar(&c.Profile, "profile", DefaultProfile, "memberlist's defaults for `"+strings.Join(memberlistconfig.Profiles(), "|")+"`")
	flags.StringArrayVar(&c.Set, "set", nil, "`Field=value` of memberlist's configuration; repeatable")
	flags.IntVar(&c.MaxMembers, "max-members", membership.DefaultMaxMembers, "`MEMBERS` this peer takes in, itself, the dead and those who left included")
	flags.IntVar(&c.QueueWarning, "queue-warning", membership.DefaultQueueWarning, "report peer.backlog when a broadcast queue stays longer than `MESSAGES`; 0 never does")
	flags.DurationVar(&c.Rejoin, "rejoin", DefaultRejoin, "how often to contact missing peers; 0 turns it off")
	flags.IntVar(&c.BroadcastRetransmit, "broadcast-retransmit", 0, "`N` in place of memberlist's RetransmitMult for the broadcast map; 0 for that one")
	flags.DurationVar(&c.BroadcastTombstones, "broadcast-tombstones", broadcast.DefaultTombstoneTTL, "for how long a deletion in the broadcast map is passed on")
	flags.IntVar(&c.EventsKept, "events-kept", DefaultEventsKept, "`EVENTS` of this peer that stay readable; who follows them gets all")
	flags.BoolVar(&c.Bare, "bare", false, "start nothing: configure, create, join, … by hand, step by step")
	flags.BoolVar(&c.AllowShell, "allow-shell", false, "let the shell command run programs where the peer runs")
	if name := appName(c.App); name != "" {
		flags.BoolVar(&c.NoApp, "no-"+name, false, "stay out of the "+name+" until "+name+" join")
	}
	if app, ok := c.App.(FlagAdder); ok {
		app.AddFlags(flags)
	}
}

// Configure sets c to the defaults of the flags of [Config.AddFlags], its name
// apart, and then what settings say, by the names of the flags without dashes.
// A flag that can be repeated takes several values separated by commas. The
// error names a setting that there is not, or whose value is wrong in form; the
// rest New checks.
func (c *Config) Configure(settings map[string]string) error {
	flags := pflag.NewFlagSet("peer", pflag.ContinueOnError)
	c.AddFlags(flags)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		flag := flags.Lookup(name)
		if flag == nil {
			return unknownSetting(name, flags)
		}
		if err := SetFlag(flag, settings[name]); err != nil {
			return fmt.Errorf("setting %s=%q: %w", name, settings[name], err)
		}
	}
	return nil
}

// ErrNoSetting is the error of Configure for a setting that there is not.
var ErrNoSetting = errors.New("a peer has no setting")

func unknownSetting(name string, flags *pflag.FlagSet) error {
	var known []string
	flags.VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	hint := "there are " + strings.Join(known, ", ")
	if near := suggest.Similar(name, known); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, ", ") + "?"
	}
	return fmt.Errorf("%w %q: %s", ErrNoSetting, name, hint)
}

// SetFlag sets a flag from one text, in which the values of a flag that can be
// repeated are separated by commas.
func SetFlag(f *pflag.Flag, text string) error {
	values := []string{text}
	if list, ok := f.Value.(pflag.SliceValue); ok {
		if text == "" {
			return list.Replace(nil)
		}
		values = strings.Split(text, ",")
	}
	for _, v := range values {
		if err := f.Value.Set(v); err != nil {
			return err
		}
	}
	f.Changed = true
	return nil
}
