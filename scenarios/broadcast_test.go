package scenarios

import (
	"testing"

	"peerlab/observe"
)

// TestTheBroadcastMapRepeatsAsOftenAsIsSaid: with RetransmitMult and GossipNodes 1
// a key wanders from one to the next until it comes to one who has it, so that
// of three others 1.9 get it in the mean: of 120, 100 are five deviations more.
func TestTheBroadcastMapRepeatsAsOftenAsIsSaid(t *testing.T) {
	const many = `stdout '(?s)(\bk\d+\b.*?\n){100}'` + "\n"
	const text = " PushPullInterval=0 rejoin=0 no-chat=true\nstart\nwait 30s\nrepeat 40 every=2s alice broadcast add k{} v\nwait 5s\nbob,charly,dave broadcast list\n"
	for settings, line := range map[string]string{
		"RetransmitMult=1 GossipNodes=1":                        "! " + many,
		"RetransmitMult=4 GossipNodes=1":                        many,
		"RetransmitMult=1 GossipNodes=1 broadcast-retransmit=4": many,
	} {
		if res := play(t, "cluster 4 "+settings+text+line); res.Verdict != observe.Pass {
			t.Errorf("%s: %s: %s\n%s", settings, res.Verdict, res.Reason, res.Story)
		}
	}
}

// TestADeletedKeyStaysDeleted is about a partition that lasts longer than
// deletions are passed on.
func TestADeletedKeyStaysDeleted(t *testing.T) {
	const text = `cluster 4 broadcast-tombstones=30m rejoin=1m no-chat=true ProbeInterval=10s
start
await 10m all see 4 alive
alice broadcast add motd hello
wait 10m
dave broadcast list
stdout motd
partition alice,bob / charly,dave
alice broadcast del motd
wait 1h
dave broadcast list
stdout motd
heal
await 20m all see 4 alive
wait 10m
alice,bob,charly,dave broadcast list
! stdout motd
`
	if res := play(t, text); res.Verdict != observe.Pass {
		t.Errorf("%s: %s\n%s", res.Verdict, res.Reason, res.Story)
	}
}

// TestTheChatOverGossipRepeatsAsOftenAsIsSaid: what gossip misses comes with the
// chat's own sync, seconds later.
func TestTheChatOverGossipRepeatsAsOftenAsIsSaid(t *testing.T) {
	const text = " GossipNodes=1 chat-carrier=gossip rejoin=0\nstart\nawait $PUSHPULL*6 all see 4 alive\nwait 30s\nrepeat 30 every=20s alice msg 'number {}'\nwait 20s\nmeasure chat\n"
	for settings, late := range map[string]bool{
		"RetransmitMult=1":                   true,
		"RetransmitMult=8":                   false,
		"RetransmitMult=1 chat-retransmit=8": false,
	} {
		res := play(t, "cluster 4 PushPullInterval=5s "+settings+text)
		if res.Verdict != observe.Pass {
			t.Errorf("%s: %s: %s\n%s", settings, res.Verdict, res.Reason, res.Story)
			continue
		}
		p90 := res.Measures[0].Figure("latency p90").Values
		if len(p90) != 1 || (p90[0] > 1) != late {
			t.Errorf("%s: nine tenths are delivered within %v s", settings, p90)
		}
	}
}

// TestWhatIsUsedIsInTheResult: a run says with which settings it was made, those
// that nobody asked for and the engine's own among them.
func TestWhatIsUsedIsInTheResult(t *testing.T) {
	res := play(t, "cluster 2 broadcast-retransmit=3 events-kept=5\nstart\nawait 1m all see 2 alive\nalice events -n 100\nstdout '^(.*\\n){5}\\z'\n")
	if res.Verdict != observe.Pass {
		t.Errorf("%s: %s\n%s", res.Verdict, res.Reason, res.Story)
	}
	for key, want := range map[string]string{
		"EnableCompression": "false", "events-kept": "5", "rejoin": "5s", "RetransmitMult": "2", "broadcast-retransmit": "3", "broadcast-tombstones": "24h0m0s",
	} {
		if got := res.Used[key]; got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}
