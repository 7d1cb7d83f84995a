package adapter

import (
	"errors"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/peer/control"
	"peerlab/testbed"
)

// Own is for images whose program is peer, Dockerfile.peer's or one with
// commands of somebody's own.
type Own struct{}

// Name implements Adapter.
func (Own) Name() string { return "peer" }

// Bootstrap implements Adapter.
func (Own) Bootstrap() bool { return true }

// Start implements Adapter. The settings are those of peer run; they are for
// the caller to check.
func (Own) Start(p Peer) (Container, error) {
	env := map[string]string{"PEER_NAME": p.Name, "PEER_BOOTSTRAP": "http://" + p.Service.String() + ":8080"}
	for key, value := range p.Settings {
		env["PEER_"+strings.ToUpper(strings.ReplaceAll(key, "-", "_"))] = value
	}
	return Container{Env: env, Tmpfs: map[string]string{"/run/peer": "uid=65532,gid=65532,mode=0700"}}, nil
}

// Line implements Adapter. The line is not among the arguments, which are in
// Docker's events and in the host's list of processes.
func (Own) Line(line string, in testbed.Input) (Line, error) {
	request := control.Request{Words: in.Words, Stdin: in.Stdin, Files: in.Files, Hold: true}
	if len(in.Words) == 0 {
		request.Line = &line
	}
	body, err := request.Encode()
	return Line{Command: []string{"/peer", "exec", "-"}, Stdin: body, Unanswered: control.StatusNoPeer}, err
}

// Shell implements Adapter.
func (Own) Shell() []string { return []string{"/peer", "attach"} }

// Stamped implements Adapter.
func (Own) Stamped() bool { return false }

// Decoder implements Adapter.
func (Own) Decoder(string) Decoder {
	return func(_ time.Time, line []byte) (event.Event, bool, error) {
		e, err := event.Decode(line)
		if err == nil && e.Seq == 0 {
			err = errors.New("parse event line: no number seq")
		}
		return e, err == nil, err
	}
}
