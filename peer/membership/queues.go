package membership

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/event"
)

// Queued is a Channel whose broadcasts wait in a queue like memberlist's own.
// The peer reports how long it is.
type Queued interface {
	Channel
	// Queue returns the queue, and the kind of its messages: a word of
	// lower-case letters. It is asked once, by Create.
	Queue() (kind string, queue *memberlist.TransmitLimitedQueue)
}

// backlogSamples is how many times in a row a queue is too long before that is
// reported: more than two seconds, so that a burst that gossip takes away at once
// is not.
const backlogSamples = 3

// DefaultQueueWarning is the length of a broadcast queue that is reported. Serf
// warns at the same.
const DefaultQueueWarning = 128

// sampled is one queue that is looked at.
type sampled struct {
	queue
	name string
	kind func(*queued) string
	// seen has when each message that waits was seen first.
	seen map[*queued]time.Time
	// spare is a map to use for the next sample.
	spare map[*queued]time.Time
	// above is how many samples in a row were longer than the warning.
	above int
}

// queueMonitor looks at the broadcast queues of one membership. It belongs to
// one goroutine; only full may be called by others.
type queueMonitor struct {
	queues  []*sampled
	warning int // 0 reports no backlog
	log     *event.Log

	samples int // of kinds, since they were told
	last    time.Time
	kinds   []event.Queue
	full    atomic.Uint64 // messages dropped because the packet handler's queue was full
	told    uint64        // of full
}

// open has the monitor look at memberlist's own queue and at those of the
// channels.
func (m *queueMonitor) open(own *memberlist.TransmitLimitedQueue, channels map[byte]Channel) error {
	add := func(name string, of *memberlist.TransmitLimitedQueue, kind func(*queued) string) error {
		q, err := openQueue(of)
		if err == nil {
			m.queues = append(m.queues, &sampled{queue: q, name: name, kind: kind})
		}
		return err
	}
	if err := add(event.MembershipQueue, own, kindOf); err != nil {
		return err
	}
	for _, c := range channels {
		q, ok := c.(Queued)
		if !ok {
			continue
		}
		kind, of := q.Queue()
		if err := add(kind, of, func(*queued) string { return kind }); err != nil {
			return err
		}
	}
	slices.SortStableFunc(m.queues[1:], func(a, b *sampled) int { return cmp.Compare(a.name, b.name) })
	return nil
}

// sample looks at all queues once.
func (m *queueMonitor) sample(now time.Time) {
	if m.samples > 0 && now.Sub(m.last) > event.QueueInterval*3/2 {
		m.tell() // this process was stopped meanwhile: the next samples are not a second apart
	}
	m.samples, m.last = m.samples+1, now
	for _, q := range m.queues {
		waiting := 0
		seen := q.spare
		clear(seen)
		q.each(func(message *queued) {
			waiting++
			since, ok := q.seen[message]
			if !ok {
				since = now
			}
			if seen == nil {
				seen = make(map[*queued]time.Time)
			}
			seen[message] = since
			m.count(q.kind(message), now.Sub(since))
		})
		q.seen, q.spare = seen, q.seen
		m.compare(q, waiting)
	}
	for i := range m.kinds {
		m.fill(&m.kinds[i])
	}
}

// count adds one message of the present sample.
func (m *queueMonitor) count(kind string, age time.Duration) {
	i := slices.IndexFunc(m.kinds, func(k event.Queue) bool { return k.Kind == kind }) // there are few
	if i < 0 {
		i = len(m.kinds)
		m.kinds = append(m.kinds, event.Queue{Kind: kind})
	}
	k := &m.kinds[i]
	m.fill(k)
	k.Depths[m.samples-1]++
	k.Oldest = max(k.Oldest, age)
}

// fill adds the samples in which there was none of a kind, the present one
// included.
func (m *queueMonitor) fill(k *event.Queue) {
	for len(k.Depths) < m.samples {
		k.Depths = append(k.Depths, 0)
	}
}

// compare reports a queue that stays too long.
func (m *queueMonitor) compare(q *sampled, waiting int) {
	if m.warning == 0 || waiting <= m.warning {
		q.above = 0
		return
	}
	if q.above++; q.above == backlogSamples {
		m.log.Emit(event.Event{Kind: event.PeerBacklog, Text: q.name, Messages: uint64(waiting)})
	}
}

// tell reports the samples since it was called last.
func (m *queueMonitor) tell() {
	full := m.full.Load()
	if len(m.kinds) > 0 || full > m.told {
		slices.SortFunc(m.kinds, func(a, b event.Queue) int { return strings.Compare(a.Kind, b.Kind) })
		m.log.Emit(event.Event{Time: m.last, Kind: event.PeerQueues, Text: event.FormatQueues(m.kinds), Dropped: full - m.told})
	}
	m.samples, m.kinds, m.told = 0, nil, full
}

// fullQueue is how memberlist's log begins to say that it dropped a message
// because others wait for its packet handler, HandoffQueueDepth of them.
const fullQueue = "handler queue full, dropping message "

// noteLog takes notice of a line of memberlist's log, without its level.
func (m *queueMonitor) noteLog(text string) {
	if strings.HasPrefix(text, fullQueue) {
		m.full.Add(1)
	}
}

// account reports, every ReportInterval and when ctx ends, what was sent and
// how the broadcast queues were.
func account(ctx context.Context, log *event.Log, sent *meter, queues *queueMonitor) {
	tick := time.NewTicker(event.QueueInterval)
	defer tick.Stop()
	const every = int(event.ReportInterval / event.QueueInterval)
	for n := 1; ; n++ {
		select {
		case <-tick.C:
			queues.sample(time.Now())
			if n%every != 0 {
				continue
			}
		case <-ctx.Done():
		}
		queues.tell()
		sent.tell(log)
		if ctx.Err() != nil {
			return
		}
	}
}
