package peer_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"peerlab/event"
	"peerlab/peer/command"
)

// typeLine runs a line as a person types it in a shell.
func (r *running) typeLine(line string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
	defer cancel()
	ctx = command.WithCaller(ctx, command.Caller{Shell: "one"})
	var out bytes.Buffer
	if err := r.Commands().RunLine(ctx, line, nil, &out); err != nil {
		r.t.Fatalf("%s: %q: %v", r.Name(), line, err)
	}
	return out.String()
}

// With chatmode slash only a line that begins with a slash is a command, in a
// shell: whatever else talks to the peer goes on as before.
func TestChatmodeSlash(t *testing.T) {
	p := start(t, config("p", nil))
	p.awaitKind(event.PeerReady, "")
	if out := p.typeLine("set chatmode slash"); !strings.Contains(out, "/set chatmode off ends that") {
		t.Errorf("it says %q", out)
	}
	for _, text := range []string{"help me please", "quit", "exit strategy", "#1"} {
		p.typeLine(text)
		if e := p.await(0, text, func(e event.Event) bool { return e.Kind == event.ChatSent && e.Text == text }); e.Shell != "one" {
			t.Errorf("%q was said in %q", text, e.Shell)
		}
	}
	if _, err := p.exec("set chatmode nonsense"); err == nil || !strings.Contains(err.Error(), "on, off, slash") {
		t.Errorf("a mode that there is not: %v", err)
	}
	if out := p.typeLine("/members"); !strings.Contains(out, "INCARNATION") {
		t.Errorf("/members: %q", out)
	}
	if out := p.mustExec("members"); !strings.Contains(out, "INCARNATION") {
		t.Errorf("members by a program: %q", out)
	}
	p.typeLine("/set chatmode off")
	if out := p.typeLine("echo over"); out != "over\n" {
		t.Errorf("afterwards: %q", out)
	}
}

func TestCompletionOfSet(t *testing.T) {
	p := start(t, config("p", nil))
	p.mustExec("set greeting hello")
	for line, want := range map[string]string{
		"set ": "chatmode greeting", "set ch": "chatmode", "set chatmode ": "off on slash", "set greeting ": "", "echo $g": "$greeting",
		"bootstrapj": "bootstrapjoin", "memberlistc": "memberlistconfigure memberlistcreate", "events -kind member.l": "member.left",
	} {
		if got, _ := p.Commands().Complete(line); strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// A message to nobody says so, and the history says when.
func TestMessageToNobody(t *testing.T) {
	p := start(t, config("p", nil))
	p.awaitKind(event.PeerReady, "")
	const alone = "nobody else is in the chat to read it now\n"
	for line, want := range map[string]string{"msg hello": alone, "msg -wait hello": alone} {
		if out := p.mustExec(line); out != want {
			t.Errorf("%s: %q, want %q", line, out, want)
		}
	}
	if out := p.mustExec("msg -format json hello"); strings.Contains(out, "nobody") {
		t.Errorf("in JSON: %q", out)
	}
	p.mustExec("msg last")
	out := p.mustExec("chat history -n 1")
	clock, text, _ := strings.Cut(strings.TrimSuffix(out, "\n"), " ")
	if _, err := time.Parse(time.TimeOnly, clock); err != nil || text != "<p> last" {
		t.Errorf("chat history -n 1: %q, %v", out, err)
	}
	if n := strings.Count(p.mustExec("chat history"), "<p> hello"); n != 3 {
		t.Errorf("chat history has %d of 3 messages", n)
	}
}

func TestEventsOfAKind(t *testing.T) {
	p := start(t, config("p", nil))
	p.awaitKind(event.PeerReady, "")
	p.Events().Emit(event.Event{Kind: event.PeerTraffic, Packets: 7, Streams: 2, Bytes: 900})
	p.Events().Emit(event.Event{Kind: event.PeerQueues, Dropped: 3})
	p.Events().Emit(event.Event{Kind: event.PeerHealth, Health: 1, Time: time.Now().Add(-time.Hour)})
	p.mustExec("msg hello")
	for _, tc := range []struct {
		line      string
		has, lack []string
	}{
		{"events -n 1000", []string{"peer.ready", "chat.sent", "peer.health"}, []string{"peer.traffic", "peer.queues"}},
		{"events -kind peer -n 1000", []string{"peer.ready"}, []string{"peer.traffic", "peer.queues", "chat.sent"}},
		{"events -kind all -n 1000", []string{"peer.ready", "peer.traffic", "peer.queues", "chat.sent"}, nil},
		{"events -kind other.kind -n 1000", nil, []string{"kind"}}, // of an application
		{"events -kind chat,peer.traffic", []string{"chat.sent", "peer.traffic"}, []string{"peer.ready"}},
		{"events -since 10m", []string{"chat.sent", "peer.ready"}, []string{"peer.health"}},
		{"events -since 2999-01-01T00:00:00Z", nil, []string{"kind"}},
		{"events -since 10m -n 0", nil, []string{"kind"}},
	} {
		out := p.mustExec(tc.line)
		for _, kind := range tc.has {
			if !strings.Contains(out, kind) {
				t.Errorf("%s does not show %s:\n%s", tc.line, kind, out)
			}
		}
		for _, kind := range tc.lack {
			if strings.Contains(out, kind) {
				t.Errorf("%s shows %s:\n%s", tc.line, kind, out)
			}
		}
	}
	for _, line := range []string{"events -kind membr", "events -since yesterday", "events -since -5m", "events -n -1"} {
		if out, err := p.exec(line); err == nil {
			t.Errorf("%s: %q", line, out)
		}
	}
}

// monitor shows the figures of an event, and the traffic only if asked.
func TestMonitorHasFigures(t *testing.T) {
	p := start(t, config("p", nil))
	p.awaitKind(event.PeerReady, "")
	watch := func(line, want string) string {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out := &lines{want: want, seen: make(chan struct{})}
		done := make(chan error, 1)
		go func() { done <- p.Commands().RunLine(ctx, line, nil, out) }()
		timeout := time.NewTimer(20 * time.Second)
		defer timeout.Stop()
		for { // it follows from some time on
			p.Events().Emit(event.Event{Kind: event.PeerTraffic, Packets: 7, Streams: 2, Bytes: 900})
			p.Events().Emit(event.Event{Kind: event.PeerQueues, Dropped: 3})
			p.Events().Emit(event.Event{Kind: event.PeerHealth, Health: 1})
			select {
			case <-out.seen:
				cancel()
				if err := <-done; err != nil {
					t.Errorf("%s: %v", line, err)
				}
				return out.text()
			case <-time.After(10 * time.Millisecond):
			case <-timeout.C:
				t.Fatalf("%s did not show %q, but\n%s", line, want, out.text())
			}
		}
	}
	if out := watch("monitor", "health 1"); strings.Contains(out, "peer.traffic") || strings.Contains(out, "peer.queues") {
		t.Errorf("traffic that nobody asked for:\n%s", out)
	}
	watch("monitor -kind peer.traffic", "7 packets  2 streams  900 bytes")
	watch("monitor -kind peer.queues", "3 dropped")
	if out := watch("events -follow -n 0", `"kind":"peer.health"`); strings.Contains(out, "peer.traffic") || strings.Contains(out, "peer.queues") {
		t.Errorf("traffic that nobody asked for:\n%s", out)
	}
	watch("events -follow -n 0 -kind all", `"packets":7`)
}
