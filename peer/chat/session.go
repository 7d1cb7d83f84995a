package chat

import (
	"cmp"
	"context"
	"errors"
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
	// How much is written at once, in bytes: more, if what was written before took
	// a short time only.
	firstParcel = 64 << 10
	maxParcel   = 512 << 10
	short       = 100 * time.Millisecond
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
	reader *frameReader
	member *member
	caller bool   // this peer called, and pushes
	addr   string // which it called
	wake   chan struct{}

	synced    bool   // the other has told what it has: pushing can begin
	next      uint64 // the next of this peer's messages to push
	parcel    int    // how much to push at once, in bytes
	ackDue    bool
	syncDue   bool
	answering bool // the sync due is an answer
	pullDue   bool
	askAt     time.Time // when to compare again for what is still missing, if at all
	pongs     []uint64
	// Of writers that are not known otherwise: what the other has, what of it was
	// asked for last, and when.
	offers      map[writer]offer
	outstanding []writer
	offersAsked time.Time
	serving     []*entry // pulled by the other, in the order of delivery

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
	s.heard, s.lastUsed, s.wake, s.parcel = now, now, make(chan struct{}, 1), firstParcel
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

// ackEvery is after how many frames at the latest is acked what keeps coming.
const ackEvery = 64

// read takes in frames until the connection ends.
func (s *session) read() error {
	c := s.chat
	var frames []incoming
	for n := 0; ; {
		var err error
		frames, err = s.reader.batch(frames[:0])
		now := time.Now()
		c.mu.Lock()
		s.takeAll(frames, now)
		if n += len(frames); s.reader.empty() || n >= ackEvery {
			n = 0
			c.acknowledge()
			wake(s.wake)
		}
		c.mu.Unlock()
		clear(frames) // and nothing is kept by it
		if err != nil {
			c.countBad(err)
			return err
		}
		if err := c.store.room(c.ctx); err != nil {
			return err
		}
	}
}

// takeAll does what frames, which came about now, ask for; the caller holds c.mu.
func (s *session) takeAll(frames []incoming, now time.Time) {
	s.giveAway(frames)
	for i := range frames {
		s.take(&frames[i], now)
	}
}

// giveAway saves copying the texts of frames, where they are much of what was read
// and the next that the author has to say, so that they will be kept.
func (s *session) giveAway(frames []incoming) {
	have := s.chat.history.have(s.member.writer)
	n, bytes := 0, 0
	for n < len(frames) && frames[n].is(s.member.writer, have+uint64(n)+1) {
		bytes += len(frames[n].body)
		n++
	}
	if s.reader.giveAway(bytes) {
		for i := range frames[:n] {
			frames[i].given = true
		}
	}
}

// take does what f asks for.
func (s *session) take(f *incoming, now time.Time) {
	c, m := s.chat, s.member
	s.heard, s.lastUsed = now, now
	if f.other == nil {
		s.takeMessage(f, now)
		return
	}
	switch k := f.other.GetKind().(type) {
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

// takeMessage takes in a message of the other's own, or one that was pulled from
// it.
func (s *session) takeMessage(f *incoming, now time.Time) {
	c, m := s.chat, s.member
	switch {
	case f.relayed && !c.wanted(s, f.by, f.seq):
		c.stats.Unasked++
		return
	case f.relayed:
		if c.receive(&f.arrival) {
			delete(m.failures, f.by)
		}
		s.pullDue = true
	case f.by != m.writer:
		c.stats.Forged++
		return
	default:
		m.flowing = now
		c.receive(&f.arrival)
		if f.seq <= maxSeq {
			m.have[f.by] = max(m.have[f.by], f.seq)
		}
		if c.history.past(f.by, f.seq) {
			s.ackDue = true // also of what came twice: its author does not know
		}
	}
	s.askForHeld()
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
	for len(s.serving) > 0 && size < firstParcel {
		e := s.serving[0]
		s.serving = s.serving[1:]
		p.relay = append(p.relay, e)
		size += e.size()
		c.stats.Relayed++
	}
	if s.caller && s.synced {
		s.next = max(s.next, m.have[c.self]+1)
		push := c.history.get(c.self, s.next, c.pushable())
		for len(push) > 0 && size < s.parcel {
			p.push = append(p.push, push[0])
			size += len(push[0].text)
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
	var b []byte
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
			b = append(appendHead(b, fieldRelayed, e), e.text...)
		}
		began := time.Now()
		_ = s.conn.SetWriteDeadline(began.Add(answerTimeout))
		if err := writeAll(s.conn, b, p.push); err != nil {
			return err
		}
		if cap(b) > maxParcel {
			b = nil
		}
		// The more at once, the less often the other is woken; but what is slow
		// has to be done in time.
		s.parcel = firstParcel
		if time.Since(began) < short {
			s.parcel = maxParcel
		}
	}
}

// writeAll writes b and the messages of this peer. What is long is not copied for
// that, if the connection is one of TCP.
func writeAll(conn net.Conn, b []byte, push []*entry) error {
	size := 0
	for _, e := range push {
		size += len(e.head) + len(e.text)
	}
	if c, ok := conn.(counted); ok && size > 1024*len(push) {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			all := make(net.Buffers, 0, 1+2*len(push))
			if len(b) > 0 {
				all = append(all, b)
			}
			for _, e := range push {
				all = append(all, e.head, bytesOf(e.text))
			}
			n, err := all.WriteTo(tcp)
			c.out.Add(uint64(n))
			return err
		}
	}
	b = slices.Grow(b, size)
	for _, e := range push {
		b = append(append(b, e.head...), e.text...)
	}
	_, err := conn.Write(b)
	return err
}
