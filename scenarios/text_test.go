package scenarios

import (
	"context"
	"slices"
	"strings"
	"testing"

	"peerlab/event"
	"peerlab/observe"
	"peerlab/peer/command/commandtest"
	"peerlab/testbed"
	"peerlab/testbed/sim"
)

// delivered returns the texts that a peer was sent.
func delivered(events []event.Event, to string) (texts []string) {
	for _, e := range events {
		if e.Kind == event.ChatDelivered && e.Peer == to {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// expectTexts compares byte by byte.
func expectTexts(t *testing.T, got []string, lines []commandtest.Text) {
	t.Helper()
	var want []string
	for _, text := range lines {
		want = append(want, text.Want)
	}
	if !slices.Equal(got, want) {
		t.Errorf("what arrives is\n%q\nwant\n%q", got, want)
	}
}

// A line of a scenario reaches the peer as it is written.
func TestTextOfAScenario(t *testing.T) {
	lines := append(commandtest.Texts(),
		commandtest.Text{Line: "msg it's $V and ${V}, not $v", Want: "it's a value and a value, not of alice"},
		commandtest.Text{Line: "msg '$V'", Want: "$V"},
		commandtest.Text{Line: "msg 'in the background' &\njoin", Want: "in the background"},
	)
	var b strings.Builder
	b.WriteString("set V='a value'\ncluster 2\nstart\nawait 10s all see 2 alive\nwait 5s\nalice set v of alice\n")
	for _, text := range lines {
		b.WriteString("alice " + text.Line + "\n")
	}
	b.WriteString("repeat 2 alice msg it's {} #1\nmark it's #1, $V, $5\nwait 1s\n[docker] skip it's\n")
	res := play(t, b.String())
	if res.Verdict != observe.Pass {
		t.Fatalf("%s: %s", res.Verdict, res.Reason)
	}
	lines = append(lines, commandtest.Text{Want: "it's 1 #1"}, commandtest.Text{Want: "it's 2 #1"})
	expectTexts(t, delivered(res.Events, "bob"), lines)
	if !slices.ContainsFunc(res.Events, func(e event.Event) bool { return e.Kind == testbed.LabMark && e.Text == "it's #1, a value, $5" }) {
		t.Error("the mark is not as it is written")
	}
	// The rest of a skip is its reason.
	if res := play(t, "cluster 2\n[sim] skip it's #1  of '2'\n"); res.Reason != "skipped: it's #1  of '2'" {
		t.Errorf("skipped: %q", res.Reason)
	}
}

// A text that is named is read as the line that made it: as it is written.
func TestTextThatIsNamed(t *testing.T) {
	res := play(t, `cluster 2
start
await 20s all see 2 alive
wait 5s
mark it's fine
mark a   b
mark "quo ted"
alice msg it's   fine #1
alice msg you see it
alice broadcast add k a   b
await 10s bob has message it's   fine #1
await 10s all have message you see it
await 60s bob has key k a   b
check not bob has key k a b
await 60s all answer broadcast list with k +a   b
measure fp since it's fine
measure fp since a   b
measure fp since "quo ted"
measure fp since quo ted
`)
	if res.Verdict != observe.Pass {
		t.Errorf("%s: %s", res.Verdict, res.Reason)
	}
}

// A line that changes no link is no fault, and no end of one.
func TestLinksThatStayAreNoEvents(t *testing.T) {
	res := play(t, "cluster 2\nstart\nheal\ncut alice -> bob\ncut alice -> bob for=1s\ncut alice -> bob\nheal\nheal\n"+
		"check events lab.cut=1\ncheck events lab.heal=1\n")
	if res.Verdict != observe.Pass {
		t.Errorf("%s: %s", res.Verdict, res.Reason)
	}
}

// history keeps the engine that a test file is run on.
type history struct {
	testbed.Factory
	testbed.Engine
}

func (h *history) Name() string { return h.Factory.Name() }

func (h *history) Create(ctx context.Context, spec testbed.Spec) (testbed.Engine, error) {
	engine, err := h.Factory.Create(ctx, spec)
	h.Engine = engine
	return engine, err
}

// So does a line of a test file, and what a testfilter expects.
func TestTextOfATestFile(t *testing.T) {
	lines := commandtest.Texts()
	lines = append(lines, commandtest.Text{Line: "msg  \ttrailing blanks  ", Want: "trailing blanks  "})
	var b strings.Builder
	b.WriteString("# it's a comment\nalice init\nbob init\nalice sleep 5\n")
	for _, text := range lines {
		b.WriteString("alice " + text.Line + "\r\n")
	}
	b.WriteString("bob testfilter messagesView 1 <alice> it's fine\nbob testfilter messagesView 1 '<alice> issue #1'\nbob testfilter messagesView 1 <alice> a   b\n" +
		"alice broadcast add key it's  #1\nbob broadcast list\nalice echo it's\n")
	f, err := ParseTest("text.cmd", b.String())
	if err != nil {
		t.Fatal(err)
	}
	var events []event.Event
	err = sim.Run(t.Context(), 1, func(ctx context.Context, factory testbed.Factory) error {
		h := &history{Factory: factory}
		var out strings.Builder
		ok, err := f.Run(ctx, h, &out)
		if err != nil {
			return err
		}
		if !ok {
			t.Error(out.String())
		}
		events, _ = h.History().Since(0)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	expectTexts(t, delivered(events, "bob"), lines)
}
