package chat

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"peerlab/peer/chat/chatpb"
)

// listed makes the chat's membership know somebody at an address at which nobody
// answers.
func listed(c *Chat, name string) *member {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.meet(writer{name, 1})
	m.addr, m.last = name, name
	c.members[name] = m
	c.shown[name] = 1
	return m
}

// sessionOf is an open connection of the member's, which nobody writes to.
func sessionOf(t testing.TB, c *Chat, m *member) *session {
	s := &session{chat: c, reader: new(frameReader), member: m}
	if err := s.hold(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.release)
	return s
}

// takes hands frames to s as if they had been read.
func (s *session) takes(t testing.TB, frames ...*chatpb.Frame) {
	t.Helper()
	for _, f := range frames {
		body, err := proto.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		in, err := decode(body, "")
		if err != nil {
			t.Fatal(err)
		}
		s.chat.mu.Lock()
		s.takeAll([]incoming{in}, time.Now())
		s.chat.acknowledge()
		s.chat.mu.Unlock()
	}
}

func syncOf(have, floor vector) *chatpb.Frame {
	return &chatpb.Frame{Kind: &chatpb.Frame_Sync{Sync: &chatpb.Sync{Have: have.marks(), Floor: floor.marks(), Settled: true}}}
}

func pushed(m *chatpb.Message) *chatpb.Frame {
	return &chatpb.Frame{Kind: &chatpb.Frame_Message{Message: m}}
}

func relayedBy(m *chatpb.Message) *chatpb.Frame {
	return &chatpb.Frame{Kind: &chatpb.Frame_Relayed{Relayed: m}}
}

// pulls returns what s asks for now, as "author first-last".
func (s *session) pulls() string {
	s.chat.mu.Lock()
	defer s.chat.mu.Unlock()
	s.pullDue = false
	var asked []string
	for _, r := range s.chat.lacks(s) {
		asked = append(asked, fmt.Sprintf("%s %d-%d", r.GetAuthor(), r.GetFirst(), r.GetLast()))
	}
	return strings.Join(asked, ", ")
}

// isAsked reports whether a sync is due on s, and takes that for sent.
func (s *session) isAsked() bool {
	s.chat.mu.Lock()
	defer s.chat.mu.Unlock()
	defer func() { s.syncDue = false }()
	return s.syncDue
}

const (
	huge   = math.MaxUint64
	middle = 1 << 63
)

// Whatever a member says that others have and keep no more, it silences nobody.
func TestAMembersWordSilencesNobody(t *testing.T) {
	carol := writer{"carol", 1}
	for name, test := range map[string]struct {
		reachable bool
		have      uint64
		floor     uint64
	}{
		"of one that can be asked":                       {true, middle, middle},
		"of one that can be asked, a possible number":    {true, maxSeq, maxSeq},
		"of one that cannot, a possible number":          {false, maxSeq, maxSeq},
		"of one that cannot":                             {false, middle, middle},
		"of one that can be asked, the largest number":   {true, huge, huge},
		"of one that cannot, the largest number":         {false, huge, huge},
		"of one that can be asked, within the horizon":   {true, 100, 100},
		"of one that cannot, within the horizon":         {false, 100, 100},
		"of one that cannot, a floor beyond what it has": {false, 1, huge},
	} {
		t.Run(name, func(t *testing.T) {
			c := bare(t)
			liar, author := listed(c, "bob"), listed(c, "carol")
			s, own := sessionOf(t, c, liar), sessionOf(t, c, author)
			own.takes(t, pushed(text("carol", 1, "one")), syncOf(vector{carol: 1}, nil))
			author.failed = !test.reachable
			for range 3 {
				s.takes(t, syncOf(vector{carol: test.have}, vector{carol: test.floor}))
			}
			if have := c.history.have(carol); have != 1 {
				t.Errorf("on bob's word, %d messages of carol are behind this peer", have)
			}
			own.takes(t, pushed(text("carol", 2, "two")), pushed(text("carol", 3, "three")))
			if got := delivered(c); got != "one two three" {
				t.Errorf("shown: %q", got)
			}
		})
	}
}

// Not even a message in its name silences an author for longer than it cannot be
// asked: when it says itself what it has written, that counts.
func TestTheAuthorsOwnWordCounts(t *testing.T) {
	for _, n := range []uint64{5, 20_000, maxSeq, huge} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			carol := writer{"carol", 1}
			c := bare(t)
			liar, author := listed(c, "bob"), listed(c, "carol")
			s, own := sessionOf(t, c, liar), sessionOf(t, c, author)
			own.takes(t, pushed(text("carol", 1, "one")), syncOf(vector{carol: 1}, nil))
			author.failed, author.flowing = true, time.Time{}
			s.takes(t, syncOf(vector{carol: n}, vector{carol: n - 1}))
			if n <= maxSeq && s.pulls() == "" {
				t.Error("bob is not asked")
			}
			s.takes(t, relayedBy(text("carol", n, "forged")))
			author.failed = false
			own.takes(t, syncOf(vector{carol: 2}, nil), pushed(text("carol", 2, "two")), pushed(text("carol", 3, "three")))
			if got := strings.ReplaceAll(delivered(c), "forged ", ""); got != "one two three" {
				t.Errorf("shown: %q", got)
			}
		})
	}
}

// What is lost can still be given up: on the author's own word, and up to a
// message that is at hand, but on an author's word not more than a horizon.
func TestWhatIsLostIsGivenUp(t *testing.T) {
	carol := writer{"carol", 1}
	c := bare(t)
	author, bob := listed(c, "carol"), listed(c, "bob")
	own, s := sessionOf(t, c, author), sessionOf(t, c, bob)
	s.takes(t, syncOf(nil, nil))
	own.takes(t, pushed(text("carol", 1, "one")), syncOf(vector{carol: 50}, vector{carol: 50}))
	if have := c.history.have(carol); have != 50 {
		t.Errorf("on carol's own word %d are behind this peer", have)
	}
	own.takes(t, syncOf(vector{carol: middle}, vector{carol: middle}))
	if have := c.history.have(carol); have != 50 {
		t.Errorf("on an impossible number %d are behind this peer", have)
	}
	own.takes(t, syncOf(vector{carol: maxSeq}, vector{carol: maxSeq}))
	if have := c.history.have(carol); have != 50+DefaultHorizon {
		t.Errorf("on carol's own absurd word %d are behind this peer", have)
	}

	c = bare(t)
	author, bob = listed(c, "carol"), listed(c, "bob")
	s = sessionOf(t, c, bob)
	sessionOf(t, c, author).takes(t, pushed(text("carol", 1, "one")))
	author.answered, author.failed, author.flowing = true, true, time.Time{}
	s.takes(t, syncOf(vector{carol: 402}, vector{carol: 400}))
	if asked := s.pulls(); asked != "carol 401-402" {
		t.Fatalf("asked for %q", asked)
	}
	s.takes(t, relayedBy(text("carol", 401, "after the gap")), relayedBy(text("carol", 402, "and on")))
	if got := delivered(c); got != "one after the gap and on" {
		t.Errorf("shown: %q", got)
	}
	if s := c.Stats(); s.Skipped != 399 {
		t.Errorf("%d are given up", s.Skipped)
	}
}

// What follows a message that nobody keeps does not wait for it, also where its
// author is dead and nothing of it is kept.
func TestALostCauseHoldsNothingUp(t *testing.T) {
	c := bare(t)
	bob := listed(c, "bob")
	s := sessionOf(t, c, bob)
	dead := writer{"carol", 1}
	answer := text("bob", 1, "answer")
	answer.Causes = []*chatpb.Mark{{Author: "carol", Incarnation: 1, Seq: 480}}
	s.takes(t, pushed(answer))
	if delivered(c) != "" {
		t.Fatal("shown before its cause, which somebody may have")
	}
	s.takes(t, syncOf(vector{dead: 500}, vector{dead: 500}))
	if got := delivered(c); got != "answer" {
		t.Errorf("shown: %q", got)
	}
	if have := c.history.have(dead); have != 0 {
		t.Errorf("on bob's word, %d messages of carol are behind this peer", have)
	}
}

// Nobody has more of this peer's messages than there are.
func TestOwnNumbersAreCapped(t *testing.T) {
	c := bare(t)
	m := listed(c, "bob")
	s := sessionOf(t, c, m)
	if _, err := c.Send(t.Context(), "hello"); err != nil {
		t.Fatal(err)
	}
	for _, n := range []uint64{7, middle, huge} {
		s.takes(t, syncOf(vector{c.self: n}, vector{c.self: n}), &chatpb.Frame{Kind: &chatpb.Frame_Ack{Ack: &chatpb.Ack{Seq: n}}})
		if m.have[c.self] != 1 || c.history.have(c.self) != 1 {
			t.Errorf("bob has %d, this peer itself %d", m.have[c.self], c.history.have(c.self))
		}
	}
}

// Marks of writers of whom neither membership nor a message told are not kept,
// and those that are replace the ones before.
func TestInventedWritersAreNotKept(t *testing.T) {
	for _, member := range []bool{true, false} {
		t.Run(fmt.Sprintf("member %v", member), func(t *testing.T) {
			c := bare(t)
			m := c.meet(writer{"bob", 1})
			if member {
				m = listed(c, "bob")
			}
			carol := writer{"carol", 1}
			listed(c, "carol")
			s := sessionOf(t, c, m)
			for round := range uint64(20) {
				v := vector{carol: 3}
				for i := range maxMarks - 1 {
					v[writer{fmt.Sprintf("invented-%d-%d", round, i), 1}] = 5
				}
				s.takes(t, syncOf(v, v))
				s.pulls()
			}
			if len(m.have) != 1 || len(m.floor) > 1 || len(c.history.tracks) != 0 || len(s.offers)+len(s.outstanding) > 2*maxRanges || len(c.asked) > maxRanges {
				t.Errorf("kept: %d marks, %d floors, %d tracks, %d and %d offers, %d requests",
					len(m.have), len(m.floor), len(c.history.tracks), len(s.offers), len(s.outstanding), len(c.asked))
			}
			s.takes(t, syncOf(nil, nil))
			if len(m.have) != 0 {
				t.Errorf("marks of before are kept: %v", m.have)
			}
		})
	}
}

// Writers of whom a member alone knows are asked for nonetheless: those it keeps
// messages of.
func TestUnknownWritersAreAskedFor(t *testing.T) {
	c := bare(t)
	s := sessionOf(t, c, listed(c, "bob"))
	dead, gone := writer{"dead", 1}, writer{"gone", 1}
	s.takes(t, syncOf(vector{dead: 2, gone: 9}, vector{gone: 9}))
	if asked := s.pulls(); asked != "dead 1-2" {
		t.Fatalf("asked for %q", asked)
	}
	s.takes(t, relayedBy(text("dead", 1, "last")), relayedBy(text("dead", 2, "words")))
	if got := delivered(c); got != "last words" {
		t.Errorf("shown: %q", got)
	}
	stranger := sessionOf(t, c, c.meet(writer{"stranger", 1}))
	stranger.takes(t, syncOf(vector{writer{"other", 1}: 2, dead: 5}, nil))
	if asked := stranger.pulls(); asked != "" {
		t.Errorf("a stranger is asked for %q", asked)
	}
}

// A vector has no more marks than receivers take, in a frame that they take: of
// members first, then of those whose messages are kept.
func TestSyncKeepsToTheReceiversLimit(t *testing.T) {
	for name, long := range map[string]int{"many": 0, "many with long names": maxName - 12} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c := bare(t)
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
			writers := maxMarks + 2000
			for i := range writers {
				w := writer{fmt.Sprintf("%012d", i) + strings.Repeat("x", long), uint64(i + 1)}
				c.history.skip(w, 5)
				if i == 0 {
					c.history.add(&entry{by: w, seq: 6})
				}
				if i == 1 {
					m := c.meet(w)
					m.addr = w.name
					c.members[w.name] = m
				}
			}
			kept, lives := writer{"000000000000" + strings.Repeat("x", long), 1}, writer{"000000000001" + strings.Repeat("x", long), 2}
			for range 2 {
				c.mu.Lock()
				f := &chatpb.Frame{Kind: &chatpb.Frame_Sync{Sync: c.syncFrame(&member{known: c.history.haves()}, true)}}
				c.mu.Unlock()
				if err := check(f); err != nil {
					t.Fatal(err)
				}
				if size := proto.Size(f); size > maxFrame {
					t.Fatalf("a frame of %d bytes", size)
				}
				have := vectorOf(f.GetSync().GetHave())
				if have[lives] != 5 || have[kept] != 6 {
					t.Errorf("the member has %d, who is kept %d", have[lives], have[kept])
				}
			}
			if n := strings.Count(log.String(), "more writers than a version vector holds"); n != 1 {
				t.Errorf("told %d times: %s", n, log.String())
			}
			c.mu.Lock()
			c.history.forget()
			c.mu.Unlock()
			if n := len(c.history.tracks); n != 2 {
				t.Errorf("%d writers are told apart", n)
			}
		})
	}
}

// Who was forgotten speaks on, and nothing it said is shown again.
func TestForgottenWriterSpeaksOn(t *testing.T) {
	c := bare(t)
	for i := range maxTracks + 1 {
		w := writer{fmt.Sprint("writer-", i), 5}
		c.history.skip(w, 3)
	}
	c.history.forget()
	w := writer{"writer-7", 5}
	if c.history.track(w) != nil || c.history.have(w) != 3 {
		t.Fatalf("up to %d, track %v", c.history.have(w), c.history.track(w))
	}
	c.Update([]Presence{{Name: w.name, Addr: "nowhere", Incarnation: 5}})
	s := sessionOf(t, c, c.members[w.name])
	for seq := range uint64(4) {
		s.takes(t, pushed(&chatpb.Message{Author: w.name, Incarnation: 5, Seq: seq + 1, Text: fmt.Sprint(seq + 1)}))
	}
	if got := delivered(c); got != "4" {
		t.Errorf("shown: %q", got)
	}
}

// A later life that nobody has seen does not end that of a member.
func TestAnInventedLifeEndsNoMember(t *testing.T) {
	c := bare(t)
	for i := range maxTracks + 1 {
		c.history.skip(writer{fmt.Sprint("writer-", i), 5}, 3)
	}
	author := listed(c, "carol")
	c.history.skip(author.writer, 2)
	c.history.skip(writer{"carol", huge}, 1)
	c.history.forget()
	sessionOf(t, c, author).takes(t, pushed(text("carol", 3, "still here")))
	if got := delivered(c); got != "still here" {
		t.Errorf("shown: %q", got)
	}
}

// What others say that a member has written is asked of that member first, and
// of them not beyond what it says itself: nobody can speak ahead in its name.
func TestTheAuthorIsAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bare(t)
		liar, author := listed(c, "bob"), listed(c, "carol")
		carol := author.writer
		s, own := sessionOf(t, c, liar), sessionOf(t, c, author)
		author.out = own // or it would be called
		own.takes(t, pushed(text("carol", 1, "one")), syncOf(vector{carol: 1}, nil))
		time.Sleep(time.Second)
		s.takes(t, syncOf(vector{carol: 3}, nil))
		if asked := s.pulls(); asked != "" {
			t.Fatalf("bob is asked for %q", asked)
		}
		if !own.isAsked() {
			t.Error("carol is not asked")
		}
		time.Sleep(time.Second)
		own.takes(t, syncOf(vector{carol: 1}, nil))
		time.Sleep(2 * time.Second)
		if asked := s.pulls(); asked != "" {
			t.Errorf("bob is asked for %q, which carol has not written", asked)
		}
		s.takes(t, relayedBy(text("carol", 2, "forged")))
		own.takes(t, pushed(text("carol", 2, "two")))
		if got := delivered(c); got != "one two" {
			t.Errorf("shown: %q", got)
		}
		// It does not answer: others' word has to do.
		time.Sleep(time.Minute)
		s.takes(t, syncOf(vector{carol: 3}, nil))
		s.pulls()
		time.Sleep(askAgain)
		if asked := s.pulls(); asked != "carol 3-3" {
			t.Errorf("bob is asked for %q", asked)
		}
	})
}

// Who is asked in vain does not keep others from being asked, nor from giving up
// what it pretends to have.
func TestAskedInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bare(t)
		dead := writer{"carol", 1}
		author := listed(c, "carol")
		author.addr, author.answered = "", true
		liar, honest := sessionOf(t, c, listed(c, "bob")), sessionOf(t, c, listed(c, "dave"))
		has := syncOf(vector{dead: 2}, nil)
		liar.takes(t, has)
		if asked := liar.pulls(); asked != "carol 1-2" {
			t.Fatalf("bob is asked for %q", asked)
		}
		time.Sleep(askAgain)
		liar.takes(t, has)
		if asked := liar.pulls(); asked != "" {
			t.Errorf("bob is asked again for %q, before anybody else is", asked)
		}
		honest.takes(t, has)
		if asked := honest.pulls(); asked != "carol 1-2" {
			t.Errorf("dave is asked for %q", asked)
		}
		honest.takes(t, relayedBy(text("carol", 1, "one")), relayedBy(text("carol", 2, "two")))
		if got := delivered(c); got != "one two" {
			t.Errorf("shown: %q", got)
		}

		honest.takes(t, syncOf(vector{dead: 9}, vector{dead: 8}))
		for range 2 * maxFailures {
			liar.takes(t, syncOf(vector{dead: 9}, nil))
			liar.pulls()
			time.Sleep(3 * askAgain)
		}
		honest.takes(t, syncOf(vector{dead: 9}, vector{dead: 8}))
		if asked := honest.pulls(); asked != "carol 9-9" {
			t.Errorf("dave is asked for %q", asked)
		}
		honest.takes(t, relayedBy(text("carol", 9, "nine")))
		if got := delivered(c); got != "one two nine" {
			t.Errorf("shown: %q", got)
		}
	})
}

// An author that names a cause which nobody wrote, to one peer and not to others,
// holds up neither itself nor those who answer it.
func TestAnInventedCauseHoldsNobodyUp(t *testing.T) {
	// Bob can be asked whether he wrote the cause. Of nobody's it is not known, so
	// the message that names it waits, and perhaps the answer to it.
	for _, of := range []string{"bob", "nobody"} {
		t.Run("of "+of, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := bare(t)
				liar := sessionOf(t, c, listed(c, "mallory"))
				honest := sessionOf(t, c, listed(c, "bob"))
				liar.member.out, honest.member.out = liar, honest // or they would be called
				bad := text("mallory", 1, "to me")
				bad.Causes = []*chatpb.Mark{{Author: of, Incarnation: 1, Seq: 9}}
				liar.takes(t, pushed(bad))
				answer := text("bob", 1, "answer")
				answer.Causes = []*chatpb.Mark{{Author: "mallory", Incarnation: 1, Seq: 1}}
				honest.takes(t, pushed(answer))
				began := time.Now()
				for time.Since(began) < causeTimeout+10*askAgain && len(delivered(c)) < len("to me answer") {
					c.mu.Lock()
					c.excuse(time.Now())
					c.mu.Unlock()
					time.Sleep(askAgain / 2)
					if honest.isAsked() {
						honest.takes(t, syncOf(vector{writer{"mallory", 1}: 1, writer{"bob", 1}: 1}, nil))
					}
					// It talks, but does not say what it has.
					liar.takes(t, &chatpb.Frame{Kind: &chatpb.Frame_Ping{Ping: &chatpb.Ping{Id: 1}}})
				}
				if got := delivered(c); got != "to me answer" && (of == "bob" || got != "answer to me") {
					t.Errorf("shown: %q", got)
				}
				if took := time.Since(began); of == "bob" && took > 10*askAgain {
					t.Errorf("after %s", took)
				}
				if c.held.count != 0 || c.held.bytes != 0 || len(c.held.causes) != 0 {
					t.Errorf("held: %d messages, %d bytes, %d causes", c.held.count, c.held.bytes, len(c.held.causes))
				}
			})
		})
	}
}

// A message fits into a frame however many writers with however long names it
// names.
func TestMessageFitsAFrame(t *testing.T) {
	c := bare(t)
	for i := range maxCauses + 10 {
		c.history.add(&entry{by: writer{fmt.Sprintf("%010d", i) + strings.Repeat("x", maxName-10), 1}, seq: 1})
	}
	told := 0
	for range 3 {
		if _, err := c.Send(t.Context(), strings.Repeat("x", MaxText)); err != nil {
			t.Fatal(err)
		}
		e := c.history.order[len(c.history.order)-1]
		frame := append(appendHead(nil, fieldMessage, e), e.text...)
		if _, err := (&frameReader{conn: bytes.NewReader(frame)}).next(); err != nil {
			t.Fatal(err)
		}
		told += len(e.causes)
	}
	if told != maxCauses+10 {
		t.Errorf("%d causes are told", told)
	}
}

// Where a hello may come from.
func TestSameHost(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"10.0.0.1:7947", "10.0.0.1:40000", true},
		{"10.0.0.1:7947", "10.0.0.2:7947", false},
		{"10.0.0.1:7947", "[::ffff:10.0.0.1]:40000", true},
		{"[fe80::1%eth0]:7947", "[fe80::1]:40000", true},
		{"[fe80::1]:7947", "[fe80::2]:7947", false},
		{"in memory", "10.0.0.2:7947", true}, // which tells nothing
		{"10.0.0.1:7947", "in memory", true},
	} {
		if got := sameHost(test.a, test.b); got != test.same {
			t.Errorf("%s and %s: %v", test.a, test.b, got)
		}
	}
}

// A name that cannot be written is no member: it would make everything
// unreadable that names it.
func TestUnwritableNamesAreNoMembers(t *testing.T) {
	c := bare(t)
	var all []Presence
	for _, name := range []string{"", "\xff", "a/b", "a\x1b[2J", strings.Repeat("x", maxName+1)} {
		all = append(all, Presence{Name: name, Addr: "nowhere", Incarnation: 1})
	}
	all = append(all, Presence{Name: "zero", Addr: "nowhere"}, Presence{Name: "good", Addr: "nowhere", Incarnation: 1})
	c.Update(all)
	if _, err := c.Send(t.Context(), "hello"); err != nil {
		t.Fatal(err)
	}
	e := c.history.order[len(c.history.order)-1]
	in, err := decode(frameBody(t, append(appendHead(nil, fieldMessage, e), e.text...)), "")
	if err != nil || len(in.causes) != 1 || in.causes[0].of.name != "good" {
		t.Errorf("the message is read as %+v, %v", in.arrival, err)
	}
	c.mu.Lock()
	frame := appendFrame(nil, &chatpb.Frame{Kind: &chatpb.Frame_Sync{Sync: c.syncFrame(new(member), true)}})
	c.mu.Unlock()
	if _, err := decode(frameBody(t, frame), ""); err != nil {
		t.Error(err)
	}
}

func frameBody(t *testing.T, frame []byte) []byte {
	t.Helper()
	body, err := (&frameReader{conn: bytes.NewReader(frame)}).next()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// The beginning of the conversation is members' word, not that of whoever calls.
func TestAStrangerDoesNotSayWhereTheConversationBegins(t *testing.T) {
	c := bare(t)
	c.settled = false
	carol := listed(c, "carol")
	stranger := sessionOf(t, c, c.meet(writer{"stranger", 1}))
	lie := &chatpb.Sync{Since: vector{carol.writer: middle}.marks(), Settled: true}
	stranger.takes(t, &chatpb.Frame{Kind: &chatpb.Frame_Sync{Sync: lie}})
	if c.settled || len(c.answers) != 0 {
		t.Fatal("settled on a stranger's word")
	}
	own := sessionOf(t, c, carol)
	own.takes(t, syncOf(nil, nil), pushed(text("carol", 1, "one")))
	if got := delivered(c); got != "one" {
		t.Errorf("shown: %q", got)
	}
}

// Messages that are held back do not stay for ever when who sent them is gone.
func TestOrphansAreDropped(t *testing.T) {
	c := bare(t)
	stranger := sessionOf(t, c, c.meet(writer{"stranger", 1}))
	c.met[stranger.member.writer] = stranger.member
	member := sessionOf(t, c, listed(c, "bob"))
	for seq := range uint64(10) {
		stranger.takes(t, pushed(text("stranger", seq+5, "x")))
		member.takes(t, pushed(text("bob", seq+5, "x")))
	}
	delete(c.met, stranger.member.writer)
	c.mu.Lock()
	c.dropOrphans()
	c.mu.Unlock()
	if c.held.count != 10 {
		t.Errorf("%d are held", c.held.count)
	}
}
