package membership

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func testCoordinates(t testing.TB, name string) *coordinates {
	t.Helper()
	c, err := newCoordinates(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func membershipWith(c *coordinates) *Membership {
	return &Membership{watch: newWatcher(c.self, nil, c, new(Shared))}
}

// Members of two sites, 2 ms apart within and 40 ms between, who only ever
// probe each other: an observer knows about pairs it is no part of.
func TestRTTIsLearnt(t *testing.T) {
	const n, near, far = 8, 2 * time.Millisecond, 40 * time.Millisecond
	truth := func(i, j int) time.Duration {
		if i%2 == j%2 {
			return near
		}
		return far
	}
	var all []*coordinates
	for i := range n {
		all = append(all, testCoordinates(t, string(rune('a'+i))))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		for i, c := range all {
			j := r.IntN(n)
			if i != j {
				jitter := time.Duration(r.Int64N(int64(200 * time.Microsecond)))
				c.learn(all[j].self, truth(i, j)+jitter, all[j].payload())
			}
		}
	}
	m := membershipWith(all[0])
	for i := range n {
		for j := range n {
			if i == j {
				continue
			}
			got, ok := m.RTT(all[i].self, all[j].self)
			back, _ := m.RTT(all[j].self, all[i].self)
			if want := truth(i, j); !ok || got != back || got < want/2 || got > 2*want {
				t.Errorf("%s to %s: estimate %v and back %v, %v; it is %v", all[i].self, all[j].self, got, back, ok, want)
			}
		}
	}
	if d, ok := m.RTT("b", "b"); d != 0 || !ok {
		t.Errorf("to itself: %v, %v", d, ok)
	}
	all[0].forget("b")
	if _, ok := m.RTT("a", "b"); ok {
		t.Error("a forgotten member has an estimate")
	}
	if _, ok := m.RTT("nobody", "c"); ok {
		t.Error("an unknown member has an estimate")
	}
}

func TestRTTNeedsMeaningfulCoordinates(t *testing.T) {
	a, b := testCoordinates(t, "a"), testCoordinates(t, "b")
	m := membershipWith(a)
	if _, ok := m.RTT("a", "a"); ok {
		t.Error("a peer that measured nothing has an estimate")
	}
	a.learn("b", time.Millisecond, b.payload())
	if _, ok := m.RTT("a", "b"); ok {
		t.Error("b has measured nothing and has an estimate")
	}
	b.learn("a", time.Millisecond, a.payload())
	a.learn("b", time.Millisecond, b.payload())
	if _, ok := m.RTT("a", "b"); !ok {
		t.Error("no estimate though both have measured")
	}
}

func TestMalformedCoordinatesAreIgnored(t *testing.T) {
	a := testCoordinates(t, "a")
	good := a.payload()
	with := func(at int, f float64) []byte {
		c := decodeCoordinate(a.conf, good)
		switch at {
		case 8:
			c.Error = f
		case 9:
			c.Adjustment = f
		case 10:
			c.Height = f
		default:
			c.Vec[at] = f
		}
		return encodeCoordinate(c)
	}
	if len(good) != 89 || decodeCoordinate(a.conf, good) == nil || decodeCoordinate(a.conf, with(9, -0.001)) == nil {
		t.Error("good coordinates are refused")
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "cut": good[:88], "longer": append(good[:89:89], 0), "Serf's": append([]byte{1}, good[1:]...),
		"not a number": with(0, math.NaN()), "infinite": with(7, math.Inf(-1)), "far away": with(3, 1e300),
		"error below 0": with(8, -1), "no adjustment": with(9, math.NaN()), "height below 0": with(10, -1),
	} {
		a.learn("b", time.Millisecond, b)
		if a.others["b"] != nil || string(a.payload()) != string(good) {
			t.Errorf("%s: is taken for a coordinate", name)
		}
	}
	for _, rtt := range []time.Duration{-1, 11 * time.Second} {
		a.learn("b", rtt, good)
		if a.others["b"] != nil {
			t.Errorf("a round trip of %v is believed", rtt)
		}
	}
}

// FuzzCoordinate: whatever an ack carries, estimates stay finite and this
// peer's own coordinate stays one it would accept from others.
func FuzzCoordinate(f *testing.F) {
	f.Add(testCoordinates(f, "seed").payload(), int64(time.Millisecond))
	f.Add([]byte{coordinateVersion}, int64(0))
	f.Fuzz(func(t *testing.T, b []byte, rtt int64) {
		a := testCoordinates(t, "a")
		for range 3 {
			a.learn("b", time.Duration(rtt), b)
		}
		if decodeCoordinate(a.conf, a.payload()) == nil {
			t.Errorf("the own coordinate became %+v", a.client.GetCoordinate())
		}
		if d, ok := membershipWith(a).RTT("a", "b"); ok && (d < 0 || d > 24*time.Hour) {
			t.Errorf("estimate %v", d)
		}
	})
}
