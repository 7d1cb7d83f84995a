package broadcast

import (
	"fmt"
	"testing"
	"time"

	"peerlab/event"
)

// A host whose clock was years ahead believed a clock that it believes no
// more: it forgets the record, keeps the others, and goes on writing what
// others believe.
func TestAHostWhoseClockWasAhead(t *testing.T) {
	m, err := New(Options{Name: "me", NumNodes: func() int { return 1 }})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Add("mine", "x"); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	ahead := now.AddDate(100, 0, 0)
	m.apply(ahead, event.ViaGossip, m.believable(ahead, []record{{key: "evil", author: "mallory", clock: maxBelieved(ahead), gone: ahead}})...)
	if len(m.List()) != 2 {
		t.Fatalf("entries %+v", m.List())
	}
	changed := m.Changed()
	if err := m.Add("more", "y"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("the change is not told")
	}
	if got := m.List(); len(got) != 2 || got[0].Key != "mine" || got[1].Key != "more" {
		t.Errorf("entries %+v", got)
	}
	if m.clock != 2 {
		t.Errorf("the clock is %d after two writes", m.clock)
	}
	// Set back by less than clockSlack, nothing is lost.
	back := now.Add(-12 * 24 * time.Hour)
	m.apply(now, event.ViaGossip, m.believable(now, []record{{key: "high", author: "mallory", clock: maxBelieved(now), gone: now}})...)
	m.forgetUnbelievable(back)
	if len(m.List()) != 3 {
		t.Errorf("entries %+v", m.List())
	}
}

// A host whose clock begins in 1970, or before, believes every honest clock.
func TestAHostWithoutATime(t *testing.T) {
	for _, now := range []time.Time{time.UnixMilli(0), time.UnixMilli(-5000), {}} {
		if got := maxBelieved(now); got < clockSlack || got > 2*clockSlack {
			t.Errorf("at %v clocks up to %d are believed", now, got)
		}
	}
}

// What is remembered of deletions is bounded: the oldest go first.
func TestForgottenDeletionsAreBounded(t *testing.T) {
	m, err := New(Options{Name: "me", NumNodes: func() int { return 1 }})
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(maxForgotten + 1)
	for clock := uint64(1); clock <= last; clock++ {
		m.bury(record{key: fmt.Sprint(clock), author: "me", clock: clock, deleted: true})
	}
	_, first := m.forgotten["1"]
	_, newest := m.forgotten[fmt.Sprint(last)]
	if len(m.forgotten) > maxForgotten || len(m.forgotten) < maxForgotten/2 || first || !newest {
		t.Errorf("%d are kept, the first %t, the last %t", len(m.forgotten), first, newest)
	}
}
