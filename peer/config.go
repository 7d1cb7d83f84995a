package peer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/bootstrap"
	"peerlab/event"
	"peerlab/peer/files"
	"peerlab/peer/logging"
	"peerlab/peer/membership"
	"peerlab/peer/membership/memberlistconfig"
)

// Defaults of Config.
const (
	DefaultBind    = "0.0.0.0:7946"
	DefaultProfile = "lan"
	DefaultRejoin  = 5 * time.Second
	// DefaultEventsKept is how many events of a peer stay readable.
	DefaultEventsKept = 10_000
)

// Bounds of Config.
const (
	maxEventsKept = 10_000_000
	maxTombstones = 365 * 24 * time.Hour
)

// BootstrapTokenVariable is the environment variable with the write token of the
// bootstrap service. A program that the shell command runs does not inherit it.
const BootstrapTokenVariable = "PEER_BOOTSTRAP_TOKEN"

// Config says what peer to run. Name must be set; New fills in the rest.
type Config struct {
	Name      string
	Bind      string // membership, IP:PORT, port 0 for any free one
	Advertise string // IP or IP:PORT told to others; empty: what Bind says, or a private address of the host
	// Bootstrap are the URLs of bootstrap services, separated by commas and
	// tried in order; empty: none.
	Bootstrap string
	// BootstrapToken is sent to them, if not empty.
	BootstrapToken string
	// State is a directory in which the peer remembers others, so that it finds
	// them with no service up, and its application what it keeps; made if
	// missing. Empty: it forgets.
	State   string
	Profile string   // lan, wan or local: memberlist's defaults
	Set     []string // Field=value for fields of memberlist.Config, on top of Profile
	// MaxMembers bounds how many members the peer takes in; 0 means
	// membership.DefaultMaxMembers.
	MaxMembers int
	// QueueWarning is the length of a broadcast queue beyond which the peer
	// reports peer.backlog, if it stays so; 0 never does.
	QueueWarning int
	// Rejoin is how often, give or take a half, known but missing peers and
	// the bootstrap service are contacted; 0 means never.
	Rejoin time.Duration
	// BroadcastRetransmit takes the place of memberlist's RetransmitMult for the
	// broadcast map; 0 means that one.
	BroadcastRetransmit int
	// BroadcastTombstones is for how long a deletion in the broadcast map is
	// passed on; 0 means broadcast.DefaultTombstoneTTL.
	BroadcastTombstones time.Duration
	// EventsKept is how many events stay readable; 0 means DefaultEventsKept.
	EventsKept int
	// Observe, if not nil, is told every event when it happens, one at a time
	// and in order. It must not block.
	Observe func(event.Event)
	// Bare starts nothing: every layer waits for its commands.
	Bare bool
	// App is the application layer, of this peer alone; nil means none.
	App App
	// NoApp leaves it to its command to join the application.
	NoApp   bool
	Network Network
	// Files are what the peer sees of files; nil means this host's. With others
	// it runs no programs of the host either.
	Files files.System
	// Log is the peer's log for people; nil keeps the latest lines and
	// writes them nowhere.
	Log *logging.Log
	// AllowShell lets the shell command run programs where the peer runs.
	AllowShell bool
	Version    string // shown by info
}

// Network is what a peer talks through. Nil fields mean this host's network.
type Network struct {
	// Transport is called for each memberlist the peer makes in its life.
	Transport func() (memberlist.NodeAwareTransport, error)
	// Listen and Dial are the application's stream connections, TCP on a host.
	// An address is IP:PORT.
	Listen func(addr string) (net.Listener, error)
	Dial   func(ctx context.Context, addr string) (net.Conn, error)
	HTTP   http.RoundTripper
	// Resolve returns the addresses of a host, for what membership joins by name.
	// nil leaves that to memberlist.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Shared is what peers of one process have in common; nil for one alone.
	Shared *membership.Shared
}

// check fills in defaults and says what is wrong with the rest.
func (c *Config) check() error {
	if c.Bind == "" {
		c.Bind = DefaultBind
	}
	if c.Profile == "" {
		c.Profile = DefaultProfile
	}
	if c.EventsKept == 0 {
		c.EventsKept = DefaultEventsKept
	}
	if c.Files == nil {
		c.Files = files.OS{}
	}
	if c.Network.Listen == nil {
		c.Network.Listen = func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	}
	if c.Network.Dial == nil {
		c.Network.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	if c.Log == nil {
		c.Log = logging.New(io.Discard, slog.LevelInfo)
	}
	if err := membership.CheckName(c.Name); err != nil {
		return err
	}
	if c.MaxMembers < 0 {
		return fmt.Errorf("bound of %d members: use 1 or more, or 0 for %d", c.MaxMembers, membership.DefaultMaxMembers)
	}
	if c.QueueWarning < 0 {
		return fmt.Errorf("queue warning at %d messages: use 1 or more, or 0 for none", c.QueueWarning)
	}
	if c.Rejoin < 0 || c.Rejoin > 0 && c.Rejoin < 100*time.Millisecond {
		return fmt.Errorf("rejoin interval %s: use 100ms or more, or 0 to turn rejoin off", c.Rejoin)
	}
	if c.BroadcastRetransmit < 0 || c.BroadcastRetransmit > memberlistconfig.MaxRetransmit {
		return fmt.Errorf("broadcast retransmit %d: use 1 to %d, or 0 for memberlist's RetransmitMult", c.BroadcastRetransmit, memberlistconfig.MaxRetransmit)
	}
	if d := c.BroadcastTombstones; d < 0 || d > 0 && d < time.Second || d > maxTombstones {
		return fmt.Errorf("broadcast tombstones %s: use 1s to %s", d, maxTombstones)
	}
	if c.EventsKept < 0 || c.EventsKept > maxEventsKept {
		return fmt.Errorf("events kept %d: use 1 to %d", c.EventsKept, maxEventsKept)
	}
	if _, err := memberlistconfig.Configure(c.Profile, c.Set); err != nil {
		return err
	}
	if err := membership.CheckAddr("membership", c.Bind); err != nil {
		return err
	}
	if c.App != nil {
		if err := checkAppName(c.App.Name()); err != nil {
			return err
		}
	}
	if app, ok := c.App.(Preparer); ok {
		if err := app.Prepare(c.Files); err != nil {
			return err
		}
	}
	if c.Bootstrap != "" {
		if _, err := c.clients(); err != nil {
			return err
		}
	}
	return nil
}

// clients returns a client for each URL in Bootstrap.
func (c *Config) clients() ([]*bootstrap.Client, error) {
	var clients []*bootstrap.Client
	for u := range strings.SplitSeq(c.Bootstrap, ",") {
		client, err := bootstrap.NewClient(strings.TrimSpace(u), c.Network.HTTP)
		if err != nil {
			return nil, err
		}
		clients = append(clients, client.WithToken(c.BootstrapToken))
	}
	return clients, nil
}
