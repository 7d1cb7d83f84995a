package broadcast_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"peerlab/event"
	"peerlab/peer/broadcast"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newMap(t testing.TB, name string) *broadcast.Map {
	t.Helper()
	m, err := broadcast.New(broadcast.Options{Name: name, NumNodes: func() int { return 5 }})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func add(t testing.TB, m *broadcast.Map, key, text string) {
	t.Helper()
	if err := m.Add(key, text); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, m *broadcast.Map, keys ...string) {
	t.Helper()
	if err := m.Delete(keys...); err != nil {
		t.Fatal(err)
	}
}

// sync is a push/pull between two members.
func sync(a, b *broadcast.Map) {
	fromA, fromB := a.State(false), b.State(false)
	if fromB != nil {
		a.Merge(fromB, false)
	}
	if fromA != nil {
		b.Merge(fromA, false)
	}
}

// show is the map as "key=text key=text".
func show(m *broadcast.Map) string {
	var all []string
	for _, e := range m.List() {
		all = append(all, e.Key+"="+e.Text)
	}
	return strings.Join(all, " ")
}

func want(t testing.TB, m *broadcast.Map, entries string) {
	t.Helper()
	if got := show(m); got != entries {
		t.Errorf("the map is %q, want %q", got, entries)
	}
}

func TestAddDeleteList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMap(t, "alice")
		want(t, m, "")
		changed := m.Changed()
		add(t, m, "b", "two words")
		select {
		case <-changed:
		default:
			t.Error("the change is not told")
		}
		add(t, m, "a", "")
		add(t, m, "b", "again")
		want(t, m, "a= b=again")
		e := m.List()[1]
		if e.Author != "alice" || !e.When.Equal(time.Now()) {
			t.Errorf("entry %+v", e)
		}
		if _, err := json.Marshal(m.List()); err != nil {
			t.Error(err)
		}
		remove(t, m, "b", "b")
		want(t, m, "a=")
		add(t, m, "b", "back")
		want(t, m, "a= b=back")
		remove(t, m)
		want(t, m, "a= b=back")
	})
}

func TestWhatIsRefused(t *testing.T) {
	m := newMap(t, "alice")
	add(t, m, "color", "red")
	for _, tc := range []struct {
		err  error
		want string
	}{
		{m.Add("", "x"), "is empty"},
		{m.Add(strings.Repeat("k", 65), "x"), "65 bytes is too long: the limit is 64"},
		{m.Add("two words", "x"), "holds ' '"},
		{m.Add("tab\t", "x"), `holds '\t'`},
		{m.Add("no\u00a0break", "x"), "one printable word"},
		{m.Add("\xff", "x"), "not UTF-8"},
		{m.Add("k", strings.Repeat("x", 1025)), "1025 bytes is too long: the limit is 1024"},
		{m.Add("k", "\xff"), "not UTF-8"},
		{m.Delete("colr"), "did you mean color"},
		{m.Delete("color", "zzz"), `no broadcast key "zzz" among 1`},
		{newMap(t, "bob").Delete("x"), "there are none"},
	} {
		if tc.err == nil || !strings.Contains(tc.err.Error(), tc.want) || strings.Contains(tc.err.Error(), "\n") {
			t.Errorf("error %v, want one line with %q", tc.err, tc.want)
		}
	}
	want(t, m, "color=red")
	add(t, m, strings.Repeat("ü", 32), strings.Repeat("x", 1024))
}

func TestNewRefuses(t *testing.T) {
	one := func() int { return 1 }
	for _, tc := range []struct {
		o    broadcast.Options
		want string
	}{
		{broadcast.Options{NumNodes: one}, "is empty"},
		{broadcast.Options{Name: "a b", NumNodes: one}, "holds ' '"},
		{broadcast.Options{Name: "a"}, "NumNodes must be set"},
		{broadcast.Options{Name: "a", NumNodes: one, RetransmitMult: -1}, "negative"},
		{broadcast.Options{Name: "a", NumNodes: one, TombstoneTTL: -1}, "negative"},
	} {
		if _, err := broadcast.New(tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
}

func TestLastWriterWins(t *testing.T) {
	alice, bob := newMap(t, "alice"), newMap(t, "bob")
	// In ignorance of each other: equal clocks, the greater name wins.
	add(t, bob, "k", "bob's")
	add(t, alice, "k", "alice's")
	sync(alice, bob)
	want(t, alice, "k=bob's")
	want(t, bob, "k=bob's")
	// In knowledge of the other: the later wins, whoever writes it.
	add(t, alice, "k", "alice again")
	sync(alice, bob)
	want(t, bob, "k=alice again")
	// An add that has not heard of two deletions loses to them.
	remove(t, alice, "k")
	carol := newMap(t, "carol")
	add(t, carol, "k", "carol's")
	sync(alice, carol)
	want(t, alice, "")
	want(t, carol, "")
}

// A deleted key must not come back from a member that missed the deletion.
func TestTombstone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob, carol := newMap(t, "alice"), newMap(t, "bob"), newMap(t, "carol")
		add(t, alice, "k", "text")
		sync(alice, bob)
		sync(alice, carol)
		remove(t, alice, "k")

		time.Sleep(23 * time.Hour)
		sync(bob, alice)
		want(t, alice, "")
		want(t, bob, "")
		// Its age travels: bob's tombstone is 23 h old too and not fresh.
		time.Sleep(time.Hour)
		if alice.State(false) != nil || bob.State(false) != nil {
			t.Error("a tombstone is kept for more than a day")
		}
		// It is still known to be deleted: who missed it for a day brings nothing
		// back, and is told.
		sync(bob, carol)
		want(t, bob, "")
		sync(bob, carol)
		want(t, carol, "")
		// That is for another day, and then nobody talks of it.
		time.Sleep(25 * time.Hour)
		if alice.State(false) != nil || bob.State(false) != nil || carol.State(false) != nil {
			t.Error("a deletion told anew is kept for more than a day")
		}
	})
}

// A member that returns after more than a day is told of each deletion that it
// missed, by gossip, too, and of a key that was set again nothing is lost.
func TestDeletionsOutliveAPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob, carol := newMap(t, "alice"), newMap(t, "bob"), newMap(t, "carol")
		for _, key := range []string{"gone", "again", "kept"} {
			add(t, alice, key, "old")
		}
		sync(alice, bob)
		sync(alice, carol)
		remove(t, alice, "gone", "again")
		sync(alice, bob)
		add(t, carol, "again", "2") // a tie at first, then newer
		add(t, carol, "again", "3")
		add(t, carol, "new", "of the other side")
		drain(alice, bob, carol)
		time.Sleep(30 * time.Hour)
		alice.Merge(carol.State(false), false)
		for _, msg := range alice.Broadcasts(0, 1<<20) {
			bob.Receive(msg)
			carol.Receive(msg)
		}
		for _, m := range []*broadcast.Map{alice, bob, carol} {
			want(t, m, "again=3 kept=old new=of the other side")
		}
	})
}

// drain empties the queues.
func drain(maps ...*broadcast.Map) {
	for _, m := range maps {
		for len(m.Broadcasts(0, 1<<20)) > 0 {
		}
	}
}

// Two members that forget a deletion at different times do not tell each other
// of it for ever.
func TestAForgottenDeletionIsNotTalkedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := newMap(t, "alice"), newMap(t, "bob")
		add(t, alice, "k", "text")
		remove(t, alice, "k")
		msgs := alice.Broadcasts(0, 1400)
		time.Sleep(time.Minute)
		bob.Receive(msgs[0]) // takes it to be a minute younger
		drain(alice, bob)
		time.Sleep(24*time.Hour - 30*time.Second)
		sync(alice, bob)
		if alice.State(false) != nil || len(alice.Broadcasts(0, 1400)) != 0 {
			t.Error("alice has taken over a deletion that is about to be forgotten")
		}
	})
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := event.NewLog("bob", 100)
		bob, err := broadcast.New(broadcast.Options{Name: "bob", NumNodes: func() int { return 3 }, Events: log})
		if err != nil {
			t.Fatal(err)
		}
		alice, carol := newMap(t, "alice"), newMap(t, "carol")
		secret := "s3cret " + strings.Repeat("x", 1000)
		add(t, alice, "motd", secret)
		bob.Receive(alice.Broadcasts(0, 1400)[0])
		bob.Merge(alice.State(false), false) // nothing new
		add(t, bob, "mine", "x")
		remove(t, bob, "mine")
		add(t, carol, "pushed", "x")
		bob.Merge(carol.State(false), false)
		add(t, carol, "old", "x") // with a version of its own
		time.Sleep(25 * time.Hour)
		bob.State(false) // forgets
		bob.Merge(carol.State(false), false)
		stale := newMap(t, "bob")
		add(t, stale, "mine", "x")
		bob.Merge(stale.State(false), false)
		events, _ := log.Since(0)
		var got []string
		for _, e := range events {
			if strings.Contains(string(e.Encode()), "s3cret") || len(e.Encode()) > 500 {
				t.Errorf("an event tells the text, or is long: %s", e.Encode())
			}
			reason, _, _ := strings.Cut(e.Reason, " ")
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %d %s %s", e.Kind, e.Key, e.Member, e.Version, e.Via, reason)))
		}
		want := []string{
			"broadcast.set motd alice 1 gossip",
			"broadcast.set mine bob 2 own",
			"broadcast.deleted mine bob 3 own",
			"broadcast.set pushed carol 1 push/pull",
			"broadcast.set old carol 2 push/pull may",
			"broadcast.deleted mine bob 3 push/pull deleted",
		}
		if !slices.Equal(got, want) {
			t.Errorf("events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if events[0].Digest != broadcast.Digest("motd", "alice", 1, secret) || len(events[0].Digest) != 16 || events[1].Digest == events[3].Digest {
			t.Errorf("digests %q %q %q", events[0].Digest, events[1].Digest, events[3].Digest)
		}
	})
}

// Keys for which there is no room are deleted, and that is told.
func TestEventsOfFullMaps(t *testing.T) {
	log := event.NewLog("bob", 10_000)
	bob, err := broadcast.New(broadcast.Options{Name: "bob", NumNodes: func() int { return 3 }, Events: log})
	if err != nil {
		t.Fatal(err)
	}
	alice := newMap(t, "alice")
	for i := range broadcast.MaxEntries {
		add(t, alice, fmt.Sprintf("a%03d", i), "x")
		add(t, bob, fmt.Sprintf("b%03d", i), "x")
	}
	bob.Merge(alice.State(false), false)
	has := map[string]bool{}
	events, _ := log.Since(0)
	for _, e := range events {
		if e.Kind == event.BroadcastSet {
			has[e.Key] = true
		} else {
			delete(has, e.Key)
		}
	}
	var listed []string
	for _, e := range bob.List() {
		listed = append(listed, e.Key)
	}
	if told := slices.Sorted(maps.Keys(has)); !slices.Equal(told, listed) {
		t.Errorf("events tell of %d keys, the map has %d", len(told), len(listed))
	}
}

func TestTombstoneOlderThanADayStillDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := newMap(t, "alice"), newMap(t, "bob")
		add(t, alice, "k", "text")
		sync(alice, bob)
		remove(t, alice, "k")
		state := alice.State(false)
		msgs := alice.Broadcasts(0, 1400)
		time.Sleep(48 * time.Hour)
		for _, msg := range msgs {
			bob.Receive(msg)
		}
		want(t, bob, "")
		bob.Merge(state, false)
		want(t, bob, "")
	})
}

func TestDeletedKeysAreRememberedInNumber(t *testing.T) {
	m := newMap(t, "alice")
	for i := range 1500 {
		key := fmt.Sprintf("k%04d", i)
		add(t, m, key, "")
		remove(t, m, key)
	}
	add(t, m, "last", "one")
	state := string(m.State(false))
	if strings.Contains(state, "k0499") || !strings.Contains(state, "k0500") {
		t.Error("not the newest 1000 tombstones are kept")
	}
	want(t, m, "last=one")
}

func TestFull(t *testing.T) {
	alice, bob := newMap(t, "alice"), newMap(t, "bob")
	for i := range broadcast.MaxEntries {
		add(t, alice, fmt.Sprintf("a%03d", i), "x")
		add(t, bob, fmt.Sprintf("b%03d", i), "x")
	}
	err := alice.Add("more", "x")
	if err == nil || !strings.Contains(err.Error(), "there are 1000 entries already") {
		t.Errorf("error %v", err)
	}
	add(t, alice, "a000", "an old key fits")
	remove(t, alice, "a001")
	add(t, alice, "more", "x")

	// Over the limit together, both keep the same newest, through any number
	// of exchanges, and pass nothing on that they do not keep.
	sync(alice, bob)
	if len(alice.List()) != broadcast.MaxEntries || !slices.Equal(alice.List(), bob.List()) {
		t.Errorf("%d and %d entries, equal: %v", len(alice.List()), len(bob.List()), slices.Equal(alice.List(), bob.List()))
	}
	before := alice.Changed()
	sync(alice, bob)
	select {
	case <-before:
		t.Error("an exchange between equals changed something")
	default:
	}
	if !strings.Contains(show(alice), "more=x") || strings.Contains(show(alice), "b000=") {
		t.Error("not the newest entries are kept")
	}
}
