package membership

import (
	"bytes"
	"testing"
)

// fixed is a channel that always sends the same and forgets what it gets.
type fixed struct {
	msgs  [][]byte
	state []byte
	got   int
}

func (c *fixed) Broadcasts(int, int) [][]byte { return c.msgs }
func (c *fixed) Receive([]byte)               { c.got++ }
func (c *fixed) State(bool) []byte            { return c.state }
func (c *fixed) Merge([]byte, bool)           { c.got++ }

func testDelegate(t *testing.T, channels map[byte]Channel) *delegate {
	t.Helper()
	d, err := newDelegate(channels)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBroadcastsStayWithinTheLimit(t *testing.T) {
	mine := []byte("0123456789")
	greedy := &fixed{msgs: [][]byte{mine, make([]byte, 90), mine}}
	other := &fixed{msgs: [][]byte{mine}}
	d := testDelegate(t, map[byte]Channel{1: greedy, 2: other})
	// Two messages of 10 bytes, each with 2 of overhead and a tag.
	got := d.GetBroadcasts(2, 26)
	var size int
	for _, msg := range got {
		size += 2 + len(msg)
	}
	if len(got) != 2 || size > 26 || d.dropped.Load() == 0 {
		t.Errorf("%d messages, %d bytes, %d dropped", len(got), size, d.dropped.Load())
	}
	if string(mine) != "0123456789" || &got[0][1] == &mine[0] {
		t.Error("the channel's message is not copied")
	}
	// The channels take turns: with room for one message each is first in time.
	first := make(map[byte]int)
	for range 10 {
		for _, msg := range d.GetBroadcasts(2, 13) {
			first[msg[0]]++
		}
	}
	if first[1] != 5 || first[2] != 5 {
		t.Errorf("turns %v, want 5 each", first)
	}
	if got := d.GetBroadcasts(2, 3); got != nil {
		t.Errorf("%q without room for more than the overhead", got)
	}
}

func TestStatesHaveALimit(t *testing.T) {
	big := &fixed{state: make([]byte, MaxState)}
	small := &fixed{state: []byte("s")}
	d := testDelegate(t, map[byte]Channel{1: big, 2: small})
	if got := d.LocalState(false); !bytes.Equal(got, []byte{2, 0, 0, 0, 1, 's'}) || d.dropped.Load() != 1 {
		t.Errorf("state of %d bytes, %d dropped", len(got), d.dropped.Load())
	}
	if got := testDelegate(t, nil).LocalState(true); got != nil {
		t.Errorf("state %q without channels", got)
	}
}

func TestForeignStateIsIgnored(t *testing.T) {
	for name, b := range map[string][]byte{
		"text":               []byte("hello from Serf"),
		"cut header":         {1, 0, 0, 0},
		"cut state":          {1, 0, 0, 0, 2, 'x'},
		"length of 4 GB":     {1, 0xff, 0xff, 0xff, 0xff, 'x'},
		"the same tag twice": {1, 0, 0, 0, 0, 1, 0, 0, 0, 0},
		"tags out of order":  {2, 0, 0, 0, 0, 1, 0, 0, 0, 0},
		"good, then foreign": {1, 0, 0, 0, 1, 'x', 9},
	} {
		c := &fixed{}
		d := testDelegate(t, map[byte]Channel{1: c, 2: c})
		d.MergeRemoteState(b, false)
		if c.got != 0 || d.dropped.Load() != 1 {
			t.Errorf("%s: %d merged, %d dropped", name, c.got, d.dropped.Load())
		}
	}
	d := testDelegate(t, nil)
	d.NotifyMsg(nil)
	d.NotifyMsg([]byte{1, 2, 3})
	if d.dropped.Load() != 2 {
		t.Errorf("%d messages dropped, want 2", d.dropped.Load())
	}
}

// FuzzStates splits any bytes. What is accepted is what LocalState makes.
func FuzzStates(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 1, 'x', 2, 0, 0, 0, 0})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		states, ok := splitStates(b)
		if !ok {
			return
		}
		channels := make(map[byte]Channel)
		for _, s := range states {
			channels[s.tag] = &fixed{state: s.state}
		}
		d := testDelegate(t, channels)
		if again := d.LocalState(false); !bytes.Equal(again, b) {
			t.Errorf("%x became %x", b, again)
		}
	})
}
