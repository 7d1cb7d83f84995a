package peer

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"peerlab/event"
)

// allKinds stands for every kind.
const allKinds = "all"

// kindFilter is the value of -kind: kinds, or what is before the dot in them,
// separated by commas. The empty one shows all but peer.traffic.
type kindFilter []string

func (k *kindFilter) String() string { return strings.Join(*k, ",") }

func (k *kindFilter) Set(s string) error {
	for _, name := range strings.Split(s, ",") {
		if name != allKinds && !slices.ContainsFunc(event.Kinds(), func(kind event.Kind) bool { return matchesKind(name, kind) }) {
			return fmt.Errorf("there is no kind %q: say %s, or what is before the dot, such as member", name, allKinds)
		}
		*k = append(*k, name)
	}
	return nil
}

// shows reports whether events of a kind pass.
func (k *kindFilter) shows(kind event.Kind) bool {
	if len(*k) == 0 {
		return kind != event.PeerTraffic
	}
	return slices.ContainsFunc(*k, func(name string) bool { return name == allKinds || matchesKind(name, kind) })
}

func matchesKind(name string, kind event.Kind) bool {
	return name == string(kind) || strings.HasPrefix(string(kind), name+".")
}

// kindFlag adds -kind.
func kindFlag(fs *flag.FlagSet) *kindFilter {
	k := &kindFilter{}
	fs.Var(k, "kind", "only these `kinds`, such as member,chat.sent; all has also "+string(event.PeerTraffic))
	return k
}

// kindValues are the candidates for the value of -kind.
func kindValues() map[string][]string {
	values := []string{allKinds}
	for _, kind := range event.Kinds() {
		layer, _, _ := strings.Cut(string(kind), ".")
		values = append(values, layer, string(kind))
	}
	return map[string][]string{"kind": values}
}

// sinceFlag is the value of -since.
type sinceFlag struct {
	ago time.Duration
	at  time.Time
}

func (s *sinceFlag) String() string { return "" }

func (s *sinceFlag) Set(text string) error {
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		*s = sinceFlag{at: at}
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return errors.New("write a duration such as 5m, or a time such as 2026-11-23T12:37:38Z")
	}
	*s = sinceFlag{ago: d}
	return nil
}

// time returns the earliest time shown, zero for any.
func (s *sinceFlag) time(now time.Time) time.Time {
	if s.ago > 0 {
		return now.Add(-s.ago)
	}
	return s.at
}
