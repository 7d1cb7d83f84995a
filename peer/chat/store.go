package chat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

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
	skipped bool   // floors are due, in place of those on disk
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
	// repaired are writers of whom more was given up, or before the beginning,
	// than can be true.
	repaired []writer
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
			before := binary.BigEndian.Uint64(b)
			if before == math.MaxUint64 {
				return errors.New("a damaged incarnation")
			}
			k.incarnation = max(incarnation, before+1)
		}
		k.known = meta.Get(keySettled) != nil
		if err := meta.Put(keyIncarnation, binary.BigEndian.AppendUint64(nil, k.incarnation)); err != nil {
			return err
		}
		k.begin = make(vector)
		if err := loadMarks(tx.Bucket(bucketBegin), func(w writer, seq uint64) {
			if seq > maxSeq {
				k.repaired = append(k.repaired, w)
				return
			}
			k.begin[w] = seq
		}); err != nil {
			return err
		}
		repaired, err := load(tx, k.history)
		if k.repaired = append(k.repaired, repaired...); err != nil || len(k.repaired) == 0 {
			return err
		}
		if err := replaceMarks(tx, bucketFloors, k.history.allFloors()); err != nil {
			return err
		}
		return replaceMarks(tx, bucketBegin, k.begin)
	})
	if err != nil {
		_ = db.Close()
		return nil, kept{}, fmt.Errorf("chat state %s: %w", path, err)
	}
	s.written = k.history.places
	return s, k, nil
}

// load fills h from the file. A floor above the last message of a writer that is
// kept was somebody's word, which an earlier version believed without bounds: it
// is not taken over, nor is a message before which others are missing. What is
// really lost is found to be so again.
func load(tx *bbolt.Tx, h *history) (repaired []writer, err error) {
	floors := make(vector)
	if err := loadMarks(tx.Bucket(bucketFloors), func(w writer, seq uint64) { floors[w] = seq }); err != nil {
		return nil, err
	}
	author := ""
	err = tx.Bucket(bucketLog).ForEach(func(k, v []byte) error {
		if len(k) != 8 {
			return errors.New("a damaged message")
		}
		place := binary.BigEndian.Uint64(k)
		m, err := decodeMessage(v, author)
		if err != nil {
			return err
		}
		if place <= h.places || place > maxSeq<<8 {
			return errors.New("a damaged message")
		}
		author = m.by.name
		e := new(entry)
		*e = m.entry
		e.text = string(m.body)
		h.places = place - 1
		switch have := h.have(e.by); {
		case e.seq <= have:
			return nil // twice
		case e.seq > have+1 && (e.seq > maxSeq || floors[e.by] < e.seq-1):
			repaired = append(repaired, e.by) // what is before it is missing
			return nil
		case e.seq > have+1:
			h.skip(e.by, e.seq-1)
			h.confirm(e.by)
		}
		h.add(e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for w, floor := range floors {
		switch t := h.track(w); {
		case t == nil && floor <= maxSeq:
			h.skip(w, floor)
		case t == nil || floor > t.last():
			repaired = append(repaired, w)
		}
	}
	slices.SortFunc(repaired, compareWriters)
	return slices.Compact(repaired), nil
}

// allFloors are those of writers that are forgotten too.
func (h *history) allFloors() vector {
	v := h.floors()
	for _, f := range h.forgotten {
		v[f.of] = f.seq
	}
	return v
}

// Marks are kept as author, 0, incarnation: sequence number.

func loadMarks(b *bbolt.Bucket, each func(writer, uint64)) error {
	return b.ForEach(func(k, v []byte) error {
		if len(k) < 10 || len(v) != 8 {
			return errors.New("a damaged mark")
		}
		w := writer{string(k[:len(k)-9]), binary.BigEndian.Uint64(k[len(k)-8:])}
		if !w.valid() || !utf8.ValidString(w.name) {
			return errors.New("a damaged mark")
		}
		each(w, binary.BigEndian.Uint64(v))
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

// replaceMarks saves v in place of all marks of the bucket.
func replaceMarks(tx *bbolt.Tx, bucket []byte, v vector) error {
	if err := tx.DeleteBucket(bucket); err != nil {
		return err
	}
	b, err := tx.CreateBucket(bucket)
	if err != nil {
		return err
	}
	return saveMarks(b, v)
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
	if s.floors = h.floors(); s.skipped {
		s.floors = h.allFloors()
	}
	s.signal()
}

// skip notes what h has given up.
func (s *store) skip(h *history) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.floors, s.skipped = h.allFloors(), true
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
		w := work{s.queue, s.from, s.from > trimmed || s.skipped, s.skipped, s.floors, s.begin}
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
	anew   bool // floors, in place of those on disk
	floors vector
	begin  vector // in place of that on disk, if not nil
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
			save := func() error { return saveMarks(tx.Bucket(bucketFloors), w.floors) }
			if w.anew {
				save = func() error { return replaceMarks(tx, bucketFloors, w.floors) }
			}
			if err := save(); err != nil {
				return err
			}
		}
		if w.begin != nil {
			if err := replaceMarks(tx, bucketBegin, w.begin); err != nil {
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
