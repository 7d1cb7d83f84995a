package membership

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
)

// rumor is a broadcast whose message costs nothing.
type rumor struct {
	memberlist.Broadcast
	message []byte
}

func (f rumor) Message() []byte { return f.message }
func (rumor) UniqueBroadcast()  {}

// text is a broadcast that replaces one of the same name.
type text struct {
	name string
	text string
}

func (t text) Name() string                          { return t.name }
func (t text) Message() []byte                       { return []byte(t.text) }
func (t text) Finished()                             {}
func (t text) Invalidates(memberlist.Broadcast) bool { return false }

// What waits in a queue is read from memberlist's private types: this fails when
// their layout changes.
func TestQueueIsReadAsMemberlistKeepsIt(t *testing.T) {
	theirs := &memberlist.TransmitLimitedQueue{NumNodes: func() int { return 1 }, RetransmitMult: 3}
	q, err := openQueue(theirs)
	if err != nil {
		t.Fatal(err)
	}
	read := func() (all []queued) {
		q.each(func(m *queued) { all = append(all, *m) })
		return all
	}
	if got := read(); got != nil {
		t.Errorf("an empty queue has %+v", got)
	}
	theirs.QueueBroadcast(text{"a", "first"})
	theirs.QueueBroadcast(text{"b", "second"})
	theirs.QueueBroadcast(text{"a", "third"})
	theirs.GetBroadcasts(0, len("second")) // sends this one
	want := []queued{
		{0, 5, 3, text{"a", "third"}, "a"},
		{1, 6, 2, text{"b", "second"}, "b"},
	}
	if got := read(); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestOwnQueueHasThisPeer(t *testing.T) {
	m := create(t, Options{})
	q, err := openQueue(m.table.queue)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	q.each(func(m *queued) { kinds = append(kinds, kindOf(m)) })
	if !slices.Equal(kinds, []string{"alive"}) {
		t.Errorf("it has %q", kinds)
	}
}

// valued is a channel with a queue.
type valued struct {
	Channel
	queue memberlist.TransmitLimitedQueue
}

func (v *valued) Queue() (string, *memberlist.TransmitLimitedQueue) { return "broadcast", &v.queue }

func TestQueueMonitor(t *testing.T) {
	one := func() int { return 1 }
	own, values := &memberlist.TransmitLimitedQueue{NumNodes: one, RetransmitMult: 1}, &valued{}
	values.queue.NumNodes, values.queue.RetransmitMult = one, 1
	log := event.NewLog("me", 100)
	m := &queueMonitor{warning: 1, log: log}
	if err := m.open(own, map[byte]Channel{'k': values, 'x': nil}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	sample := func(second float64) { m.sample(began.Add(time.Duration(second * float64(time.Second)))) }
	sample(0)
	m.tell() // nothing

	values.queue.QueueBroadcast(text{"k", "v"})
	sample(1)
	own.QueueBroadcast(text{"a", "\x04alive"})
	own.QueueBroadcast(text{"b", "\x03suspect"})
	sample(2)
	own.QueueBroadcast(text{"b", "\x05dead"})
	sample(3)
	m.noteLog("handler queue full, dropping message (4) from=1.2.3.4:5")
	m.noteLog("Suspect bob has failed, no acks received")
	sample(4) // the third in which membership has more than 1
	own.Reset()
	m.tell()

	sample(5)
	m.tell() // broadcast goes on
	sample(60)
	sample(61) // as after a pause of this process: told apart from the others
	values.queue.Reset()
	sample(90)
	m.tell() // nothing since

	events, _ := log.Since(0)
	var got []string
	for _, e := range events {
		got = append(got, strings.TrimSpace(strings.Join([]string{string(e.Kind), e.Text}, " ")))
	}
	want := []string{
		"peer.backlog membership",
		"peer.queues alive=0,1,1,1/2 broadcast=1,1,1,1/3 dead=0,0,1,1/1 suspect=0,1,0,0/0",
		"peer.queues broadcast=1/4",
		"peer.queues broadcast=1,1/60",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if events[0].Messages != 2 || events[1].Dropped != 1 || events[2].Dropped != 0 {
		t.Errorf("backlog %d, dropped %d and %d", events[0].Messages, events[1].Dropped, events[2].Dropped)
	}
	if at := events[3].Time; !at.Equal(began.Add(61 * time.Second)) {
		t.Errorf("the samples before the pause are told as of %s", at.Sub(began))
	}
}

// A queue that grows long again is reported again.
func TestBacklogIsReportedOnce(t *testing.T) {
	own := &memberlist.TransmitLimitedQueue{NumNodes: func() int { return 1 }, RetransmitMult: 1}
	log := event.NewLog("me", 100)
	m := &queueMonitor{warning: 2, log: log}
	if err := m.open(own, nil); err != nil {
		t.Fatal(err)
	}
	for _, waiting := range []int{3, 3, 0, 3, 3, 3, 3, 3, 2, 3, 3, 3} {
		own.Reset()
		for range waiting {
			own.QueueBroadcast(text{"", "x"})
		}
		m.sample(time.Now())
	}
	if n := log.Last(); n != 2 {
		t.Errorf("told %d times, not 2", n)
	}
}

// lines hands on what is logged.
type lines chan string

func (l lines) Enabled(context.Context, slog.Level) bool { return true }
func (l lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l lines) WithGroup(string) slog.Handler            { return l }
func (l lines) Handle(_ context.Context, r slog.Record) error {
	select {
	case l <- r.Message:
	default:
	}
	return nil
}

// memberlist tells only its log that it drops a message unread.
func TestFullHandlerQueueIsCounted(t *testing.T) {
	conf := memberlist.DefaultLANConfig()
	conf.HandoffQueueDepth, conf.GossipInterval, conf.ProbeInterval, conf.PushPullInterval = 1, 0, 0, 0
	var network memberlist.MockNetwork
	log, logged := event.NewLog("me", 100), make(lines, 100)
	m, err := Create(Options{Name: "me", Config: conf, Transport: network.NewTransport("me"), Events: log, Log: slog.New(logged)})
	if err != nil {
		t.Fatal(err)
	}
	// One message is being handled, which waits for the lock, and one waits for
	// that: there is no room for the others.
	m.table.lock.Lock()
	other := network.NewTransport("other")
	for range 5 {
		suspect := []byte("\x03\x83\xabIncarnation\x01\xa4Node\xa1x\xa4From\xa1y")
		if _, err := other.WriteTo(suspect, m.Addr()); err != nil {
			t.Fatal(err)
		}
	}
	timeout := time.After(time.Minute)
	for line := ""; !strings.HasPrefix(line, fullQueue); {
		select {
		case line = <-logged:
		case <-timeout:
			t.Fatal("memberlist does not log that it dropped a message")
		}
	}
	m.table.lock.Unlock()
	if err := m.Shutdown(); err != nil {
		t.Fatal(err)
	}
	events, _ := log.Since(0)
	dropped := uint64(0)
	for _, e := range events {
		dropped += e.Dropped
	}
	if dropped == 0 {
		t.Errorf("none was dropped: %+v", events)
	}
}

func BenchmarkQueueSample(b *testing.B) {
	own := &memberlist.TransmitLimitedQueue{NumNodes: func() int { return 200 }, RetransmitMult: 4}
	m := &queueMonitor{log: event.NewLog("me", 1)}
	if err := m.open(own, nil); err != nil {
		b.Fatal(err)
	}
	for i := range 200 {
		own.QueueBroadcast(rumor{message: append([]byte{4}, make([]byte, i)...)})
	}
	now := time.Now()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now = now.Add(time.Second)
		m.sample(now)
		if i%5 == 4 {
			m.tell()
		}
	}
}
