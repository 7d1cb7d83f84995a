package chat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"peerlab/peer/files"
)

// store keeps the history in a file. What is put is written by one goroutine,
// as much as has come meanwhile in one transaction, in the order of delivery:
// so what is on disk after a crash is closed under causes. A nil store keeps
// nothing.
type store struct {
	path   string
	db     *bbolt.DB
	failed func(error) // called once, when a write fails
	done   chan struct{}

	mu      sync.Mutex
	queue   []*entry
	bytes   int
	from    uint64 // entries before this place are not kept
	floors  vector // of writers, due to be written
	begin   vector // due to be written, if not nil
	skipped bool   // floors are due
	written uint64 // place of the last entry on disk
	why     error  // of the failure
	closed  bool
	more    chan struct{} // closed when there is work
	changed chan struct{} // closed when some was done
}

// kept is what a store held when it was opened.
type kept struct {
	incarnation uint64 // for this life: later than any before
	history     *history
	known       bool   // where the conversation begins
	begin       vector // namely after that
}

var (
	bucketMeta     = []byte("meta")
	bucketLog      = []byte("log")   // place, 8 bytes big endian: a Message
	bucketFloors   = []byte("floor") // marks
	bucketBegin    = []byte("begin") // as floor
	keyIncarnation = []byte("incarnation")
	keySettled     = []byte("settled")
)

// The most that waits to be written.
const (
	maxUnwritten      = 8192
	maxUnwrittenBytes = 8 << 20
)

// openStore opens the file chat.db in dir, a directory of sys, and notes the start of a new life.
func openStore(sys files.System, dir string, incarnation uint64) (s *store, k kept, err error) {
	path := filepath.Join(dir, "chat.db")
	defer func() {
		if damage := recover(); damage != nil { // bbolt's answer to a damaged page
			s, err = nil, fmt.Errorf("chat state %s is damaged: %v", path, damage)
		}
	}()
	if err := sys.MkdirAll(dir, 0o700); err != nil {
		return nil, kept{}, fmt.Errorf("chat state: %w", err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, OpenFile: sys.OpenDatabase})
	if errors.Is(err, berrors.ErrTimeout) {
		err = errors.New("another peer uses it")
	}
	if err != nil {
		return nil, kept{}, fmt.Errorf("chat state %s: %w", path, err)
	}
	s = &store{
		path: path, db: db, done: make(chan struct{}), floors: make(vector),
		more: make(chan struct{}), changed: make(chan struct{}),
	}
	k.history = newHistory()
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketLog, bucketFloors, bucketBegin} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		k.incarnation = incarnation
		if b := meta.Get(keyIncarnation); len(b) == 8 {
			k.incarnation = max(incarnation, binary.BigEndian.Uint64(b)+1)
		}
		k.known = meta.Get(keySettled) != nil
		if err := meta.Put(keyIncarnation, binary.BigEndian.AppendUint64(nil, k.incarnation)); err != nil {
			return err
		}
		k.begin = make(vector)
		if err := loadMarks(tx.Bucket(bucketBegin), func(w writer, seq uint64) { k.begin[w] = seq }); err != nil {
			return err
		}
		return load(tx, k.history)
	})
	if err != nil {
		_ = db.Close()
		return nil, kept{}, fmt.Errorf("chat state %s: %w", path, err)
	}
	s.written = k.history.places
	return s, k, nil
}

// load fills h from the file.
func load(tx *bbolt.Tx, h *history) error {
	if err := loadMarks(tx.Bucket(bucketFloors), h.skip); err != nil {
		return err
	}
	author := ""
	return tx.Bucket(bucketLog).ForEach(func(k, v []byte) error {
		if len(k) != 8 {
			return errors.New("a damaged message")
		}
		m, err := decodeMessage(v, author)
		if err != nil {
			return err
		}
		author = m.by.name
		e := new(entry)
		*e = m.entry
		e.text = string(m.body)
		h.places = binary.BigEndian.Uint64(k) - 1
		switch have := h.have(e.by); {
		case e.seq <= have:
			// Given up before it was dropped.
		case e.seq == have+1:
			h.add(e)
		default:
			return fmt.Errorf("message %s is missing", ID{e.by.name, e.by.incarnation, have + 1})
		}
		return nil
	})
}

// Marks are kept as author, 0, incarnation: sequence number.

func loadMarks(b *bbolt.Bucket, each func(writer, uint64)) error {
	return b.ForEach(func(k, v []byte) error {
		if len(k) < 10 || len(v) != 8 {
			return errors.New("a damaged mark")
		}
		each(writer{string(k[:len(k)-9]), binary.BigEndian.Uint64(k[len(k)-8:])}, binary.BigEndian.Uint64(v))
		return nil
	})
}

func saveMarks(b *bbolt.Bucket, v vector) error {
	for w, seq := range v {
		k := binary.BigEndian.AppendUint64(append([]byte(w.name), 0), w.incarnation)
		if err := b.Put(k, binary.BigEndian.AppendUint64(nil, seq)); err != nil {
			return err
		}
	}
	return nil
}

// start starts writing.
func (s *store) start() { go s.run() }

// put adds e, without waiting.
func (s *store) put(e *entry) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why != nil {
		return
	}
	s.queue = append(s.queue, e)
	s.bytes += e.size()
	s.signal()
}

// trim notes what h no longer keeps.
func (s *store) trim(h *history) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := h.oldest(); e != nil {
		s.from = e.place
	}
	s.floors = h.floors()
	s.signal()
}

// skip notes what h has given up.
func (s *store) skip(h *history) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.floors, s.skipped = h.floors(), true
	s.signal()
}

// settle notes where the conversation begins.
func (s *store) settle(begin vector) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin = begin
	s.signal()
}

func (s *store) signal() {
	close(s.more)
	s.more = make(chan struct{})
}

// err returns why nothing is kept any more, or nil.
func (s *store) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

var errNoState = errors.New("this peer has no state directory: run it with --state DIR")

// wait returns once the entry at place is on disk.
func (s *store) wait(ctx context.Context, place uint64) error {
	if s == nil {
		return errNoState
	}
	return s.until(ctx, func() bool { return s.written >= place })
}

// room waits until not too much waits to be written.
func (s *store) room(ctx context.Context) error {
	if s == nil {
		return nil
	}
	err := s.until(ctx, func() bool {
		return s.why != nil || len(s.queue) < maxUnwritten && s.bytes < maxUnwrittenBytes
	})
	return err
}

func (s *store) until(ctx context.Context, ok func() bool) error {
	for {
		s.mu.Lock()
		good, why, changed := ok(), s.why, s.changed
		s.mu.Unlock()
		switch {
		case good:
			return nil
		case why != nil:
			return why
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// run writes until close.
func (s *store) run() {
	defer close(s.done)
	var trimmed uint64
	for {
		s.mu.Lock()
		w := work{s.queue, s.from, s.from > trimmed || s.skipped, s.floors, s.begin}
		closed, more := s.closed, s.more
		if s.why != nil || len(w.queue) == 0 && !w.drop && w.begin == nil {
			s.mu.Unlock()
			if closed {
				return
			}
			<-more
			continue
		}
		s.queue, s.bytes, s.skipped, s.begin = nil, 0, false, nil
		s.mu.Unlock()

		err := s.write(w)
		trimmed = max(trimmed, w.from)
		s.mu.Lock()
		if err != nil {
			s.why = fmt.Errorf("write chat state %s: %w", s.path, err)
			s.queue = nil
		} else if len(w.queue) > 0 {
			s.written = w.queue[len(w.queue)-1].place
		}
		why := s.why
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		if why != nil && s.failed != nil {
			s.failed(why)
		}
	}
}

// work is what one transaction writes.
type work struct {
	queue  []*entry
	from   uint64
	drop   bool // what is before from, and write floors
	floors vector
	begin  vector // if not nil
}

func (s *store) write(w work) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		log := tx.Bucket(bucketLog)
		log.FillPercent = 0.9 // keys ascend
		for _, e := range w.queue {
			if e.place < w.from {
				continue
			}
			if err := log.Put(binary.BigEndian.AppendUint64(nil, e.place), e.encode(nil)); err != nil {
				return err
			}
		}
		if w.drop {
			c := log.Cursor()
			for k, _ := c.First(); k != nil && binary.BigEndian.Uint64(k) < w.from; k, _ = c.First() {
				if err := c.Delete(); err != nil {
					return err
				}
			}
		}
		if w.drop {
			if err := saveMarks(tx.Bucket(bucketFloors), w.floors); err != nil {
				return err
			}
		}
		if w.begin != nil {
			if err := saveMarks(tx.Bucket(bucketBegin), w.begin); err != nil {
				return err
			}
			return tx.Bucket(bucketMeta).Put(keySettled, []byte{1})
		}
		return nil
	})
}

// close writes what is left.
func (s *store) close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.closed = true
	s.signal()
	s.mu.Unlock()
	<-s.done
	_ = s.db.Close()
}
