package keyboard

import (
	"io"
	"os"
	"sync"
)

// Input reads the terminal at all times, also while a command runs: Ctrl-C is
// a key like others in raw mode, so that it ends a command and never a peer
// that lives in the same process. It gives readline one key per Read.
type Input struct {
	stop  func() // ends pump
	ended sync.WaitGroup

	mu        sync.Mutex
	more      sync.Cond
	keys      []string
	woken     bool
	closed    bool
	interrupt func() // what Ctrl-C does, nil: it is a key
}

// New reads file until Close.
func New(file *os.File) (*Input, error) {
	src, err := NewSource(file)
	if err != nil {
		return nil, err
	}
	in := &Input{stop: src.Stop}
	in.more.L = &in.mu
	in.ended.Go(func() {
		defer src.Release()
		in.pump(src)
	})
	return in, nil
}

// pump queues the keys that r sends until it ends.
func (in *Input) pump(r io.Reader) {
	defer in.HangUp()
	var parser keyParser
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		if err != nil {
			return
		}
		in.feed(parser.feed(buf[:n]))
	}
}

// feed queues keys.
func (in *Input) feed(keys []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.keys = append(in.keys, keys...)
	in.interrupted()
	in.more.Broadcast()
}

// OnInterrupt makes Ctrl-C call f, which must not block; nil makes it a key.
func (in *Input) OnInterrupt(f func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.interrupt = f
	in.interrupted() // it may have been typed before the command was heard of
}

// interrupted does what a queued Ctrl-C is for. As in any terminal, one that
// ends a command drops what was typed before it.
func (in *Input) interrupted() {
	if in.interrupt == nil {
		return
	}
	for i := len(in.keys) - 1; i >= 0; i-- {
		if in.keys[i] == keyInterrupt {
			in.keys = in.keys[i+1:]
			in.interrupt()
			return
		}
	}
}

// Wake makes the reader of keys see the character Wake before any other.
func (in *Input) Wake() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.woken = true
	in.more.Broadcast()
}

// Read waits for a key and returns it whole: p must have room for 16 bytes.
// It returns io.EOF once the input is closed.
func (in *Input) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for !in.closed && !in.woken && len(in.keys) == 0 {
		in.more.Wait()
	}
	if in.closed {
		return 0, io.EOF
	}
	if in.woken {
		in.woken = false
		return copy(p, string(Wake)), nil
	}
	n := copy(p, in.keys[0])
	in.keys = in.keys[1:]
	return n, nil
}

// HangUp ends the input, and a command that runs.
func (in *Input) HangUp() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	if in.interrupt != nil {
		in.interrupt()
	}
	in.more.Broadcast()
}

// HungUp reports whether the input has ended.
func (in *Input) HungUp() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.closed
}

// Close ends the input and waits until nothing reads the terminal.
func (in *Input) Close() error {
	in.HangUp()
	in.stop()
	in.ended.Wait()
	return nil
}
