package chat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"peerlab/peer/chat/chatpb"
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
	settled bool   // due to be written
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
	known       bool // where the conversation begins
}

var (
	bucketMeta     = []byte("meta")
	bucketLog      = []byte("log")   // place, 8 bytes big endian: a Message
	bucketFloors   = []byte("floor") // author, 0, incarnation: sequence number
	keyIncarnation = []byte("incarnation")
	keySettled     = []byte("settled")
)

// The most that waits to be written.
const (
	maxUnwritten      = 8192
	maxUnwrittenBytes = 8 << 20
)

// openStore opens the file chat.db in dir and notes the start of a new life.
func openStore(dir string, incarnation uint64) (*store, kept, error) {
	path := filepath.Join(dir, "chat.db")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, kept{}, fmt.Errorf("chat state: %w", err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if errors.Is(err, bbolt.ErrTimeout) {
		err = errors.New("another peer uses it")
	}
	if err != nil {
		return nil, kept{}, fmt.Errorf("chat state %s: %w", path, err)
	}
	s := &store{
		path: path, db: db, done: make(chan struct{}), floors: make(vector),
		more: make(chan struct{}), changed: make(chan struct{}),
	}
	k := kept{history: newHistory()}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketLog, bucketFloors} {
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
	err := tx.Bucket(bucketFloors).ForEach(func(k, v []byte) error {
		if len(k) < 10 || len(v) != 8 {
			return errors.New("a damaged floor")
		}
		w := writer{string(k[:len(k)-9]), binary.BigEndian.Uint64(k[len(k)-8:])}
		h.skip(w, binary.BigEndian.Uint64(v))
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Bucket(bucketLog).ForEach(func(k, v []byte) error {
		var m chatpb.Message
		if len(k) != 8 {
			return errors.New("a damaged message")
		}
		if err := proto.Unmarshal(v, &m); err != nil {
			return err
		}
		if err := checkMessage(&m); err != nil {
			return err
		}
		e := entryOf(&m)
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

func floorKey(w writer) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(w.name), 0), w.incarnation)
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

// settle notes where the conversation begins.
func (s *store) settle(h *history) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.floors, s.settled = h.floors(), true
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
		queue, from, floors, settled, closed, more := s.queue, s.from, s.floors, s.settled, s.closed, s.more
		if s.why != nil || len(queue) == 0 && from <= trimmed && !settled {
			s.mu.Unlock()
			if closed {
				return
			}
			<-more
			continue
		}
		s.queue, s.bytes, s.settled = nil, 0, false
		s.mu.Unlock()

		err := s.write(queue, trimmed, from, floors, settled)
		trimmed = max(trimmed, from)
		s.mu.Lock()
		if err != nil {
			s.why = fmt.Errorf("write chat state %s: %w", s.path, err)
			s.queue = nil
		} else if len(queue) > 0 {
			s.written = queue[len(queue)-1].place
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

// write is one transaction.
func (s *store) write(queue []*entry, trimmed, from uint64, floors vector, settled bool) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		log := tx.Bucket(bucketLog)
		log.FillPercent = 0.9 // keys ascend
		for _, e := range queue {
			if e.place < from {
				continue
			}
			b, err := proto.Marshal(e.message())
			if err != nil {
				return err
			}
			if err := log.Put(binary.BigEndian.AppendUint64(nil, e.place), b); err != nil {
				return err
			}
		}
		if from > trimmed {
			c := log.Cursor()
			for k, _ := c.First(); k != nil && binary.BigEndian.Uint64(k) < from; k, _ = c.Next() {
				if err := c.Delete(); err != nil {
					return err
				}
			}
		}
		if from > trimmed || settled {
			for w, seq := range floors {
				if err := tx.Bucket(bucketFloors).Put(floorKey(w), binary.BigEndian.AppendUint64(nil, seq)); err != nil {
					return err
				}
			}
		}
		if settled {
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
