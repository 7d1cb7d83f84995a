package observe

import (
	"cmp"
	"slices"
	"time"

	"peerlab/event"
	"peerlab/testbed"
)

// trafficReport is what a peer reported to have sent since its report before, or since
// its start.
type trafficReport struct {
	peer            string
	first           bool // of a life
	from, to        time.Time
	messages, bytes uint64
}

// trafficReports returns the reports of traffic, by peer and time.
func trafficReports(events []event.Event) []trafficReport {
	type account struct {
		at              time.Time
		messages, bytes uint64 // of this membership
		any             bool
	}
	var all []trafficReport
	last := make(map[string]*account)
	for _, e := range testbed.Sorted(events) {
		a := last[e.Peer]
		switch e.Kind {
		case event.PeerStarted:
			last[e.Peer] = &account{at: e.Time}
		case event.MemberJoin:
			if a != nil && e.Member == e.Peer && e.Was == "" { // a new membership, which counts from zero
				a.messages, a.bytes = 0, 0
			}
		case event.PeerTraffic:
			messages := e.Packets + e.Streams
			if a == nil || messages < a.messages || e.Bytes < a.bytes {
				break
			}
			all = append(all, trafficReport{e.Peer, !a.any, a.at, e.Time, messages - a.messages, e.Bytes - a.bytes})
			*a = account{e.Time, messages, e.Bytes, true}
		}
	}
	slices.SortStableFunc(all, func(a, b trafficReport) int { return cmp.Compare(a.peer, b.peer) })
	return all
}

func measureTraffic(r *Record) Measured {
	var m Measured
	reports := trafficReports(r.Events)
	t := r.timeline(event.ReportInterval)
	t.untilReports(r.Events)
	messages, bytes := Figure{Name: "messages", Unit: "/s"}, Figure{Name: "bytes", Unit: "B/s"}
	perPeer := map[string]map[string][]float64{"messages": {}, "bytes": {}}
	total := map[string][]float64{"messages": make([]float64, t.buckets()), "bytes": make([]float64, t.buckets())}
	add := func(name string, s trafficReport, amount uint64) {
		values := perPeer[name][s.peer]
		if values == nil {
			values = make([]float64, t.buckets())
			perPeer[name][s.peer] = values
		}
		t.spread(values, s.from, s.to, float64(amount))
		t.spread(total[name], s.from, s.to, float64(amount))
	}
	var life struct {
		time            time.Duration
		messages, bytes float64
	}
	end := func() {
		if life.time > 0 {
			messages.Values = append(messages.Values, life.messages/life.time.Seconds())
			bytes.Values = append(bytes.Values, life.bytes/life.time.Seconds())
		}
		life.time, life.messages, life.bytes = 0, 0, 0
	}
	for _, s := range reports {
		add("messages", s, s.messages)
		add("bytes", s, s.bytes)
		if s.first {
			end()
		}
		// Of a report that began before what is measured, its share counts.
		if counted, whole := s.to.Sub(later(s.from, t.start)), s.to.Sub(s.from); counted > 0 {
			share := float64(counted) / float64(whole)
			life.time += counted
			life.messages += float64(s.messages) * share
			life.bytes += float64(s.bytes) * share
		}
	}
	end()
	if len(messages.Values) == 0 {
		m.note("no peer gave an account of its traffic")
		return m
	}
	m.Figures = append(m.Figures, messages, bytes)
	for _, f := range []Figure{messages, bytes} {
		rates := func(values []float64) []float64 {
			for i := range values {
				values[i] /= t.length(i).Seconds()
			}
			return values
		}
		for _, values := range perPeer[f.Name] {
			rates(values)
		}
		m.Series = append(m.Series, t.series(f.Name, "", f.Unit, rates(total[f.Name])))
		m.Series = append(m.Series, t.perPeer(f.Name, f.Unit, perPeer[f.Name])...)
	}
	return m
}
