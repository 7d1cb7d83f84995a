// Package adapter knows how peers of one kind of image are started, spoken to
// and understood, so that the lab can run peers that are not its own.
//
// To add one: implement Adapter and name it in All. The lab gives each peer a
// name, an address that stays, and the addresses of others to contact; it reads
// what the peer writes to standard output, which Docker keeps through a
// SIGKILL, and runs programs of the image beside it.
package adapter

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/internal/suggest"
	"peerlab/testbed"
)

// Adapter is how the lab deals with peers of one kind. It has no state.
type Adapter interface {
	// Name is what --adapter calls it.
	Name() string
	// Bootstrap says whether peers need the bootstrap service.
	Bootstrap() bool
	// Start says how a peer's container is started, so that the peer joins the
	// others by itself, each time it is.
	Start(p Peer) (Container, error)
	// Line says what, run in the container, runs a line in the peer.
	Line(line string, in testbed.Input) (Line, error)
	// Shell is the command that opens a shell in the peer, nil if it has none.
	Shell() []string
	// Decoder returns what understands one peer's output, from its beginning.
	Decoder(peer string) Decoder
	// Stamped says whether a Decoder needs to know when Docker got a line. Such
	// lines must be shorter than 16 KiB.
	Stamped() bool
}

// Decoder makes an event of a line of standard output, if it tells of one. Events without a Seq are numbered by who calls it, from 1
// at each PeerStarted. It is called for the lines in order, once each.
type Decoder func(at time.Time, line []byte) (e event.Event, tells bool, err error)

// Peer is what an adapter is told of one to be started.
type Peer struct {
	Name string
	// Service is the address of the bootstrap service, where there is one.
	Service netip.Addr
	// Others are the first peers of the cluster, by name, without this one. A
	// name is a host name, too.
	Others []string
	// Settings are those of the peer by the names of the flags of peer run,
	// without dashes. An adapter refuses what it does not know.
	Settings map[string]string
}

// Line is a command that runs a line in a peer.
type Line struct {
	Command []string
	// Stdin is what it reads. The input ends only when whoever asked for the
	// line has its answer, or no longer wants it. Nil is no standard input.
	Stdin []byte
	// Unanswered is the status with which it ends where no peer answers, or the
	// peer ends meanwhile; 0 if there is none.
	Unanswered int
}

// Container is how it is started.
type Container struct {
	// Command follows the entrypoint of the image; nil is the image's own.
	Command []string
	// Env adds to the environment.
	Env map[string]string
	// Tmpfs are file systems in memory, by where they are, with their options.
	Tmpfs map[string]string
	// StopSignal has the peer leave; SIGTERM if empty.
	StopSignal string
	// Memory, in bytes, and PIDs, processes and threads, are what a peer of this
	// kind needs at most; 0 is as much as one of ours.
	Memory, PIDs int64
}

// All returns the adapters there are; the first is for images of peerlab
// itself, and the default.
func All() []Adapter { return []Adapter{Own{}, Serf{}} }

// Names returns the names of All.
func Names() (names []string) {
	for _, a := range All() {
		names = append(names, a.Name())
	}
	return names
}

// Named returns the adapter with a name, the default one for "".
func Named(name string) (Adapter, error) {
	if name == "" {
		return All()[0], nil
	}
	for _, a := range All() {
		if a.Name() == name {
			return a, nil
		}
	}
	hint := "there are " + strings.Join(Names(), ", ")
	if near := suggest.Similar(name, Names()); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, ", ") + "?"
	}
	return nil, fmt.Errorf("no adapter %q: %s", name, hint)
}
