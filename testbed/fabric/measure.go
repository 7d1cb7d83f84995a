package fabric

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Measurement is what became of packets sent over one link.
type Measurement struct {
	Pair Pair `json:"pair"`
	// Sent datagrams of Size bytes of payload; of those, Arrived did at least
	// once, Duplicated more than once, Overtaken after one sent later.
	Sent       int `json:"sent"`
	Size       int `json:"size"`
	Arrived    int `json:"arrived"`
	Duplicated int `json:"duplicated,omitempty"`
	Overtaken  int `json:"overtaken,omitempty"`
	// Long says how many of LongSent datagrams longer than [Link.Over] came.
	LongSent int `json:"long_sent,omitempty"`
	Long     int `json:"long,omitempty"`
	// Least, Median and Most of the time that datagrams took one way.
	Least  time.Duration `json:"least,omitempty"`
	Median time.Duration `json:"median,omitempty"`
	Most   time.Duration `json:"most,omitempty"`
	// Rate is in bits per second, of a train of datagrams on a link that has a
	// rate; 0 on others.
	Rate uint64 `json:"rate,omitempty"`
	// TCP reports whether a connection came about, which takes both
	// directions, and Connect how long that took.
	TCP     bool          `json:"tcp"`
	Connect time.Duration `json:"connect,omitempty"`
}

// patience is how long a packet may take beyond its delay. Where none should
// arrive it is what the measurement takes.
const patience = 400 * time.Millisecond

// probes is how a link is to be measured: often enough that a share of
// packets lost or doubled is told from none at five standard deviations.
func probes(l Link) (count, size int, pause time.Duration) {
	count, size, pause = 20, 64, time.Millisecond
	s := l.Shape
	for _, percent := range [...]float64{l.Loss, l.EveryShare(), s.Reorder, s.Duplicate, s.Corrupt} {
		if percent > 0 && percent < 100 {
			q := percent / 100
			count = max(count, min(int(math.Ceil(50*(1-q)/q)), 5000))
		}
	}
	if count > 20 {
		pause = 200 * time.Microsecond
	}
	if s.Rate != 0 {
		// A train as long as half a second of the link, sent at four times its
		// rate: a tenth of it waits at a time, none is lost to the queue.
		size = 1000
		count = min(max(int(s.Rate/8/1028/8), 8), 5000)
		pause = 0
	}
	return count, size, pause
}

// Cost returns how many datagrams Measure sends over a pair.
func (m Matrix) Cost(pair Pair) int {
	link := m[pair]
	count, _, _ := probes(link)
	if link.Over > 0 {
		count += longCount
	}
	return count
}

// longCount is how many datagrams too long for their link are sent.
const longCount = 20

// Measure sends packets over each of the links, all at the same time, and says
// what became of them. The probers are those of the peers, by address; both
// ends of each pair must be among them. Where m cuts everything it takes about
// half a second, where it loses one packet in a hundred about two.
func (m Matrix) Measure(ctx context.Context, probers map[netip.Addr]*Prober, pairs []Pair) ([]Measurement, error) {
	results := make([]Measurement, len(pairs))
	errs := make([]error, len(pairs))
	var all sync.WaitGroup
	for i, pair := range pairs {
		from, to := probers[pair.From], probers[pair.To]
		if from == nil || to == nil {
			return nil, fmt.Errorf("measure %s: there is no probe at both ends", pair)
		}
		all.Go(func() { results[i], errs[i] = m.measure(ctx, from, to, pair) })
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("measure %s: %w", pairs[i], err)
		}
	}
	return results, nil
}

func (m Matrix) measure(ctx context.Context, from, to *Prober, pair Pair) (Measurement, error) {
	link := m[pair]
	count, size, pause := probes(link)
	result := Measurement{Pair: pair, Sent: count, Size: size}
	wait := patience + link.Shape.Delay + link.Shape.Jitter

	// A connection first: it resolves the address, so that no datagram waits
	// for that.
	there, back := link.Shape, m[pair.Back()].Shape
	dialed, err := from.ask(ctx, request{Dial: &dialRequest{
		To: pair.To, Patience: patience + there.Delay + there.Jitter + back.Delay + back.Jitter,
	}})
	if err != nil {
		return Measurement{}, err
	}
	result.TCP, result.Connect = dialed.Connected > 0, dialed.Connected

	send := func(count, size int, pause time.Duration) ([]arrival, error) {
		flow := rand.Uint64()
		if _, err := from.ask(ctx, request{Send: &sendRequest{To: pair.To, Flow: flow, Count: count, Size: size, Pause: pause}}); err != nil {
			return nil, err
		}
		// What comes twice may come late.
		want := count
		if link.Shape.Duplicate > 0 {
			want = 2 * count
		}
		got, err := to.ask(ctx, request{Collect: &collectRequest{Flow: flow, Want: want, Patience: wait}})
		return got.Arrivals, err
	}
	if link.Over > 0 {
		// Unfragmented within any network of Ethernet, if that is longer at all.
		if long := link.Over + 1 - 28; long <= 1472 {
			result.LongSent = longCount
			arrivals, err := send(result.LongSent, long, pause)
			if err != nil {
				return Measurement{}, err
			}
			result.Long = len(arrivals)
		}
		result.Size = min(size, max(link.Over-28, datagramLeast))
	}
	arrivals, err := send(count, result.Size, pause)
	if err != nil {
		return Measurement{}, err
	}
	result.count(arrivals)
	if link.Shape.Rate != 0 {
		result.Rate = rateOf(arrivals)
	}
	return result, nil
}

// String says in one line what became of the packets.
func (r Measurement) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d UDP packets arrived", r.Arrived, r.Sent)
	add := func(set bool, format string, args ...any) {
		if set {
			fmt.Fprintf(&b, format, args...)
		}
	}
	add(r.Arrived > 0, " after %s", r.Median.Round(time.Microsecond))
	add(r.LongSent > 0, ", %d of %d long ones", r.Long, r.LongSent)
	add(r.Duplicated > 0, ", %d twice", r.Duplicated)
	add(r.Overtaken > 0, ", %d overtaken", r.Overtaken)
	add(r.Rate > 0, ", at %d bit/s", r.Rate)
	add(r.TCP, "; TCP connects after %s", r.Connect.Round(time.Microsecond))
	add(!r.TCP, "; TCP does not connect")
	return b.String()
}

// datagramLeast is the shortest payload that can be measured.
const datagramLeast = 24

// count tells apart what came.
func (r *Measurement) count(arrivals []arrival) {
	times := make(map[uint32]int)
	delays := make([]time.Duration, 0, len(arrivals))
	latest := uint32(0)
	for _, a := range arrivals {
		times[a.Seq]++
		switch times[a.Seq] {
		case 1:
			delays = append(delays, time.Duration(a.At-a.Sent))
			if a.Seq < latest {
				r.Overtaken++
			}
		case 2:
			r.Duplicated++
		}
		latest = max(latest, a.Seq)
	}
	r.Arrived = len(times)
	if len(delays) > 0 {
		slices.Sort(delays)
		r.Least, r.Median, r.Most = delays[0], delays[len(delays)/2], delays[len(delays)-1]
	}
}

// rateOf is the pace of a train, from when its third car was in: the first
// ones may pass at once.
func rateOf(arrivals []arrival) uint64 {
	const skip = 3
	if len(arrivals) <= skip+1 {
		return 0
	}
	bits := 0
	for _, a := range arrivals[skip+1:] {
		bits += 8 * (a.Size + 42) // with the headers of UDP, IP and Ethernet, as tbf counts
	}
	took := time.Duration(arrivals[len(arrivals)-1].At - arrivals[skip].At)
	if took <= 0 {
		return math.MaxUint64
	}
	return uint64(float64(bits) / took.Seconds())
}
