package event

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// How often a peer reports.
const (
	// ReportInterval is the time between two reports of traffic or queues.
	ReportInterval = 5 * time.Second
	// QueueInterval is the time between two looks at the queues.
	QueueInterval = time.Second
)

// MembershipQueue is the name of memberlist's own queue where it is told as a
// whole.
const MembershipQueue = "membership"

// Queue is how one kind of message in a peer's broadcast queues was found, at
// each of several moments a second apart.
type Queue struct {
	// Kind is alive, suspect or dead (a farewell is dead, too) in memberlist's
	// own queue; broadcast for the key/value map; for an application its name.
	Kind string
	// Depths are how many messages waited, the latest last.
	Depths []int
	// Oldest is how long the message that had been there longest was seen, to
	// the millisecond: the greatest at these moments.
	Oldest time.Duration
}

// Limits of ParseQueues, far above what a peer reports.
const (
	maxQueues       = 16
	maxQueueSamples = 60
	maxQueueDepth   = 1 << 20
	maxQueueAge     = 365 * 24 * time.Hour
)

// FormatQueues writes queues as the text of a PeerQueues event: for each kind
// its depths and the age of the oldest in seconds, such as
// "alive=0,4,2/1.5 broadcast=1,1,1/9".
func FormatQueues(queues []Queue) string {
	var b strings.Builder
	for i, q := range queues {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(q.Kind)
		for i, depth := range q.Depths {
			b.WriteByte("=,"[min(i, 1)])
			b.WriteString(strconv.Itoa(depth))
		}
		b.WriteByte('/')
		b.WriteString(strconv.FormatFloat(q.Oldest.Round(time.Millisecond).Seconds(), 'f', -1, 64))
	}
	return b.String()
}

// ParseQueues reads what FormatQueues has written. All kinds have the same
// number of samples.
func ParseQueues(text string) ([]Queue, error) {
	var queues []Queue
	for part := range strings.FieldsSeq(text) {
		kind, rest, ok := strings.Cut(part, "=")
		list, age, ok2 := strings.Cut(rest, "/")
		if !ok || !ok2 || kind == "" {
			return nil, fmt.Errorf("queue %q: expected KIND=DEPTH,…/SECONDS", part)
		}
		q := Queue{Kind: kind}
		for depth := range strings.SplitSeq(list, ",") {
			n, err := strconv.Atoi(depth)
			if err != nil || n < 0 || n > maxQueueDepth {
				return nil, fmt.Errorf("queue %q: depth %q is not between 0 and %d", part, depth, maxQueueDepth)
			}
			if q.Depths = append(q.Depths, n); len(q.Depths) > maxQueueSamples {
				return nil, fmt.Errorf("queue %q: more than %d samples", kind, maxQueueSamples)
			}
		}
		seconds, err := strconv.ParseFloat(age, 64)
		if err != nil || !(seconds >= 0 && seconds <= maxQueueAge.Seconds()) {
			return nil, fmt.Errorf("queue %q: age %q is not between 0 and %g seconds", part, age, maxQueueAge.Seconds())
		}
		q.Oldest = time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
		if len(queues) > 0 && len(q.Depths) != len(queues[0].Depths) {
			return nil, fmt.Errorf("queue %q: %d samples, the one before has %d", kind, len(q.Depths), len(queues[0].Depths))
		}
		if queues = append(queues, q); len(queues) > maxQueues {
			return nil, fmt.Errorf("more than %d queues", maxQueues)
		}
	}
	return queues, nil
}
