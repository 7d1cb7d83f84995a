package observe

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// Failure is a member that went out of reach of others, and how they noticed.
// Latencies are counted from the moment at which the lab recorded what it did,
// which is just before it did it.
//
// Its observers are those who could notice: they ran, neither paused nor
// throttled, held it alive or suspect, and were not alone. One that ends or is
// paused before it has noticed drops out: a dead observer's reports do not
// count.
type Failure struct {
	Member string
	// Cause is "kill", "exit" (by itself), "pause" or "cut": the last is that
	// links were cut until no way was left from an observer to the member, not
	// even through others. A cut in one direction counts as one in both: an
	// answer is needed.
	Cause string
	At    time.Time
	// Nodes is how many peers ran, the member included.
	Nodes int
	// Alone says that meanwhile there was no other failure that somebody had not
	// noticed yet, and, unless it is a cut itself, no link that was not healthy when
	// it happened: the theory is about such ones.
	Alone bool
	// First is how long it took until the first observer held the member dead,
	// All until the last did. They mean something if Detected is not zero, and
	// if Missed is zero.
	First, All time.Duration
	Detected   int // observers that held it dead
	Missed     int // observers that did not, until it was back or the history ended
}

// Isolation is a peer that was cut off from everybody, and how long it took to
// notice: First until it held the first of the others dead, Last until it held
// the last. They mean something if Detected is not zero, and if Missed is.
type Isolation struct {
	Peer             string
	At               time.Time
	Nodes            int
	First, Last      time.Duration
	Detected, Missed int
}

// Detections returns the failures and isolations of a history in the order in
// which they began.
func Detections(events []event.Event) ([]Failure, []Isolation) {
	d := detector{situation: newSituation(0), open: make(map[string][]*failure)}
	for _, e := range testbed.Sorted(events) {
		d.add(e)
	}
	return d.results()
}

type failure struct {
	Failure
	pending map[string]bool // observers that have not noticed yet
}

type isolation struct {
	Isolation
	pending map[string]bool // the others it has not noticed yet
	over    bool
}

type detector struct {
	*situation
	failures   []*failure
	isolations []*isolation
	open       map[string][]*failure // that last, by member
}

func (d *detector) add(e event.Event) {
	switch {
	case e.Kind == event.MemberDead && d.acts(e.Peer):
		d.noticed(e)
	case e.Kind == event.MemberLeft:
		for _, f := range d.open[e.Member] {
			delete(f.pending, e.Peer)
		}
	case e.Kind == event.PeerStarted, e.Kind == event.PeerStopping:
		d.back(e.Peer, "")
		d.gone(e.Peer)
	case e.Peer == testbed.Lab:
		d.lab(e)
		return
	}
	d.Add(e)
}

func (d *detector) lab(e event.Event) {
	switch e.Kind {
	case testbed.LabKill, testbed.LabExit, testbed.LabPause:
		if d.acts(e.Member) { // else it has failed already
			cause := strings.TrimPrefix(string(e.Kind), "lab.")
			d.fail(e.Member, cause, e.Time, func(o string) bool { return !d.isCut(o, e.Member) })
		}
		d.gone(e.Member)
	case testbed.LabStop:
		d.back(e.Member, "") // it says good-bye
		d.gone(e.Member)
	case testbed.LabStart:
		d.back(e.Member, "")
	case testbed.LabResume:
		d.back(e.Member, "pause")
	case testbed.LabCut, testbed.LabLink, testbed.LabHeal:
		before, _ := d.components()
		d.Add(e)
		d.regroup(e.Time, before)
		return
	}
	d.Add(e)
}

// fail opens a failure of member for those observers that fit.
func (d *detector) fail(member, cause string, at time.Time, fits func(observer string) bool) {
	f := &failure{Failure: Failure{Member: member, Cause: cause, At: at, Alone: cause == "cut" || !d.degraded}, pending: make(map[string]bool)}
	m := d.index[member]
	for _, o := range d.peers {
		i := d.index[o]
		if d.rows[i].runs {
			f.Nodes++
		}
		held := d.held(i, m)
		if o != member && (held == alive || held == suspect) && d.acts(o) && !d.throttled[o] && fits(o) {
			f.pending[o] = true
		}
	}
	if len(f.pending) == 0 {
		return
	}
	for _, others := range d.open {
		for _, other := range others {
			if len(other.pending) > 0 {
				other.Alone, f.Alone = false, false
			}
		}
	}
	d.failures = append(d.failures, f)
	d.open[member] = append(d.open[member], f)
}

// noticed takes an observer's report that it holds a member dead.
func (d *detector) noticed(e event.Event) {
	for _, f := range d.open[e.Member] {
		if !f.pending[e.Peer] {
			continue
		}
		delete(f.pending, e.Peer)
		took := max(0, e.Time.Sub(f.At))
		if f.Detected == 0 {
			f.First = took
		}
		f.First, f.All = min(f.First, took), max(f.All, took)
		f.Detected++
	}
	for _, i := range d.isolations {
		if i.over || i.Peer != e.Peer || !i.pending[e.Member] {
			continue
		}
		delete(i.pending, e.Member)
		took := max(0, e.Time.Sub(i.At))
		if i.Detected == 0 {
			i.First = took
		}
		i.Last = took
		i.Detected++
	}
}

// back ends the failures of a member, those of one cause or all.
func (d *detector) back(member, cause string) {
	d.open[member] = slices.DeleteFunc(d.open[member], func(f *failure) bool {
		if cause != "" && f.Cause != cause {
			return false
		}
		f.Missed += len(f.pending)
		return true
	})
	if len(d.open[member]) == 0 {
		delete(d.open, member)
	}
}

// gone takes a peer that cannot observe any more out of what is observed.
func (d *detector) gone(observer string) {
	for _, failures := range d.open {
		for _, f := range failures {
			delete(f.pending, observer)
		}
	}
	for _, i := range d.isolations {
		if i.Peer == observer {
			i.end(0)
		}
	}
}

func (i *isolation) end(missed int) {
	if !i.over {
		i.over = true
		i.Missed = missed
	}
}

// regroup ends and opens failures after a change of links.
func (d *detector) regroup(at time.Time, before map[string]int) {
	after, size := d.components()
	for member := range d.open {
		for _, f := range d.open[member] {
			if f.Cause != "cut" {
				continue
			}
			for o := range f.pending {
				if after[o] == after[member] {
					delete(f.pending, o)
					f.Missed++
				}
			}
		}
		d.open[member] = slices.DeleteFunc(d.open[member], func(f *failure) bool {
			return f.Cause == "cut" && len(f.pending) == 0
		})
		if len(d.open[member]) == 0 {
			delete(d.open, member)
		}
	}
	for _, i := range d.isolations {
		if !i.over && size[after[i.Peer]] > 1 {
			i.end(len(i.pending))
		}
	}
	for _, peer := range d.peers {
		own, acts := after[peer]
		if !acts {
			continue
		}
		d.fail(peer, "cut", at, func(o string) bool {
			return after[o] != own && before[o] == before[peer] && size[after[o]] > 1
		})
		if size[own] == 1 {
			d.isolate(peer, at, before)
		}
	}
}

// isolate opens the isolation of a peer that was in a group before.
func (d *detector) isolate(peer string, at time.Time, before map[string]int) {
	i := &isolation{Isolation: Isolation{Peer: peer, At: at}, pending: make(map[string]bool)}
	self := d.index[peer]
	for _, o := range d.peers {
		if d.acts(o) {
			i.Nodes++
		}
		if held := d.held(self, d.index[o]); o != peer && d.acts(o) && before[o] == before[peer] && (held == alive || held == suspect) {
			i.pending[o] = true
		}
	}
	if len(i.pending) > 0 {
		d.isolations = append(d.isolations, i)
	}
}

func (d *detector) results() (failures []Failure, isolations []Isolation) {
	for member := range d.open {
		d.back(member, "")
	}
	for _, f := range d.failures {
		failures = append(failures, f.Failure)
	}
	for _, i := range d.isolations {
		i.end(len(i.pending))
		isolations = append(isolations, i.Isolation)
	}
	slices.SortStableFunc(failures, func(a, b Failure) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Member, b.Member)) })
	return failures, isolations
}
