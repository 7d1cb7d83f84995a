package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"peerlab/bootstrap"
	"peerlab/peer/membership"
	"peerlab/testbed"
)

// layerCommands bring the layers of a peer up and down. chat stop is not one of
// them: it is there to tell nobody.
var layerCommands = []string{
	"membership create", "membership start", "membership join", "membership leave", "membership shutdown",
	"membership shutdown-transport", "membership delete", "chat join", "chat leave",
	"bootstrap join", "bootstrap leave", "init",
}

// stateSettings make the others notice soon what a peer did.
var stateSettings = map[string]string{
	"profile": "local", "rejoin": "1s",
	"set": "ProbeInterval=500ms,ProbeTimeout=200ms,PushPullInterval=2s,SuspicionMult=2,RetransmitMult=4,GossipToTheDeadTime=4s",
}

// What a peer says of itself agrees with what the others see of it, after every
// order of two and of three of the commands that bring its layers up and down;
// and where init succeeds then, everything is up for everybody.
func TestStatesAgree(t *testing.T) {
	for _, bare := range []bool{false, true} {
		for _, first := range layerCommands {
			t.Run(fmt.Sprintf("bare=%t/%s", bare, first), func(t *testing.T) {
				t.Parallel()
				err := Run(t.Context(), 1, func(ctx context.Context, factory testbed.Factory) error {
					own := map[string]map[string]string{"alice": {"bare": strconv.FormatBool(bare)}}
					engine, err := factory.Create(ctx, testbed.Spec{Peers: testbed.Names(3), Settings: stateSettings, Own: own})
					if err != nil {
						return err
					}
					w := stateWalk{Cluster: engine.(*Cluster), ctx: ctx, bare: bare}
					if err := errors.Join(w.Start(ctx, testbed.Bootstrap), w.Start(ctx, testbed.Names(3)...)); err != nil {
						return err
					}
					time.Sleep(1500 * time.Millisecond)
					return w.walk(first)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// stateWalk is a cluster in which alice goes from state to state.
type stateWalk struct {
	*Cluster
	ctx  context.Context
	bare bool // alice begins with nothing but a configuration
}

// walk tries the lines, and then, up to three or with -short two, those with each
// of the other commands behind them. What follows a command that was refused is another order
// without it.
func (w stateWalk) walk(lines ...string) error {
	refused, err := w.try(lines)
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(lines, ", "), err)
	}
	most := 3
	if testing.Short() {
		most = 2
	}
	for _, next := range layerCommands {
		if refused || len(lines) == most || slices.Contains(lines, next) {
			continue
		}
		if err := w.walk(append(slices.Clone(lines), next)...); err != nil {
			return err
		}
	}
	return nil
}

// try runs the lines in alice, compares, and brings her up again. It says whether
// the last line was refused, and what does not agree.
func (w stateWalk) try(lines []string) (refused bool, err error) {
	if w.bare {
		if err := errors.Join(w.Stop(w.ctx, "alice"), w.Start(w.ctx, "alice")); err != nil {
			return false, err
		}
		if _, err := w.exec("alice", "membership configure"); err != nil {
			return false, err
		}
	}
	for _, line := range lines {
		_, err := w.exec("alice", line)
		refused = err != nil
		time.Sleep(300 * time.Millisecond)
	}
	time.Sleep(2500 * time.Millisecond) // what a death takes to be found
	if err := w.settle(w.agrees); err != nil {
		return refused, err
	}
	if _, err := w.exec("alice", "init"); err != nil {
		return refused, fmt.Errorf("init: %w", err)
	}
	if err := w.settle(w.isUp); err != nil {
		return refused, fmt.Errorf("after init: %w", err)
	}
	return refused, nil
}

func (w stateWalk) exec(name, line string) (string, error) {
	var out bytes.Buffer
	err := w.Exec(w.ctx, name, line, testbed.Input{}, &out)
	return out.String(), err
}

// read runs a line and decodes what it shows.
func (w stateWalk) read(name, line string, into any) error {
	text, err := w.exec(name, line+" -format json")
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), into)
}

// settle waits until check finds nothing, for twenty seconds at the most.
func (w stateWalk) settle(check func() error) error {
	var err error
	for range 40 {
		if err = check(); err == nil {
			return nil
		}
		time.Sleep(500 * time.Millisecond)
	}
	return err
}

// seenState is what one peer shows.
type seenState struct {
	ready   bool // by peer run health, info and health alike
	joined  bool // the chat, by info
	members map[string]membership.Member
	chat    []string
}

func (s seenState) online() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.members)) {
		if s.members[name].Online() {
			names = append(names, name)
		}
	}
	return names
}

// look asks a peer for all that it says of itself.
func (w stateWalk) look(name string) (s seenState, err error) {
	var info struct {
		Ready, Joined bool
		Membership    string
		Members       map[string]int
	}
	if err := w.read(name, "info", &info); err != nil {
		return s, err
	}
	s.ready, s.joined, s.members = info.Ready, info.Joined, map[string]membership.Member{}
	var health struct{ Ready bool }
	_ = w.read(name, "health", &health) // it has nothing to say without a membership
	var list []membership.Member
	hasTable := w.read(name, "members", &list) == nil
	counts := map[string]int{}
	for _, m := range list {
		s.members[m.Name] = m
		counts[string(m.State)]++
	}
	var chat []struct{ Name string }
	_ = w.read(name, "chat members", &chat)
	for _, m := range chat {
		s.chat = append(s.chat, m.Name)
	}
	w.members[name].mu.Lock()
	peer := w.members[name].instance
	w.members[name].mu.Unlock()
	nothing := len(list) == 0 && info.Membership == "not created" // then a bare peer is healthy as it is
	switch healthy := peer.Ready() == nil; {
	case info.Ready != health.Ready, healthy != info.Ready && !nothing:
		return s, fmt.Errorf("%s: info says ready %t, health %t, and healthy is %t", name, info.Ready, health.Ready, healthy)
	case !maps.Equal(counts, info.Members):
		return s, fmt.Errorf("%s: info counts %v, members %v", name, info.Members, counts)
	case hasTable != slices.Contains([]string{"up", "left", "without network"}, info.Membership):
		return s, fmt.Errorf("%s: info says membership %s, there is a table of members %t", name, info.Membership, hasTable)
	case info.Ready && info.Membership != "up":
		return s, fmt.Errorf("%s: ready, with membership %s", name, info.Membership)
	case info.Joined && info.Membership != "up" && info.Membership != "without network":
		return s, fmt.Errorf("%s: in the chat, with membership %s", name, info.Membership)
	case !info.Joined && len(chat) > 0:
		return s, fmt.Errorf("%s: not in the chat, with %v", name, chat)
	}
	return s, nil
}

// agrees says where alice and the others differ about her.
func (w stateWalk) agrees() error {
	alice, err := w.look("alice")
	if err != nil {
		return err
	}
	data := map[string]bootstrap.Peer{}
	if err := w.read("bob", "bootstrap list", &data); err != nil {
		return err
	}
	listed := false
	for _, p := range data {
		listed = listed || p.Name == "alice"
	}
	for _, name := range []string{"bob", "charly"} {
		other, err := w.look(name)
		if err != nil {
			return err
		}
		m := other.members["alice"]
		if alice.ready != m.Online() {
			return fmt.Errorf("alice says ready %t, %s holds her %q", alice.ready, name, m.State)
		}
		if alice.ready && !slices.Equal(alice.online(), other.online()) {
			return fmt.Errorf("alice sees %v, %s %v", alice.online(), name, other.online())
		}
		if self := alice.members["alice"]; self.State == membership.Left && m.State == membership.Dead {
			return fmt.Errorf("alice says she has left, %s holds her %q", name, m.State)
		}
		if got := slices.Contains(other.chat, "alice"); got != (alice.ready && alice.joined) {
			return fmt.Errorf("alice says ready %t and in the chat %t; %s sees in the chat %v", alice.ready, alice.joined, name, other.chat)
		}
		if slices.Contains(other.chat, "alice") != slices.Contains(alice.chat, name) && alice.ready {
			return fmt.Errorf("in alice's chat are %v, in %s's %v", alice.chat, name, other.chat)
		}
		if !alice.ready && len(alice.chat) > 0 && len(alice.online()) <= 1 {
			return fmt.Errorf("alice says that in the chat are %v, and sees nobody online", alice.chat)
		}
		if registered := m.Meta["boot"] != ""; alice.ready && registered != listed {
			return fmt.Errorf("alice tells %s registered %t, the service has her %t", name, registered, listed)
		}
	}
	return nil
}

// isUp says what of alice is not up.
func (w stateWalk) isUp() error {
	alice, err := w.look("alice")
	if err != nil {
		return err
	}
	if !alice.ready || !alice.joined || len(alice.online()) != 3 || len(alice.chat) != 2 {
		return fmt.Errorf("alice says ready %t, in the chat %t, online %v, chat %v", alice.ready, alice.joined, alice.online(), alice.chat)
	}
	return w.agrees()
}

// Who sees the first event of a peer finds its layers up.
func TestCommandsRightAfterTheStart(t *testing.T) {
	for _, bare := range []string{"false", "true"} {
		for seed := range uint64(50) {
			err := Run(t.Context(), seed, func(ctx context.Context, factory testbed.Factory) error {
				engine, err := factory.Create(ctx, testbed.Spec{Peers: testbed.Names(1), Settings: map[string]string{"bare": bare}})
				if err != nil {
					return err
				}
				w := stateWalk{Cluster: engine.(*Cluster), ctx: ctx}
				if err := errors.Join(w.Start(ctx, testbed.Bootstrap), w.Start(ctx, "alice")); err != nil {
					return err
				}
				if bare == "true" {
					created := make(chan error, 1)
					go func() {
						_, err := w.exec("alice", "init")
						created <- err
					}()
					defer func() { <-created }()
					l := &lab{t, ctx, engine, testbed.Names(1)}
					l.await(time.Minute, "alice sees herself", func(v view) bool { return v["alice"]["alice"] == "alive" })
				}
				for _, line := range []string{"members", "membership show", "broadcast add k v", "health", "init"} {
					if _, err := w.exec("alice", line); err != nil {
						return fmt.Errorf("%s: %w", line, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatalf("bare=%s: %v", bare, err)
			}
		}
	}
}

// Peers are found by their names, as in containers.
func TestJoinByName(t *testing.T) {
	simulate(t, 3, map[string]string{"bare": "true", "profile": "local"}, func(l *lab) {
		w := stateWalk{Cluster: l.Engine.(*Cluster), ctx: l.ctx}
		l.must(l.Start(l.ctx, "alice", "bob"))
		for _, name := range []string{"alice", "bob"} {
			for _, line := range []string{"membership configure", "membership create", "membership start"} {
				_, err := w.exec(name, line)
				l.must(err)
			}
		}
		for line, want := range map[string]string{
			"membership join bob:7946":     "1 answered",
			"membership join bob":          "1 answered",
			"membership join bob/bob:7946": "1 answered",
			"membership join charly:7946":  "no such host",
			"membership join nobody":       "no such host",
		} {
			out, err := w.exec("alice", line)
			if !strings.Contains(out+fmt.Sprint(err), want) {
				t.Errorf("%s: %q, %v, want %q", line, out, err, want)
			}
		}
	})
}

// A dead member that memberlist has forgotten is not forgotten by members -all.
func TestMembersShowsWhoIsGone(t *testing.T) {
	simulate(t, 3, map[string]string{"profile": "local"}, func(l *lab) {
		w := stateWalk{Cluster: l.Engine.(*Cluster), ctx: l.ctx}
		l.up()
		l.must(l.Kill(l.ctx, "charly"))
		time.Sleep(2 * time.Minute)
		var rows []struct {
			Name, State, Was string
			Since            time.Time
			Forgotten        *time.Time
		}
		l.must(w.read("alice", "members -all", &rows))
		if len(rows) != 3 || rows[2].State != "gone" || rows[2].Was != "dead" || rows[1].Forgotten != nil ||
			rows[2].Forgotten == nil || time.Since(rows[2].Since) < time.Minute || rows[2].Since.After(*rows[2].Forgotten) {
			t.Errorf("%+v", rows)
		}
		for line, want := range map[string]string{
			"members -all":               `(?m)^charly +10\.77\.0\.13:7946 +gone, was dead +1 +1m`,
			"members -status gone":       `^NAME.*\ncharly .*\n<nil>`,
			"members charly":             `knows no "charly" any more: it was dead and is forgotten since .*members -all`,
			"reachability charly":        `knows no "charly" any more`,
			"members":                    `^NAME.*\nalice.*\nbob.*\n<nil>`,
			"members -all charly":        `charly`,
			"members -all -status alive": `^NAME.*\nalice.*\nbob.*\n<nil>`,
		} {
			out, err := w.exec("alice", line)
			if got := out + fmt.Sprint(err); !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%s: %s\nwant %s", line, got, want)
			}
		}
		l.must(l.Start(l.ctx, "charly"))
		l.await(time.Minute, "charly is back", func(v view) bool { return v.all([]string{"alice"}, "alive", []string{"charly"}) })
		if out, err := w.exec("alice", "members -status gone"); err != nil || strings.Contains(out, "charly") {
			t.Errorf("%s, %v", out, err)
		}
	})
}
