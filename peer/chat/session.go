package chat

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"peerlab/peer/chat/chatpb"
)

const (
	answerTimeout = 4 * time.Second         // without a word for so long a connection is given up
	pingAfter     = 1500 * time.Millisecond // without a word, if one is due
	helloTimeout  = 5 * time.Second
	idleTimeout   = 30 * time.Second // after which who called hangs up
	askDelay      = 100 * time.Millisecond
	// maxServing bounds what one member can ask for at once, in messages.
	maxServing = 20_000
	maxPongs   = 16
)

// session is one connection after hello. Its writer takes what is due from the
// fields below, so that nothing queues for a slow member but places in the
// history. Guarded by Chat.mu.
type session struct {
	chat   *Chat
	conn   net.Conn
	reader *bufio.Reader
	member *member
	caller bool   // this peer called, and pushes
	addr   string // which it called
	wake   chan struct{}

	synced    bool   // the other has told what it has: pushing can begin
	next      uint64 // the next of this peer's messages to push
	ackDue    bool
	syncDue   bool
	answering bool // the sync due is an answer
	pullDue   bool
	askAt     time.Time // when to compare again for what is still missing, if at all
	pongs     []uint64
	serving   []*entry // pulled by the other, in the order of delivery

	heard    time.Time // when the last frame came
	due      time.Time // since when a word of the other is due; zero if none is
	syncOut  bool
	pingOut  uint64 // id of the ping sent and not answered
	pings    uint64
	lastUsed time.Time
}

// hold adds s to the chat and to its member, unless the chat has ended or the
// member has moved.
func (s *session) hold() error {
	c := s.chat
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.member.ctx.Err() != nil {
		return ErrLeft
	}
	if s.caller && s.member.addr != s.addr {
		return errors.New("the member has moved")
	}
	now := time.Now()
	s.heard, s.lastUsed, s.wake = now, now, make(chan struct{}, 1)
	s.member.sessions = append(s.member.sessions, s)
	s.member.progress = now
	s.member.failed = false
	if s.caller {
		s.member.out = s
		s.syncDue = true
	}
	return nil
}

func (s *session) release() {
	c := s.chat
	c.mu.Lock()
	defer c.mu.Unlock()
	m := s.member
	m.sessions = slices.DeleteFunc(m.sessions, func(o *session) bool { return o == s })
	if m.out == s {
		m.out = nil
	}
	for w, a := range c.asked {
		if a.of == s {
			delete(c.asked, w)
		}
	}
	if len(m.sessions) == 0 && c.met[m.writer] == m {
		delete(c.met, m.writer)
		m.stop()
	}
}

// run reads and writes until the connection ends, the chat does, or the caller
// has had no use for it for a while (nil).
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { _ = s.conn.Close() })()
	var reading sync.WaitGroup
	reading.Go(func() { cancel(s.read()) })
	err := s.write(ctx)
	cancel(err)
	_ = s.conn.Close()
	reading.Wait()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// read takes in frames until the connection ends.
func (s *session) read() error {
	c := s.chat
	var now time.Time
	for n := 1; ; n++ {
		waits := s.reader.Buffered() == 0
		f, err := readFrame(s.reader)
		if waits || n%64 == 0 {
			now = time.Now()
		}
		if err != nil {
			c.countBad(err)
			return err
		}
		if err := s.check(f); err != nil {
			c.countBad(err)
			return err
		}
		c.mu.Lock()
		s.take(f, now)
		if s.reader.Buffered() == 0 || n%64 == 0 {
			c.acknowledge()
			wake(s.wake)
		}
		c.mu.Unlock()
		if err := c.store.room(c.ctx); err != nil {
			return err
		}
	}
}

// check says what is wrong with f in itself.
func (s *session) check(f *chatpb.Frame) error {
	switch k := f.GetKind().(type) {
	case *chatpb.Frame_Message:
		return checkMessage(k.Message)
	case *chatpb.Frame_Relayed:
		return checkMessage(k.Relayed)
	case *chatpb.Frame_Hello:
		return errBadFrame{why: "with a second hello"}
	case *chatpb.Frame_Sync:
		return cmp.Or(checkMarks(k.Sync.GetHave()), checkMarks(k.Sync.GetFloor()), checkMarks(k.Sync.GetSince()), checkMarks(k.Sync.GetPresent()))
	case *chatpb.Frame_Pull:
		if n := len(k.Pull.GetRanges()); n > maxRanges {
			return errBadFrame{fmt.Sprintf("with a pull of %d ranges: the limit is %d", n, maxRanges), true}
		}
	}
	return nil
}

// take does what f, which came about now, asks for; the caller holds c.mu.
func (s *session) take(f *chatpb.Frame, now time.Time) {
	c, m := s.chat, s.member
	s.heard, s.lastUsed = now, now
	switch k := f.GetKind().(type) {
	case *chatpb.Frame_Message:
		w := writer{k.Message.GetAuthor(), k.Message.GetIncarnation()}
		if w != m.writer {
			c.stats.Forged++
			return
		}
		m.flowing = now
		c.receive(k.Message)
		m.have[w] = max(m.have[w], k.Message.GetSeq())
		s.askForHeld()
		if c.history.past(w, k.Message.GetSeq()) {
			s.ackDue = true // also of what came twice: its author does not know
		}
	case *chatpb.Frame_Relayed:
		if !c.wanted(s, k.Relayed) {
			c.stats.Unasked++
			return
		}
		c.receive(k.Relayed)
		s.askForHeld()
		s.pullDue = true
	case *chatpb.Frame_Ack:
		c.learn(m, c.self, min(k.Ack.GetSeq(), c.history.have(c.self)))
	case *chatpb.Frame_Sync:
		if !k.Sync.GetAnswer() {
			s.syncOut = false
		}
		c.takeSync(s, k.Sync)
		if !s.synced {
			s.synced = true
			s.next = m.have[c.self] + 1
		}
	case *chatpb.Frame_Pull:
		s.serve(k.Pull)
	case *chatpb.Frame_Ping:
		if len(s.pongs) < maxPongs {
			s.pongs = append(s.pongs, k.Ping.GetId())
		}
	case *chatpb.Frame_Pong:
		if k.Pong.GetId() == s.pingOut {
			s.pingOut = 0
		}
	default:
		c.stats.Unknown++
	}
}

// askForHeld makes sure that what held messages lack is asked for, from the one
// who sent them, unless it comes by itself.
func (s *session) askForHeld() {
	if s.chat.held.count > 0 && s.chat.settled {
		s.askLater(askDelay)
	}
}

func (s *session) askLater(d time.Duration) {
	if s.askAt.IsZero() {
		s.askAt = time.Now().Add(d)
		wake(s.wake)
	}
}

// serve queues what the other pulls, in the order in which it was delivered
// here. What is no longer kept is answered with a sync.
func (s *session) serve(p *chatpb.Pull) {
	c := s.chat
	c.stats.Pulls++
	had := len(s.serving)
	for _, r := range p.GetRanges() {
		w := writer{r.GetAuthor(), r.GetIncarnation()}
		entries := c.history.get(w, r.GetFirst(), r.GetLast())
		if !s.syncDue && (len(entries) == 0 || entries[0].seq > r.GetFirst()) {
			s.syncDue, s.answering = true, true
		}
		if len(s.serving)+len(entries) > maxServing {
			break
		}
		s.serving = append(s.serving, entries...)
	}
	slices.SortFunc(s.serving[had:], func(a, b *entry) int { return cmp.Compare(a.place, b.place) })
}

// parcel is what is written at once.
type parcel struct {
	frames []*chatpb.Frame
	relay  []*entry
	push   []*entry
}

func (p *parcel) empty() bool { return len(p.frames)+len(p.relay)+len(p.push) == 0 }

// collect takes what is due, and says for how long there is nothing to do
// otherwise. errIdle says that the connection has no use any more.
func (s *session) collect() (p parcel, pause time.Duration, err error) {
	c := s.chat
	c.mu.Lock()
	defer c.mu.Unlock()
	m, now := s.member, time.Now()
	if !s.askAt.IsZero() && !now.Before(s.askAt) {
		s.askAt = time.Time{}
		if !c.flaws.noSync && (c.held.count > 0 || c.behind(m)) {
			s.syncDue = true
		}
	}
	if s.syncDue {
		p.frames = append(p.frames, &chatpb.Frame{Kind: &chatpb.Frame_Sync{Sync: c.syncFrame(m, !s.answering)}})
		s.syncOut = s.syncOut || !s.answering
		s.syncDue, s.answering = false, false
	}
	if s.ackDue {
		p.frames = append(p.frames, &chatpb.Frame{Kind: &chatpb.Frame_Ack{Ack: &chatpb.Ack{Seq: c.history.have(m.writer)}}})
		s.ackDue = false
	}
	if s.pullDue {
		s.pullDue = false
		if ranges := c.lacks(s); len(ranges) > 0 {
			p.frames = append(p.frames, &chatpb.Frame{Kind: &chatpb.Frame_Pull{Pull: &chatpb.Pull{Ranges: ranges}}})
		}
	}
	for _, id := range s.pongs {
		p.frames = append(p.frames, &chatpb.Frame{Kind: &chatpb.Frame_Pong{Pong: &chatpb.Pong{Id: id}}})
	}
	s.pongs = nil

	size := 0
	for len(s.serving) > 0 && size < buffer {
		e := s.serving[0]
		s.serving = s.serving[1:]
		p.relay = append(p.relay, e)
		size += e.size()
		c.stats.Relayed++
	}
	if s.caller && s.synced {
		s.next = max(s.next, m.have[c.self]+1)
		push := c.history.get(c.self, s.next, c.pushable())
		for len(push) > 0 && size < buffer {
			p.push = append(p.push, push[0])
			size += len(push[0].frame)
			s.next = push[0].seq + 1
			push = push[1:]
		}
		c.stats.Pushed += uint64(len(p.push))
	}
	if !p.empty() {
		s.lastUsed = now
	}

	// Is a word of the other due, and for how long?
	if !s.syncOut && s.pingOut == 0 && (!s.caller || s.next <= m.have[c.self]+1) {
		s.due = time.Time{}
	} else if s.due.IsZero() {
		s.due = now
	}
	pause = time.Hour
	if !s.askAt.IsZero() {
		pause = max(s.askAt.Sub(now), 0)
	}
	if s.due.IsZero() {
		if s.caller {
			if idle := now.Sub(s.lastUsed); p.empty() && idle >= idleTimeout {
				return p, 0, errIdle
			}
			pause = min(pause, s.lastUsed.Add(idleTimeout).Sub(now))
		} else {
			// Who called would have hung up: it is gone without a word.
			if now.Sub(s.heard) >= 3*idleTimeout {
				return p, 0, errIdle
			}
			pause = min(pause, s.heard.Add(3*idleTimeout).Sub(now))
		}
		return p, pause, nil
	}
	since := s.due
	if s.heard.After(since) {
		since = s.heard
	}
	silent := now.Sub(since)
	switch {
	case silent >= answerTimeout:
		return p, 0, errors.New("no answer in time")
	case silent >= pingAfter && s.pingOut == 0:
		s.pings++
		s.pingOut = s.pings
		p.frames = append(p.frames, &chatpb.Frame{Kind: &chatpb.Frame_Ping{Ping: &chatpb.Ping{Id: s.pings}}})
		pause = min(pause, answerTimeout-silent)
	case silent < pingAfter:
		pause = min(pause, pingAfter-silent)
	default:
		pause = min(pause, answerTimeout-silent)
	}
	return p, pause, nil
}

var errIdle = errors.New("idle")

// write sends what is due until the connection ends.
func (s *session) write(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	b := make([]byte, 0, 2*buffer)
	for {
		p, pause, err := s.collect()
		if errors.Is(err, errIdle) {
			return nil
		}
		if err != nil {
			return err
		}
		if p.empty() {
			timer.Reset(pause)
			select {
			case <-s.wake:
			case <-timer.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			continue
		}
		b = b[:0]
		for _, f := range p.frames {
			b = appendFrame(b, f)
		}
		for _, e := range p.relay {
			b = appendFrame(b, &chatpb.Frame{Kind: &chatpb.Frame_Relayed{Relayed: e.message()}})
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(answerTimeout))
		if err := writeAll(s.conn, b, p.push); err != nil {
			return err
		}
		if cap(b) > 4*buffer {
			b = make([]byte, 0, 2*buffer)
		}
	}
}
