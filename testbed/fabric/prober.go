package fabric

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"
)

// Prober talks to a [Probe] over a stream, say the standard input and output
// of its container. It may be used from several goroutines.
type Prober struct {
	stream io.ReadWriteCloser

	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
	failed  error
	ended   chan struct{}
}

// request is a line to a probe. One of Send, Dial and Collect is set.
type request struct {
	ID      int             `json:"id"`
	Send    *sendRequest    `json:"send,omitempty"`
	Dial    *dialRequest    `json:"dial,omitempty"`
	Collect *collectRequest `json:"collect,omitempty"`
}

type sendRequest struct {
	To    netip.Addr    `json:"to"`
	Flow  uint64        `json:"flow"`
	Count int           `json:"count"`
	Size  int           `json:"size"`  // of the payload
	Pause time.Duration `json:"pause"` // between two
}

type dialRequest struct {
	To       netip.Addr    `json:"to"`
	Patience time.Duration `json:"patience"`
}

type collectRequest struct {
	Flow     uint64        `json:"flow"`
	Want     int           `json:"want"`
	Patience time.Duration `json:"patience"`
}

// reply is a line from a probe.
type reply struct {
	ID        int           `json:"id"`
	Connected time.Duration `json:"connected,omitempty"`
	Arrivals  []arrival     `json:"arrivals,omitempty"`
	Error     string        `json:"error,omitempty"`
}

// arrival is a datagram that came; times are of the host's monotonic clock.
type arrival struct {
	Seq  uint32 `json:"q"`
	Sent int64  `json:"s"`
	At   int64  `json:"a"`
	Size int    `json:"n"`
}

// NewProber returns a Prober that talks over stream, which Close closes.
func NewProber(stream io.ReadWriteCloser) *Prober {
	p := &Prober{stream: stream, waiting: make(map[int]chan reply), ended: make(chan struct{})}
	go p.read()
	return p
}

// Close closes the stream.
func (p *Prober) Close() error {
	err := p.stream.Close()
	<-p.ended
	return err
}

// Wait returns once the probe answers, from when on it receives, too.
func (p *Prober) Wait(ctx context.Context) error {
	_, err := p.ask(ctx, request{Collect: &collectRequest{}})
	return err
}

// Ended reports whether the probe is gone.
func (p *Prober) Ended() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *Prober) read() {
	defer close(p.ended)
	decoder := json.NewDecoder(bufio.NewReader(p.stream))
	for {
		var r reply
		err := decoder.Decode(&r)
		p.mu.Lock()
		if err != nil {
			p.failed = fmt.Errorf("the probe is gone: %w", err)
			for _, answer := range p.waiting {
				close(answer)
			}
			clear(p.waiting)
			p.mu.Unlock()
			return
		}
		answer := p.waiting[r.ID]
		delete(p.waiting, r.ID)
		p.mu.Unlock()
		if answer != nil {
			answer <- r // it has room for one
		}
	}
}

func (p *Prober) ask(ctx context.Context, r request) (reply, error) {
	answer := make(chan reply, 1)
	p.mu.Lock()
	if p.failed != nil {
		defer p.mu.Unlock()
		return reply{}, p.failed
	}
	p.next++
	r.ID = p.next
	p.waiting[r.ID] = answer
	line, err := json.Marshal(r)
	if err == nil {
		_, err = p.stream.Write(append(line, '\n'))
	}
	p.mu.Unlock()
	if err != nil {
		return reply{}, fmt.Errorf("ask the probe: %w", err)
	}
	select {
	case <-ctx.Done():
		return reply{}, ctx.Err()
	case got, ok := <-answer:
		if !ok {
			p.mu.Lock()
			defer p.mu.Unlock()
			return reply{}, p.failed
		}
		if got.Error != "" {
			return reply{}, errors.New(got.Error)
		}
		return got, nil
	}
}
