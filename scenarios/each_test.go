package scenarios

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"peerlab/observe"
)

// Every verb and every condition has a scenario that passes and one, mutated,
// that must not: a check that cannot fail is no check.

const three = "cluster 3 RetransmitMult=8\nstart\nawait 1m all see 3 alive\n"

// mutation is a scenario that passes, and the same with something changed.
type mutation struct {
	pass, mutated string
	// want is in the reason why the mutated one does not pass.
	want    string
	verdict observe.Verdict // fail, if empty
}

func ofVerbs() map[string]mutation {
	return map[string]mutation{
		"arm": {"arm a N0=3\n" + "cluster $N0\nstart\nawait 1m all see 3 alive\n", "arm a N0=2\ncluster $N0\nstart\nawait 1m all see 2 alive\n[arm:a] check not all see 2 alive\n", "not all see 2 alive", ""},
		"set": {"set N0=3\ncluster $N0\nstart\nawait 1m all see 3 alive\n", "set N0=2\ncluster $N0\nstart\nawait 1m all see 2 alive\ncheck not all see 2 alive\n", "does not hold", ""},
		"cluster": {
			"cluster alice bob charly RetransmitMult=8\nstart\nawait 1m charly sees 3 alive\n",
			"cluster alice bob RetransmitMult=8\nstart\nawait 1m bob sees 2 alive\nawait 5s bob sees exactly bob\n", "also alice", "",
		},
		"peer": {
			"cluster 2\npeer bob bare=true\nstart\nawait 5s alice sees 1 alive\nhold 20s alice sees 1 alive\n",
			"cluster 2\npeer bob bare=false\nstart\nawait 5s alice sees 1 alive\nhold 20s alice sees 1 alive\n", "alice sees 2", "",
		},
		"skip":   {three + "[docker] skip 'not here'\n", three + "[sim] skip 'not here'\n", "not here", observe.Inconclusive},
		"start":  {three, "cluster 3\nstart alice,bob\nawait 1m all see 3 alive\n", "alice sees 2", ""},
		"stop":   {three + "stop bob\nawait 5s alice,charly see bob left\n", three + "kill bob\nawait 5s alice,charly see bob left\n", "alice sees bob", ""},
		"kill":   {three + "kill bob\nawait $DETECT_MAX*2 alice,charly see bob dead\n", three + "stop bob\nawait $DETECT_MAX*2 alice,charly see bob dead\n", "alice sees bob", ""},
		"pause":  {three + "pause bob\nawait $DETECT_MAX*2 alice,charly see bob dead\n", three + "pause bob\nresume bob\nawait $DETECT_MAX*2 alice,charly see bob dead\n", "alice sees bob alive", ""},
		"resume": {three + "pause bob\nresume bob\nbob members\n", three + "pause bob\nbob members\n", "bob is paused", ""},
		"throttle": {
			three + "throttle bob 0.01\nwait 10s\nalice members bob\nstdout ' [1-9]0[.]4ms '\nthrottle bob off\nwait 10s\nalice members bob\nstdout ' 400µs '\n",
			three + "throttle bob 1\nwait 10s\nalice members bob\nstdout ' [1-9]0[.]4ms '\n", "no match", "",
		},
		"move": {
			three + "alice members bob\nstdout '10[.]77[.]0[.]12:'\nmove bob\nwait 2m\ncheck all see 3 alive\nalice members bob\n! stdout '10[.]77[.]0[.]12:'\n",
			three + "kill bob\nstart bob\nwait 2m\ncheck all see 3 alive\nalice members bob\n! stdout '10[.]77[.]0[.]12:'\n", "it succeeded", "",
		},
		"stall":     {three + "stall bob for=2s every=2.1s\nwait 10s\ncheck events lab.pause>=4\nresume bob\nawait 1m all see 3 alive\n", three + "stall bob for=2s every=20s\nwait 10s\ncheck events lab.pause>=4\n", "there are 1", ""},
		"bootstrap": {"cluster 2 rejoin=1s\nbootstrap stop\nstart\nwait 5s\nbootstrap start\nawait 1m all see 2 alive\n", "cluster 2 rejoin=1s\nbootstrap stop\nstart\nawait 1m all see 2 alive\n", "sees 1", ""},
		"partition": {three + "partition alice / rest\nawait $DETECT_MAX*2 alice sees rest dead\n", three + "partition alice / bob\nawait $DETECT_MAX*2 alice sees rest dead\n", "alive", ""},
		"cut":       {three + "cut alice <-> rest\nawait $DETECT_MAX*2 alice sees rest dead\n", three + "cut bob -> charly\nawait $DETECT_MAX*2 alice sees rest dead\n", "alive", ""},
		"link": {
			three + "link alice <-> rest loss=100%\nawait $DETECT_MAX*2 alice sees rest dead\nlink alice <-> rest loss=0\nawait 1m all see 3 alive\n",
			three + "link alice <-> rest loss=100%\nawait $DETECT_MAX*2 alice sees rest dead\nlink alice <-> rest delay=1ms\nawait 1m all see 3 alive\n", "alice sees", "",
		},
		"heal":   {three + "cut alice <-> rest\nheal\nhold 30s nobody dies\n", three + "cut alice <-> rest\nheal alice <-> bob\nhold 30s nobody dies\ncheck nobody dies\ncut alice <-> bob\nhold 30s nobody dies\n", "declared", ""},
		"repeat": {three + "repeat 3 every=1s alice msg 'n {}' &\nwait 5s\nawait 5s bob has message 'n 3'\n", three + "repeat 2 every=1s alice msg 'n {}' &\nwait 5s\nawait 5s bob has message 'n 3'\n", "bob does not have it", ""},
		"join":   {three + "pause bob\n! bob members &\njoin\nresume bob\n", three + "pause bob\nbob members &\njoin\n", "bob is paused", ""},
		"stdout": {three + "alice members\nstdout '^bob .*alive'\nstdout charly\n", three + "alice members\nstdout '^bob .*dead'\n", "no match", ""},
		"mark":   {three + "kill bob\nawait 1m alice,charly see bob dead\nmark later\nawait 1s nobody dies\n", three + "kill bob\nawait 1m alice,charly see bob dead\nawait 1s nobody dies\n", "declared bob dead", ""},
		"await":  {three + "kill bob\nawait 1m alice sees bob dead\n", three + "kill bob\nawait 1s alice sees bob dead\n", "not within 1s", ""},
		"hold":   {three + "hold 30s all see 3 alive\n", three + "kill bob\nhold 30s alice sees bob member\n", "no longer holds after", ""},
		"wait":   {three + "kill bob\nwait 1m\ncheck alice sees bob gone\n", three + "kill bob\nwait 1s\ncheck alice sees bob gone\n", "does not hold", ""},
		"check":  {three + "check membership\ncheck all see 3 alive\n", three + "check all see 2 alive\n", "alice sees 3", ""},
		"measure": {
			three + "kill bob\nawait $DETECT_MAX alice,charly see bob dead\nmeasure detection\nstdout 'detection kill first'\n",
			three + "kill bob\nawait $DETECT_MAX alice,charly see bob dead\nmeasure chat\nstdout 'detection kill first'\n", "no match", "",
		},
	}
}

func ofConditions() map[string]mutation {
	left := three + "partition alice / rest\nawait $DETECT_MAX*2 alice sees rest dead\n"
	return map[string]mutation{
		"PEER… see N alive|members": {left + "check alice sees 1 alive\ncheck bob,charly see 2 members\n", left + "check all see 2 alive\n", "alice sees 1", ""},
		"PEER… see exactly PEER…":   {left + "check bob,charly see exactly bob,charly\n", left + "check bob,charly see exactly all\n", "bob sees not alice", ""},
		"nobody [but PEER…] dies":   {left + "mark cut\nhold 5s nobody dies\nheal\nkill bob\nwait 30s\ncheck nobody but bob dies\n", left + "check nobody but bob dies\n", "declared", ""},
		"chat complete":             {three + "wait 5s\nalice msg hello\nawait 5s chat complete\n", three + "wait 5s\npartition alice / rest\nalice msg hello\nawait 5s chat complete\n", `"hello" did not reach bob, charly`, ""},
		"PEER… has message TEXT…":   {three + "wait 5s\nalice msg 'hello you'\nawait 5s all have message hello you\n", three + "wait 5s\nalice msg hello\nawait 5s all have message hello you\n", "alice does not have it", ""},
		"PEER… has key KEY [TEXT…]": {three + "wait 5s\nalice broadcast add motd hello you\nawait 1m all have key motd hello you\ncheck all have key motd\n", three + "wait 5s\nalice broadcast add motd hello\nawait 1m all have key motd\nawait 5s all have key motd hello you\n", "alice has another text, set by alice", ""},
		"PEER… lacks key KEY":       {three + "wait 5s\ncheck all lack key motd\nalice broadcast add motd hello\nawait 1m all have key motd\nbob broadcast del motd\nawait 1m all lack key motd\n", three + "wait 5s\nalice broadcast add motd hello\nawait 1m all have key motd\ncheck bob lacks key motd\n", "bob has it, set by alice", ""},
		"health PEER…>=N":           {three + "check health all=0\npartition alice / rest\nawait 1m health alice>=2\n", three + "await 1m health alice>=2\n", "alice: 0", ""},
		"bootstrap lists PEER…|N":   {three + "await 5s bootstrap lists 2\n", three + "bootstrap stop\nawait 5s bootstrap lists 2\n", "no peer gets an answer", ""},
		"PEER… answer LINE… with REGEXP": {
			three + "bob broadcast add motd 'hello, all'\nawait 1m all answer 'broadcast list' with 'motd +hello'\nkill charly\ncheck all answer broadcast list with motd\ncheck not alice,charly answer 'broadcast list' with motd\n",
			three + "bob broadcast add motd hello\ncheck all answer 'members' with motd\n", "alice answers otherwise", "",
		},
		"PEER… ends": {three + "bob quit\nawait 30s bob ends\n", three + "await 30s bob ends\n", "still there: bob", ""},
		"events KIND>=N [by PEER…] [about PEER…]": {
			three + "kill bob\nwait 1m\ncheck events member.dead>=1 about bob\ncheck events member.dead=0 about alice by charly\ncheck events peer.started = 3\ncheck events member.dead <= 3 by alice\n",
			three + "kill bob\nwait 1m\ncheck events member.dead<1 by alice,charly about bob\n", "there are", "",
		},
		"PEER… see PEER… alive|suspect|dead|left|unknown|gone|member": {
			left + "check alice sees bob,charly gone\ncheck bob sees charly alive\nawait 5m alice sees rest unknown\n",
			left + "check all see alice member\n", "bob sees alice", "",
		},
	}
}

func TestEachVerbAndCondition(t *testing.T) {
	cases := ofVerbs()
	maps.Copy(cases, ofConditions())
	var all []string
	for _, v := range verbs() {
		all = append(all, v.name)
	}
	for _, k := range kindTable() {
		all = append(all, k.form)
	}
	for _, name := range all {
		if _, ok := cases[name]; !ok {
			t.Errorf("%s has no test", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		m := cases[name]
		if !slices.Contains(all, name) {
			t.Errorf("there is no %s to test", name)
		}
		t.Run(strings.ReplaceAll(name, "/", " "), func(t *testing.T) {
			t.Parallel()
			res := play(t, m.pass)
			if res.Verdict != observe.Pass {
				t.Errorf("%s: %s\n%s", res.Verdict, res.Reason, res.Story)
			}
			sameAgain(t, &res.Record)
			want := m.verdict
			if want == "" {
				want = observe.Fail
			}
			res = play(t, m.mutated)
			sameAgain(t, &res.Record)
			if res.Verdict != want || !strings.Contains(res.Reason, m.want) {
				t.Errorf("mutated: %s: %s\n%s", res.Verdict, res.Reason, res.Story)
			}
		})
	}
}
