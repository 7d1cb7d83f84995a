// Package testbed says what every engine can do with a cluster of real peers:
// start, break and question them, and read what they report. Packages below it
// are engines; testbed/docker runs peers in containers.
package testbed

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/netip"
)

// Engine drives one cluster: a bootstrap service and named peers. Where a
// method takes several names it acts on all of them at the same time, and on
// none if one of the names is unknown (ErrNoPeer). The errors of several peers
// are joined, each naming its peer. Bootstrap is a name like any other. All
// methods may be called concurrently and end when their context does.
//
// What an engine does to a peer it records in its history, before it does it
// where the peers could notice.
type Engine interface {
	// Peers returns the bootstrap service, if there is one, and then the peers
	// by name.
	Peers(ctx context.Context) ([]Peer, error)

	// Start starts those that do not run, each at the address it had before.
	// One that runs already is left alone. It returns when the processes run,
	// which is before they have joined.
	Start(ctx context.Context, names ...string) error
	// Stop asks each to leave (SIGTERM) and returns when it has ended; one that
	// has not within ten seconds is killed. It resumes a paused one for that.
	Stop(ctx context.Context, names ...string) error
	// Kill ends each at once (SIGKILL), paused or not. When Stop and Kill have
	// returned, all that the peer reported is in the history.
	Kill(ctx context.Context, names ...string) error
	// Pause freezes each, Resume lets it go on: time passes meanwhile.
	Pause(ctx context.Context, names ...string) error
	Resume(ctx context.Context, names ...string) error
	// Throttle allows each cpus processors, from MinCPUs; 0 lifts the limit.
	Throttle(ctx context.Context, cpus float64, names ...string) error
	// Move gives a peer that does not run (else ErrRunning) an address that
	// nobody has now, for when it is started again, and returns it.
	Move(ctx context.Context, name string) (netip.Addr, error)

	// SetLinks puts links in force instead of what was, all of them at the same
	// instant; empty links heal everything. Links that are like that already are
	// no change, and not recorded. It then measures the pairs whose
	// link has changed, UDP and TCP, and records what was measured: a fault
	// without effect is a *NoEffectError that names the pair, and what cannot
	// be done here at all an ErrUnable before anything changes. Links go by
	// peer: they are in force before a peer starts and still there when it
	// comes back or has moved. When the process that made the cluster is killed
	// they end by themselves.
	SetLinks(ctx context.Context, links Links) error
	// Links returns what is in force.
	Links(ctx context.Context) (Links, error)

	// Exec runs a line in a peer and copies its output to out. A failure of the
	// command is a *CommandError. A peer that is paused, or gets paused, is
	// ErrPaused within two seconds, one that does not run ErrStopped. When ctx
	// ends, the command is cancelled.
	Exec(ctx context.Context, name, line string, in Input, out io.Writer) error

	// History returns what the peers report and the engine did. The engine
	// fills it until Close.
	History() *History

	// Close ends the use of the cluster and waits for what the engine had
	// started. A cluster made for this engine alone is removed.
	Close(ctx context.Context) error
}

// Input is what a line is given besides itself.
type Input struct {
	// Words, if there are any, are the line cut into words, which are not cut
	// again: then the line itself is only shown.
	Words []string
	// Stdin is what its command reads from standard input: UTF-8, at most 1 MiB.
	// Nil is none.
	Stdin *string
	// Columns is the width of the terminal that shows the answer; 0: there is none.
	Columns int
	// Files are what relative names mean to it, by slash-separated path, and
	// nothing else is: UTF-8, at most 1 MiB together. Nil leaves relative names
	// to the peer.
	Files map[string]string
}

// Factory makes clusters of one kind: containers, or peers in one process. Its
// methods may be called concurrently.
type Factory interface {
	// Name is what --engine calls it: docker, sim.
	Name() string
	// Owned returns the settings of a peer that the engine chooses itself, each
	// with the reason.
	Owned() map[string]string
	// Used returns every setting of the peers of s, as in Spec.Settings but with
	// each field of memberlist by its own name: what s says, and what it leaves
	// open. What single peers have of their own is not in it. Of an invalid s it
	// is nil.
	Used(s Spec) map[string]string
	// Create makes a cluster of which nothing runs yet. What package settings
	// finds wrong with s is an error before there is anything.
	Create(ctx context.Context, s Spec) (Engine, error)
	// Check says, wrapping ErrUnable and naming what is missing, why links such
	// as these are impossible here; nil if they are not.
	Check(ctx context.Context, links Links) error
}

// Spec says what cluster a Factory is to make.
type Spec struct {
	// Peers are their names.
	Peers []string
	// Settings of every peer, by the names of the flags of peer run, without
	// dashes: profile, rejoin, set (Field=value,Field=value), …; and Own of
	// single peers, on top.
	Settings map[string]string
	Own      map[string]map[string]string
	// Files are the contents of those that the setting chat-secret-file names,
	// by that name. Others are the peer's own.
	Files map[string]string `json:",omitempty"`
}

// Of returns the settings of one peer.
func (s Spec) Of(peer string) map[string]string {
	all := make(map[string]string)
	maps.Copy(all, s.Settings)
	maps.Copy(all, s.Own[peer])
	return all
}

// MinCPUs is the least that Throttle allows a peer.
const MinCPUs = 0.01

// Errors that engines wrap. The text around them says which peer and what to
// do about it.
var (
	ErrNoPeer  = errors.New("no such peer")
	ErrPaused  = errors.New("is paused")
	ErrStopped = errors.New("does not run")
	ErrRunning = errors.New("runs")
	// ErrUnable says that an engine or its host cannot do what was asked.
	ErrUnable = errors.New("cannot be done here")
)

// NoEffectError says that a fault was applied and, as was measured, does not do
// what it should. Nothing that follows can be believed.
type NoEffectError struct {
	Pair   Pair
	Detail string // what was asked for and what was measured, naming the pair
}

// Error says what was measured.
func (e *NoEffectError) Error() string { return e.Detail }

// CommandError is the failure of a command that a peer ran.
type CommandError struct {
	Peer    string
	Message string // what the peer said of it, one line
}

// Error names the peer and says what it said.
func (e *CommandError) Error() string { return e.Peer + ": " + e.Message }

// State is what a peer's process does.
type State string

// The states of a peer.
const (
	Running State = "running"
	Paused  State = "paused"
	Stopped State = "stopped" // has ended, in whatever way, or not begun
)

// Peer is one member of the cluster as the engine sees it: whether it has
// joined is for the peers to tell.
type Peer struct {
	Name  string     `json:"name"`
	State State      `json:"state"`
	Addr  netip.Addr `json:"addr"` // where it is, or will be when it is started
	// Exit is the status with which a stopped one ended, 137 for SIGKILL.
	Exit int `json:"exit,omitempty"`
	// Reason is why it ended, where that is known and nobody had asked for it:
	// OutOfMemory. Of one that runs it is why nobody can reach it: NoNetwork.
	Reason string `json:"reason,omitempty"`
}

// OutOfMemory is the reason for the end of a peer that took more memory than it
// may: the kernel killed it.
const OutOfMemory = "killed: out of memory"

// NoNetwork is what is the matter with a peer that runs and was taken off the
// network of its cluster.
const NoNetwork = "runs, on no network"
