package adapter

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/peer/command"
	"peerlab/testbed"
)

// Serf is for images whose entrypoint is /serf, the program of HashiCorp's
// Serf: Dockerfile.serf makes one. A peer is a serf agent; the lines it runs
// are serf's own commands, such as members -format=json or event deploy v2.
//
// Its agent tells what it observes in its log, as serf monitor shows it. Of
// suspicion that tells half only, never that it has passed; so there are no
// events of that.
type Serf struct{}

const gossipPort = 7946

// Name implements Adapter.
func (Serf) Name() string { return "serf" }

// Bootstrap implements Adapter: agents are told of each other.
func (Serf) Bootstrap() bool { return false }

// Start implements Adapter. It knows the setting profile.
func (Serf) Start(p Peer) (Container, error) {
	profile := "local"
	for _, key := range slices.Sorted(maps.Keys(p.Settings)) {
		if key != "profile" {
			return Container{}, fmt.Errorf("serf has no setting %q: there is profile", key)
		}
		profile = p.Settings[key]
	}
	if known := []string{"lan", "local", "wan"}; !slices.Contains(known, profile) {
		return Container{}, fmt.Errorf("serf has no profile %q: there are %s", profile, strings.Join(known, ", "))
	}
	command := []string{
		"agent", "-node=" + p.Name, "-bind=" + port("0.0.0.0"), "-profile=" + profile,
		"-retry-interval=1s", // the shortest it allows
	}
	for _, other := range p.Others {
		command = append(command, "-retry-join="+port(other))
	}
	// Serf leaves on SIGINT; on SIGTERM only if a file says so.
	return Container{Command: command, StopSignal: "SIGINT"}, nil
}

func port(host string) string { return net.JoinHostPort(host, strconv.Itoa(gossipPort)) }

// Line implements Adapter. No command of serf reads standard input.
func (Serf) Line(line string, in testbed.Input) (Line, error) {
	words := in.Words
	if len(words) == 0 {
		var err error
		if words, err = command.Split(line); err != nil {
			return Line{}, err
		}
	}
	if len(words) == 0 {
		return Line{}, errors.New("nothing to run: the line is empty")
	}
	if in.Stdin != nil && *in.Stdin != "" {
		return Line{}, errors.New("no command of serf reads standard input: leave it out")
	}
	return Line{Command: append([]string{"/serf"}, words...)}, nil
}

// Shell implements Adapter.
func (Serf) Shell() []string { return nil }

// serfSays matches what the log tells of a member.
var serfSays = regexp.MustCompile(`^\s*\S+ \S+ \[[A-Z]+\] serf: (EventMember\w+)(?: \(forced\))?: (\S+)(?: (\S+))?$`)

// Names of kinds in the log, and what the member is from then on.
var serfKinds = map[string]struct {
	kind  event.Kind
	state string
}{
	"EventMemberJoin":   {event.MemberJoin, "alive"},
	"EventMemberUpdate": {event.MemberUpdate, "alive"},
	"EventMemberFailed": {event.MemberDead, "dead"},
	"EventMemberLeave":  {event.MemberLeft, "left"},
	"EventMemberReap":   {event.MemberReap, ""},
}

// Stamped implements Adapter.
func (Serf) Stamped() bool { return true }

// Decoder implements Adapter.
func (Serf) Decoder(peer string) Decoder {
	state := make(map[string]string)
	return func(at time.Time, line []byte) (event.Event, bool, error) {
		e := event.Event{Time: at, Peer: peer}
		text := bytes.TrimSpace(line)
		switch {
		case bytes.Equal(text, []byte("==> Starting Serf agent...")):
			clear(state)
			e.Kind = event.PeerStarted
			return e, true, nil
		case bytes.HasPrefix(text, []byte("==> Caught signal: ")):
			e.Kind, e.Reason = event.PeerStopping, strings.TrimPrefix(string(text), "==> ")
			return e, true, nil
		}
		said := serfSays.FindSubmatch(line)
		if said == nil {
			return e, false, nil
		}
		means, known := serfKinds[string(said[1])]
		if !known {
			return e, false, nil
		}
		e.Kind, e.Member = means.kind, string(said[2])
		if len(said[3]) > 0 {
			e.Addr = port(string(said[3]))
		}
		e.Was = state[e.Member]
		state[e.Member] = means.state
		if means.state == "" {
			delete(state, e.Member)
		}
		return e, true, nil
	}
}
