package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"peerlab/event"
	"peerlab/peer/chat/encryption"
	"peerlab/peer/files"
)

// Options are what Join needs. Name, Incarnation, Listener and Events must be
// set.
type Options struct {
	Name        string
	Incarnation uint64       // larger than that of any earlier life of this name; not 0
	Listener    net.Listener // the chat closes it
	// Dial reaches another member's listener. Nil means TCP.
	Dial   func(ctx context.Context, addr string) (net.Conn, error)
	Events *event.Log
	Log    *slog.Logger // nil logs nothing

	// State is a directory in which the conversation is kept over restarts,
	// made if missing. Empty: it is not.
	State string
	// Files are where State is. Nil means this host's.
	Files files.System
	// Gossip carries what this peer says, instead of a connection to each
	// member. Nil means connections.
	Gossip *Gossip
	// Secret keeps out who does not have it. Nil means no encryption.
	Secret *encryption.Secret
	Limits Limits
	// SyncEvery is how often, give or take a half, this peer compares with a
	// random member what each has; 0 means DefaultSyncEvery.
	SyncEvery time.Duration

	flaws flaws
}

// DefaultSyncEvery is how often a chat compares with a random member.
const DefaultSyncEvery = 3 * time.Second

// flaws break the protocol on purpose: for tests of what finds that out.
type flaws struct {
	noDedupe   bool // what arrives twice is shown twice
	noHoldback bool // shown as it arrives
	noSync     bool // what was missed is not asked for
	noPersist  bool // a state directory keeps neither sequence nor incarnation
}

// Chat is this peer's part in the chat, from Join to Leave. Methods may be
// called concurrently.
type Chat struct {
	Options
	self    writer
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup
	rate    *rate.Limiter
	store   *store // nil without State, or where it could not be opened

	mu       sync.Mutex
	history  *history
	held     holdback
	texts    texts
	sent     vector             // what causes this peer's messages have told
	members  map[string]*member // in the chat, or found dead less than forgetAfter ago
	met      map[writer]*member // who called before membership told of it
	shown    map[string]uint64  // incarnation of everyone the reader was told is here
	asked    map[writer]asked
	stuck    map[writer]stuck
	lost     vector    // up to where nobody keeps what this peer lacks
	told     vector    // of it
	leftOut  int       // writers for whom a vector has no place
	had      mark      // of one writer, up to where every member is known to have what it wrote
	settled  bool      // it is known where the conversation begins for the reader
	begin    vector    // namely after that
	answered time.Time // when the first sync came
	answers  []*member // whose came, gone meanwhile or not, until it is settled
	gaps     time.Time // since when somebody offers to begin later than this peer's end
	large    uint64    // the last message that gossip cannot carry
	waiting  map[*Delivery]struct{}
	progress chan struct{} // closed when others have more, or room was made
	acks     []writer      // whose messages were delivered
	stats    counters
}

// Join starts listening. Nobody is reached before Update tells who is there. A
// State that cannot be used is no error: the chat goes on in memory, and Stats
// and the log say so.
func Join(o Options) *Chat {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	if o.SyncEvery <= 0 {
		o.SyncEvery = DefaultSyncEvery
	}
	o.Limits = o.Limits.orDefaults()
	c := &Chat{
		Options:  o,
		history:  newHistory(),
		sent:     make(vector),
		members:  make(map[string]*member),
		met:      make(map[writer]*member),
		shown:    make(map[string]uint64),
		asked:    make(map[writer]asked),
		stuck:    make(map[writer]stuck),
		waiting:  make(map[*Delivery]struct{}),
		progress: make(chan struct{}),
	}
	if o.Limits.Rate > 0 {
		c.rate = rate.NewLimiter(rate.Limit(o.Limits.Rate), max(1, int(o.Limits.Rate)))
	}
	c.restore()
	c.self = writer{c.Name, c.Incarnation}
	c.history.isMember = c.isMember
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.Events.Emit(event.Event{Kind: event.ChatStart, Life: c.Incarnation, Messages: uint64(c.Limits.History)})
	if c.Gossip != nil {
		c.Gossip.attach(c)
	}
	c.running.Go(c.accept)
	c.running.Go(c.repair)
	return c
}

// restore takes over what the state directory holds.
func (c *Chat) restore() {
	if c.State == "" {
		return
	}
	if c.Files == nil {
		c.Files = files.OS{}
	}
	s, kept, err := openStore(c.Files, c.State, c.Incarnation)
	if err != nil {
		c.stats.storeError = err.Error()
		c.Log.Error("the chat is kept in memory only", "err", err)
		return
	}
	c.store = s
	if n := len(kept.repaired); n > 0 {
		names := make([]string, 0, 5)
		for _, w := range kept.repaired[:min(n, 5)] {
			names = append(names, fmt.Sprintf("%s/%d", w.name, w.incarnation))
		}
		c.Log.Warn("the state directory says of writers that more of them was given up than is known to exist: this is not believed, and asked for again",
			"writers", n, "such_as", names)
	}
	if !c.flaws.noPersist {
		c.Incarnation, c.history, c.settled = kept.incarnation, kept.history, kept.known
		c.begin = kept.begin
	}
	s.failed = func(err error) {
		c.Log.Error("from now on the chat is kept in memory only", "err", err)
	}
	s.start()
}

// Announcement is what the others have to be told of this chat, which listens
// on addr.
func (c *Chat) Announcement(addr string) string { return Announce(addr, c.Incarnation) }

// ErrLeft answers a call of a chat that was left.
var ErrLeft = errors.New("this peer has left the chat")

// Send says text to everyone in the chat. Members that cannot be reached get it
// later. It returns at once, unless so much was said that a member which takes
// part cannot keep up: then it waits for that member, or until ctx ends.
func (c *Chat) Send(ctx context.Context, text string) (ID, error) {
	e, err := c.send(ctx, text, nil)
	if err != nil {
		return ID{}, err
	}
	return e.id(), nil
}

// SendKept is Send, and returns once the message is on disk: it will be
// delivered also if this peer is killed now, after its restart with the same
// State. An error after the message was sent comes with its ID.
func (c *Chat) SendKept(ctx context.Context, text string) (ID, error) {
	e, err := c.send(ctx, text, nil)
	if err != nil {
		return ID{}, err
	}
	if err := c.store.wait(ctx, e.place); err != nil {
		c.mu.Lock()
		if c.stats.storeError != "" {
			err = errors.New(c.stats.storeError)
		}
		c.mu.Unlock()
		return e.id(), fmt.Errorf("message %s was sent but is not kept: %w", e.id(), err)
	}
	return e.id(), nil
}

// send adds a message of this peer. For d, it notes who has to get it.
func (c *Chat) send(ctx context.Context, text string, d *Delivery) (*entry, error) {
	if err := CheckText(text); err != nil {
		return nil, err
	}
	if c.rate != nil && !c.rate.Allow() {
		return nil, fmt.Errorf("too many messages: the limit is %g a second", c.Limits.Rate)
	}
	if err := c.store.room(ctx); err != nil {
		return nil, fmt.Errorf("the state directory cannot keep up: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.awaitRoom(ctx); err != nil {
		return nil, err
	}
	e := &entry{by: c.self, seq: c.history.have(c.self) + 1, causes: c.causes(), text: text}
	e.head = appendHead(nil, fieldMessage, e)
	c.stats.Sent++
	if d != nil {
		c.expect(d, e)
	}
	c.keep(e)
	c.Events.Emit(event.Event{Kind: event.ChatSent, Message: c.texts.keep(e.id().append(make([]byte, 0, 64))), Text: text, Shell: event.ShellOf(ctx)})
	if c.Gossip != nil && !c.Gossip.send(e) {
		c.large = e.seq
	}
	now := time.Now()
	for _, m := range c.members {
		if m.have[c.self] == e.seq-1 {
			m.progress = now // it had all there was to take
		}
		c.push(m)
	}
	return e, nil
}

// causes returns what this peer has delivered of others since its message
// before, and whom it has met since: those are named even if they have said
// nothing, so that they know where this peer's words are meant for them. The
// caller holds c.mu.
func (c *Chat) causes() []mark {
	var causes []mark
	size := 0
	tell := func(w writer) {
		last := c.history.delivered(w)
		if told, known := c.sent[w]; known && last <= told || w == c.self || len(causes) >= maxCauses {
			return
		}
		if size += maxMarkSize(w.name); size > maxFrame/2 { // the others' turn is with the next message
			return
		}
		causes = append(causes, mark{w, last})
		c.sent[w] = last
	}
	for name, incarnation := range c.shown {
		tell(writer{name, incarnation})
	}
	for w := range c.history.tracks {
		tell(w)
	}
	return causes
}

// keep puts e at the end of the history; the caller holds c.mu.
func (c *Chat) keep(e *entry) {
	c.history.add(e)
	c.store.put(e)
	if h := c.history; h.places%32 == 0 || h.len() > c.Limits.Horizon || h.bytes > c.Limits.HorizonBytes {
		c.trim() // now and then will do
	}
}

// Leave waits for outstanding acks as long as ctx allows, then closes the
// listener and every connection. Telling the others is membership's part: the
// announcement has to be gone from the metadata before.
func (c *Chat) Leave(ctx context.Context) {
	c.flush(ctx)
	if c.Gossip != nil {
		c.Gossip.detach(c)
	}
	c.stop()
	_ = c.Listener.Close()
	c.running.Wait()
	c.store.close()
}
