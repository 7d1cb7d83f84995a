package scenarios

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// lint returns what is wrong with a scenario, a line each.
func lint(t *testing.T, text string) string {
	t.Helper()
	s, err := Parse("x.txt", text)
	if err == nil {
		_, err = s.Plans(t.Context(), nil, "", nil)
	}
	var wrong Problems
	if err != nil && !errors.As(err, &wrong) {
		t.Fatalf("%T is no Problems: %v", err, err)
	}
	return wrong.Error()
}

func TestLintPoints(t *testing.T) {
	const before = "cluster alice bob charly\n"
	for _, tc := range []struct{ line, want string }{
		{"partiton alice / rest", `2:1: there is no verb and no peer "partiton": did you mean partition?`},
		{"kill alcie", `2:6: no such peer as "alcie": did you mean alice?`},
		{"  kill  alice,bo", `2:9: no such peer as "bo": did you mean bob?`},
		{"await 10 all see 3 alive", `2:7: "10": want one duration with its unit, such as 90s`},
		{"await 10sec all see 3 alive", `2:7: "10sec": want a duration`},
		{"await 0s all see 3 alive", `2:7: "0s": want more than no time`},
		{"await 10s all see 4 alive", `2:19: nobody can see 4: the cluster has 3`},
		{"await 10s all see bob ded", `2:23: "ded" is no state: did you mean dead?`},
		{"await 10s everybody is happy", `"everybody is happy" is no condition: there are PEER… see N alive`},
		{"await 10s events member.ded>=1", `2:18: there are no events "member.ded": did you mean member.dead`},
		{"await 10s events member.dead", `2:18: "member.dead": want the kind of events, and how many`},
		{"await 10s all see all dead", "nobody who runs holds itself dead"},
		{"await $DETECT_MX all see 3 alive", `2:7: there is no variable $DETECT_MX: did you mean DETECT_MAX`},
		{"alice mesg hello", `2:7: a peer has no command "mesg": did you mean`},
		{`await 10s all answer "broadcast list" with motd`, `2:22: a peer has no command "broadcast list": double quotes make one word of it, write 'broadcast list' in single quotes`},
		{`alice "broadcast list"`, `2:7: a peer has no command "broadcast list": double quotes make one word of it`},
		{"await 10s all lack key motd hello", "2:7: lacks takes a key and no text: write key motd"},
		{"alice", "2:1: want a line for alice's shell"},
		{"kill", "2:1: kill PEER… [for=DURATION]: the arguments are missing"},
		{"cluster 5", "2:9: there is one cluster already"},
		{"peer alice rejon=5s", `2:12: a peer has no setting "rejon": did you mean rejoin?`},
		{"peer alice phase=full", `2:12: phase="full": use random or aligned`},
		{"peer alice rejoin=soon", `2:12: setting rejoin="soon": must be a duration`},
		{"peer alice SuspicionMlt=2", `2:12: memberlist has no plain setting "SuspicionMlt": did you mean SuspicionMult?`},
		{"peer alice SuspicionMult=0", "2:12: set SuspicionMult: 0 is out of range"},
		{"peer alice bind=x", "bind cannot be set: the engine gives each peer its address"},
		{"partition alice,bob", "a partition needs two groups"},
		{"partition alice,bob / bob", "bob is in two groups"},
		{"cut alice", "say from whom to whom"},
		{"link all loss=10%", "all all is every link"},
		{"sleep 6s", `2:1: there is no verb and no peer "sleep": did you mean wait?`},
		{"check chat membership", "2:12: a line checks one promise: write check chat, then check membership"},
		{"cut alice -> alice", "a peer has no link to itself"},
		{"link alice -> bob loss=120%", "loss: 120 % is not within 0 and 100"},
		{"link alice -> bob delay=-1ms", "delay: -1ms is not within 0 and"},
		{"link alice -> bob", "say what the link suffers"},
		{"throttle alice 0.001", "2:16: \"0.001\": want 0.01 to 1024 processors"},
		{"stall alice for=5s every=4s", "want for= above 0 and every= above that"},
		{"bootstrap restart", `2:11: "restart": want start or stop`},
		{"[windows] start", "2:1: [windows] is no condition"},
		{"[arm:x] start", `2:1: there is no arm "x"`},
		{"set n=1", `2:5: "n" is no name of a variable`},
		{"set N=1", "N is the number of peers"},
		{"start &", "start does not run in the background"},
		{"alice members 'hello", "2:7: unterminated quote"},
		{"alice msg -wiat it's", "2:7: msg: unknown flag -wiat: did you mean -wait?"},
		{"kill 'alice", "2:6: the quote is not closed"},
		{"start # now", "2:7: a comment has a line of its own"},
		{"  alice membership join @bbo", "2:25: "},
		{"! ! start", "2:3: there are two of ! and ?"},
		{"!", "there is no command on this line"},
		{"repeat 0 alice msg x", `2:8: "0": want how many times`},
		{"stdout '('", "2:8: error parsing regexp"},
		{"await 5s bootstrap lists 4", "it cannot list 4: the cluster has 3 peers"},
		{"check health dave>1", `no such peer as "dave"`},
		{"await 5s nobody but dies", "want nobody dies, or nobody but PEER"},
		{"alice bob members", `2:7: a peer has no command "bob": for a line of several peers write their names with a comma, alice,bob`},
		{"alice testfilter messagesView 5 <bob> never", "2:7: nothing judges a testfilter here"},
		{"rest members", "2:1: rest of what?"},
		{"skip ''", "want a reason"},
		{"await 5s alice answers members with (", "2:37: "},
		{"peer alice BindAddr=1.1.1.1", "2:12: BindAddr cannot be set: the engine gives each peer its address"},
		{"wait $Z", "there is no variable $Z: there are"},
	} {
		got := lint(t, before+tc.line+"\n")
		if !strings.Contains(got, tc.want) {
			t.Errorf("%s\n got %s\nwant %s", tc.line, got, tc.want)
		}
		if !strings.HasPrefix(got, "x.txt:2:") || strings.Count(got, "\n") > 0 {
			t.Errorf("%s\n got %s", tc.line, got)
		}
	}
}

func TestLintTellsAllAtOnce(t *testing.T) {
	got := lint(t, "cluster 3\nstrat\nkill dave\nawait 5s all see 9 alive\n")
	if strings.Count(got, "\n") != 2 {
		t.Errorf("want three problems, got\n%s", got)
	}
}

// Each mistake is told, and no line that is wrong only because of another.
func TestLintTellsEachMistakeOnce(t *testing.T) {
	for text, want := range map[string]string{
		"cluster 3\n! \nstrat\n":                          "2:1 3:1",
		"cluster 3\nkill 'alice\nstrat\nstart # now\n":    "2:6 3:1 4:7",
		"cluster 'three\nstart\nalice members\n":          "1:9",
		"set X='1\ncluster 3\nwait $X\nstrat\n":           "1:7 4:1",
		"cluster 3 bind=1 name=b Foo=2 rejoin=0\nstart\n": "1:11 1:25",
		"clutser 5\nstart\nalice members\n":               "1:1",
		"cluster three\nstart\nalice members\nkill bob\n": "1:9",
		"cluster 5x\nstart\nalice members\nkill bob\n":    "1:9",
		"cluster 3\npeer carol rejoin=0\nstart\ncarol members\nkill carol\nawait 5s alice sees carol alive\n": "2:6",
		"cluster 3 profile=moon\nstart\n": "1:11",
	} {
		var places []string
		for one := range strings.SplitSeq(lint(t, text), "\n") {
			place := strings.SplitN(one, ":", 4)
			places = append(places, strings.Join(place[1:3], ":"))
		}
		if got := strings.Join(places, " "); got != want {
			t.Errorf("%q: %s, want %s\n%s", text, got, want, lint(t, text))
		}
	}
}

func TestLintOfTheWhole(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "x.txt:1:1: there is no cluster",
		"start\n":                           "x.txt:1:1: there is no cluster yet",
		"cluster alice start\n":             "a peer cannot be called start: that is a verb",
		"cluster alice rest\n":              "the word has a meaning of its own",
		"cluster alice alice\n":             "alice is there twice",
		"cluster Alice\n":                   `"Alice" is no name`,
		"cluster 1001\n":                    "want 1 to 1000",
		"cluster 3 profile=moon\n":          `unknown profile "moon"`,
		"cluster 3 name=x\n":                "would give all peers one name",
		"arm a\narm a\ncluster 3\n":         "x.txt:2:5: there are two arms a",
		"cluster 3\nwait $FORGET*1000000\n": "is not within 0 and",
		"wait $FORGET\ncluster 3\n":         "$FORGET is known after the cluster line only",
		"\x00":                              "NUL character",
		"\xff":                              "not UTF-8",
	} {
		if got := lint(t, text); !strings.Contains(got, want) {
			t.Errorf("%q\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestLintLetsPass(t *testing.T) {
	for _, text := range []string{
		"cluster 5 rejoin=0 SuspicionMult=2\npeer dave name=charly\nstart\nawait $DETECT_MAX*2+1s all see 5 alive\n",
		"arm on R=5s\narm off R=0\ncluster alice bob rejoin=$R\nstart\n[arm:on] await 5s all see 2 alive\n[!sim] wait 1s\n",
		"cluster 4\nstart\npartition alice,bob / rest\nawait 1m alice,bob see rest dead\nheal\ncut alice -> rest\nlink all <-> bootstrap drop=udp\n",
		"cluster 2\nstart\nalice testfilter messagesView 5 <bob> never\nalice testsummary\n",
		"cluster 4\nstart\n! alice nonsense\nalice msg 'a # $b' &\njoin\nstall alice..charly for=1s every=2s\nmark here\ncheck not nobody but alice dies\n",
		"cluster 3\nset X=3\n  # all\nstart\nalice msg it's #1 '\nmark it's $5 & $more\n[docker] skip it's\nrepeat 2 all msg {}: it's &\nawait 5s all see $X alive\nawait 5s alice sees exactly alice, bob\n",
	} {
		if got := lint(t, text); got != "" {
			t.Errorf("%s\n%s", text, got)
		}
	}
}

// TestArmsAreReadOnce: twice as many arms, each with a line of its own, cost four
// times as much to check, for each arm has all lines. What is allocated stands for
// what is done.
func TestArmsAreReadOnce(t *testing.T) {
	cost := func(n int) float64 {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, "arm a%d X%d=1\n", i, i)
		}
		text.WriteString("cluster 3\nstart\n")
		for i := range n {
			fmt.Fprintf(&text, "[arm:a%d] wait 1s\n", i)
		}
		s, err := Parse("x.txt", text.String())
		if err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(1, func() {
			if plans, err := s.Plans(t.Context(), nil, "", nil); err != nil || len(plans) != n {
				t.Errorf("%d plans, %v", len(plans), err)
			}
		})
	}
	if once, twice := cost(30), cost(60); twice > 5*once {
		t.Errorf("30 arms: %.0f allocations, 60 arms: %.0f", once, twice)
	}
}
