package fabric

import (
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

var (
	alice = netip.MustParseAddr("10.0.0.1")
	bob   = netip.MustParseAddr("10.0.0.2")
	carol = netip.MustParseAddr("10.0.0.3")
	dave  = netip.MustParseAddr("10.0.0.4")
	names = map[netip.Addr]string{alice: "alice", bob: "bob", carol: "carol", dave: "dave"}
)

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		pair Pair
		link Link
		want string // "" is valid
	}{
		{Pair{alice, bob}, Link{}, ""},
		{Pair{alice, bob}, Link{Drop: DropAll, Over: 68, Loss: 100, Shape: Shape{Delay: 2 * time.Minute, Jitter: 2 * time.Minute, Reorder: 100, Duplicate: 100, Corrupt: 100, Rate: 8000}}, ""},
		{Pair{alice, bob}, Link{Loss: 120}, "links[alice -> bob].loss: 120 % is not within 0 and 100"},
		{Pair{alice, bob}, Link{Loss: -1}, "links[alice -> bob].loss: -1 % is not within 0 and 100"},
		{Pair{alice, bob}, Link{Loss: math.NaN()}, "links[alice -> bob].loss: NaN % is not within 0 and 100"},
		{Pair{alice, bob}, Link{Drop: 9}, "links[alice -> bob].drop: 9 is unknown: udp, tcp and all are known"},
		{Pair{alice, bob}, Link{Over: 67}, "links[alice -> bob].over: 67 bytes is not within 68 and 65534"},
		{Pair{bob, carol}, Link{Shape: Shape{Delay: -time.Millisecond}}, "links[bob -> carol].delay: -1ms is not within 0 and 2m0s"},
		{Pair{bob, carol}, Link{Shape: Shape{Delay: 3 * time.Minute}}, "links[bob -> carol].delay: 3m0s is not within 0 and 2m0s"},
		{Pair{bob, carol}, Link{Shape: Shape{Delay: 10 * time.Millisecond, Jitter: 11 * time.Millisecond}}, "links[bob -> carol].jitter: 11ms is not within 0 and the delay of 10ms"},
		{Pair{bob, carol}, Link{Shape: Shape{Reorder: 10}}, "links[bob -> carol].reorder: it needs a delay, because packets overtake those that are delayed"},
		{Pair{bob, carol}, Link{Shape: Shape{Duplicate: 101}}, "links[bob -> carol].duplicate: 101 % is not within 0 and 100"},
		{Pair{bob, carol}, Link{Shape: Shape{Corrupt: -0.1}}, "links[bob -> carol].corrupt: -0.1 % is not within 0 and 100"},
		{Pair{bob, carol}, Link{Shape: Shape{Rate: 1}}, "links[bob -> carol].rate: 1 bit/s is not within 8000 and 10000000000"},
		{Pair{bob, bob}, Link{}, "links[bob -> bob]: a peer has no link to itself"},
		{Pair{bob, netip.MustParseAddr("10.9.9.9")}, Link{}, "links[bob -> 10.9.9.9]: there is no peer at 10.9.9.9"},
		{Pair{netip.MustParseAddr("fe80::1"), bob}, Link{}, "links[fe80::1 -> bob]: fe80::1 is no IPv4 address, and the fabric knows no others"},
		{Pair{bob, netip.Addr{}}, Link{}, "links[bob -> invalid IP]: invalid IP is no IPv4 address, and the fabric knows no others"},
	} {
		err := Matrix{test.pair: test.link}.Validate(names)
		if got := text(err); got != test.want {
			t.Errorf("%v %+v:\n got %s\nwant %s", test.pair, test.link, got, test.want)
		}
	}
	many := make(Matrix)
	for i := range 100 {
		many[Pair{netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), alice}] = Link{Loss: 200}
	}
	if err := many.Validate(nil); err == nil || !strings.HasSuffix(err.Error(), "; and 90 more") || strings.Contains(err.Error(), "\n") {
		t.Errorf("many problems: %v", err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestJSON(t *testing.T) {
	m := Matrix{
		{alice, bob}:   {Drop: DropAll},
		{alice, carol}: {Drop: DropUDP, Over: 1300, Loss: 0.5},
		{alice, dave}:  {Drop: DropAll},
		{bob, alice}:   {Shape: Shape{Delay: 50 * time.Millisecond, Jitter: time.Microsecond, Reorder: 1, Duplicate: 2, Corrupt: 3, Rate: 1e6}},
	}
	const want = `[{"from":"10.0.0.1","to":["10.0.0.2","10.0.0.4"],"drop":"all"},` +
		`{"from":"10.0.0.1","to":["10.0.0.3"],"drop":"udp","over":1300,"loss":0.5},` +
		`{"from":"10.0.0.2","to":["10.0.0.1"],"delay":"50ms","jitter":"1µs","reorder":1,"duplicate":2,"corrupt":3,"rate":1000000}]`
	got, err := json.Marshal(m)
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	var back Matrix
	if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("back: %v, %v", back, err)
	}
	if got, err := json.Marshal(Matrix(nil)); string(got) != "[]" {
		t.Errorf("nothing: %s, %v", got, err)
	}
}

func FuzzMatrix(f *testing.F) {
	f.Add(`[{"from":"10.0.0.1","to":["10.0.0.2"],"drop":"all","delay":"5ms"}]`)
	f.Add(`[{"from":"","to":[""],"loss":1e99,"delay":"-1ns"}]`)
	f.Fuzz(func(t *testing.T, data string) {
		var m Matrix
		if json.Unmarshal([]byte(data), &m) != nil {
			return
		}
		_ = m.Needs()
		if m.Validate(nil) != nil {
			return
		}
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back Matrix
		if err := json.Unmarshal(out, &back); err != nil || !reflect.DeepEqual(back, m) {
			t.Fatalf("%s became %s: %v", data, out, err)
		}
	})
}

func TestPairText(t *testing.T) {
	counts := map[Pair]Count{{alice, bob}: {Packets: 3, Dropped: 2}}
	data, err := json.Marshal(counts)
	if want := `{"10.0.0.1\u003e10.0.0.2":{"packets":3,"bytes":0,"dropped":2}}`; err != nil || string(data) != want {
		t.Errorf("%s, %v", data, err)
	}
	var back map[Pair]Count
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, counts) {
		t.Errorf("%v, %v", back, err)
	}
	for _, bad := range []string{"", "10.0.0.1", ">", "10.0.0.1>x"} {
		if err := new(Pair).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is a pair", bad)
		}
	}
}

func TestCheckFeatures(t *testing.T) {
	features := []Feature{{Name: schNetem, For: "delay", Missing: "not there"}, {Name: schTBF, For: "rate"}}
	if err := (Matrix{{alice, bob}: {Drop: DropAll, Loss: 3, Over: 100}}).CheckFeatures(features); err != nil {
		t.Errorf("rules alone: %v", err)
	}
	if err := (Matrix{{alice, bob}: {Shape: Shape{Rate: 1e6}}}).CheckFeatures(features); err != nil {
		t.Errorf("a rate alone: %v", err)
	}
	for _, link := range []Link{{Loss: 3}, {Every: 3}, {Drop: DropAll}} {
		err := Matrix{{alice, bob}: link}.CheckFeatures([]Feature{{Name: nftNumgen, For: "loss, every", Missing: "not there"}})
		if (err == nil) != (link.Drop == DropAll) {
			t.Errorf("%s without numbers at random: %v", link, err)
		}
	}
	err := Matrix{{alice, bob}: {Shape: Shape{Rate: 1e6, Delay: 1}}}.CheckFeatures(features)
	if want := "the kernel lacks sch_netem, needed for delay: not there"; text(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCheck(t *testing.T) {
	pair := Pair{alice, bob}
	healthy := Measurement{Pair: pair, Sent: 20, Arrived: 20, Median: time.Millisecond, TCP: true}
	dead := Measurement{Pair: pair, Sent: 20}
	for _, test := range []struct {
		name string
		m    Matrix
		r    Measurement
		want string
	}{
		{"healthy", nil, healthy, ""},
		{"dead without cause", nil, dead, "more than was asked for: 0 of 20 UDP packets arrived, at least 20 should"},
		{"cut", Matrix{pair: {Drop: DropAll}}, dead, ""},
		{"cut back", Matrix{pair.Back(): {Drop: DropAll}}, Measurement{Pair: pair, Sent: 20, Arrived: 20}, ""},
		{"cut that is none", Matrix{pair: {Drop: DropAll}}, healthy, "fault without effect: 20 of 20 UDP packets arrived, none should; alice -> bob: fault without effect: a TCP connection came about"},
		{"cut that leaks", Matrix{pair: {Drop: DropAll}}, Measurement{Pair: pair, Sent: 20, Arrived: 1}, "fault without effect: 1 of 20"},
		{"TCP", Matrix{pair: {Drop: DropTCP}}, Measurement{Pair: pair, Sent: 20, Arrived: 20}, ""},
		{"TCP that is none", Matrix{pair.Back(): {Drop: DropTCP}}, healthy, "fault without effect: a TCP connection"},
		{"UDP", Matrix{pair: {Drop: DropUDP}}, Measurement{Pair: pair, Sent: 20, TCP: true}, ""},
		{"UDP and no TCP", Matrix{pair: {Drop: DropUDP}}, dead, "more than was asked for: no TCP connection"},
		{"loss", Matrix{pair: {Loss: 30}}, Measurement{Pair: pair, Sent: 120, Arrived: 84, TCP: true}, ""},
		{"loss that is none", Matrix{pair: {Loss: 30}}, Measurement{Pair: pair, Sent: 120, Arrived: 120, TCP: true}, "fault without effect: 120 of 120 UDP packets arrived, at most 109 should"},
		{"every third", Matrix{pair: {Every: 3}}, Measurement{Pair: pair, Sent: 100, Arrived: 67, TCP: true}, ""},
		{"every third that is none", Matrix{pair: {Every: 3}}, Measurement{Pair: pair, Sent: 100, Arrived: 100, TCP: true}, "fault without effect: 100 of 100 UDP packets arrived, at most 90 should"},
		{"partition", Matrix{pair: {Drop: DropPartition}}, dead, ""},
		{"partition that is none", Matrix{pair: {Drop: DropPartition}}, healthy, "fault without effect: 20 of 20 UDP packets arrived, none should"},
		{"delay", Matrix{pair: {Shape: Shape{Delay: time.Second, Jitter: 10 * time.Millisecond}}}, Measurement{Pair: pair, Sent: 20, Arrived: 20, Median: time.Second, TCP: true}, ""},
		{"delay that is none", Matrix{pair: {Shape: Shape{Delay: 50 * time.Millisecond}}}, healthy, "fault without effect: packets take 1ms, they should take 50ms"},
		{"duplicates that are none", Matrix{pair: {Shape: Shape{Duplicate: 20}}}, Measurement{Pair: pair, Sent: 200, Arrived: 200, TCP: true}, "fault without effect: of 200 packets none arrived twice, about 40 should"},
		{"order that stays", Matrix{pair: {Shape: Shape{Delay: 1, Reorder: 25}}}, Measurement{Pair: pair, Sent: 200, Arrived: 200, TCP: true}, "fault without effect: of 200 packets none were overtaken, about 50 should"},
		{"rate that is none", Matrix{pair: {Shape: Shape{Rate: 1e6}}}, Measurement{Pair: pair, Sent: 20, Arrived: 20, Rate: 1e9, TCP: true}, "fault without effect: packets pass at 1000000000 bit/s, the rate is 1000000 bit/s"},
		{"black hole that is none", Matrix{pair: {Over: 1000}}, Measurement{Pair: pair, Sent: 20, Arrived: 20, LongSent: 20, Long: 20, TCP: true}, "fault without effect: 20 of 20 packets longer than 1000 bytes arrived"},
	} {
		err := test.m.Check(test.r, names)
		got := text(err)
		if without := strings.Contains(got, "without effect"); errors.Is(err, ErrNoEffect) != without {
			t.Errorf("%s: that it is an ErrNoEffect is %t", test.name, !without)
		}
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		if got != "" && !strings.HasPrefix(got, "alice -> bob: ") {
			t.Errorf("%s: %q does not name the pair", test.name, got)
		}
	}
}

func TestCount(t *testing.T) {
	var r Measurement
	ms := int64(time.Millisecond)
	r.count([]arrival{{Seq: 1, At: 3 * ms}, {Seq: 0, At: 5 * ms}, {Seq: 1, At: 6 * ms}, {Seq: 1, At: 7 * ms}, {Seq: 4, At: ms}})
	want := Measurement{Arrived: 3, Duplicated: 1, Overtaken: 1, Least: time.Millisecond, Median: 3 * time.Millisecond, Most: 5 * time.Millisecond}
	if r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
	if got := rateOf([]arrival{{}, {}, {}, {At: 0}, {At: ms, Size: 83}, {At: 2 * ms, Size: 83}}); got != 1_000_000 {
		t.Errorf("%d bit/s, want 125 bytes a millisecond", got)
	}
}
