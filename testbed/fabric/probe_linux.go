package fabric

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ProbePort is where probes listen, on UDP and TCP, unless told otherwise.
const ProbePort = 7999

// Probe sends and receives packets for measurements, in the network namespace
// of a peer: a container without privilege that shares the peer's network. Its
// methods may be called from several goroutines.
type Probe struct {
	port uint16
	udp  *net.UDPConn
	tcp  *net.TCPListener

	mu      sync.Mutex
	flows   map[uint64]*flow
	arrived chan struct{} // closed, and another put in its place, on an arrival
	ended   sync.WaitGroup

	// within runs what opens a socket; tests have their peers in namespaces of
	// one process.
	within func(func())
}

// flow is what has come of one measurement of one pair.
type flow struct {
	arrivals []arrival
}

const (
	maxFlows    = 8192 // two for each of 4,000 pairs; more are not recorded
	maxArrivals = 20_000
)

// NewProbe listens on the port. The caller closes it.
func NewProbe(port uint16) (*Probe, error) {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{Port: int(port)})
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	_ = udp.SetReadBuffer(4 << 20) // as much as is allowed
	port = udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: int(port)})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("probe: %w", err), udp.Close())
	}
	p := &Probe{port: port, udp: udp, tcp: tcp, flows: make(map[uint64]*flow), arrived: make(chan struct{})}
	p.within = func(open func()) { open() }
	p.ended.Go(p.receive)
	p.ended.Go(p.accept)
	return p, nil
}

// Close stops listening and waits for what runs.
func (p *Probe) Close() error {
	err := errors.Join(p.udp.Close(), p.tcp.Close())
	p.ended.Wait()
	return err
}

// Serve reads requests from in, one a line, and writes replies to out, until
// in or ctx ends. It is what a [Prober] talks to.
func (p *Probe) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	var asked sync.WaitGroup
	defer asked.Wait()
	defer stop()
	var mu sync.Mutex // of out
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("probe: request: %w", err)
		}
		asked.Go(func() {
			answer := p.answer(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			_ = json.NewEncoder(out).Encode(answer) // a reader that is gone ends in, too
		})
	}
	return lines.Err()
}

func (p *Probe) answer(ctx context.Context, r request) reply {
	answer := reply{ID: r.ID}
	var err error
	switch {
	case r.Send != nil:
		err = p.send(ctx, *r.Send)
	case r.Dial != nil:
		answer.Connected, err = p.dial(ctx, *r.Dial)
	case r.Collect != nil:
		answer.Arrivals = p.collect(ctx, *r.Collect)
	default:
		err = errors.New("it asks for nothing")
	}
	if err != nil {
		answer.Error = err.Error()
	}
	return answer
}

// send sends datagrams at an even pace.
func (p *Probe) send(ctx context.Context, s sendRequest) error {
	target := netip.AddrPortFrom(s.To, p.port)
	buf := make([]byte, max(s.Size, datagramSize))
	pace := time.NewTicker(max(s.Pause, 1))
	defer pace.Stop()
	for i := range s.Count {
		if i > 0 && s.Pause > 0 {
			select {
			case <-pace.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		datagram{flow: s.Flow, seq: uint32(i), sent: monotonic()}.put(buf)
		if _, err := p.udp.WriteToUDPAddrPort(buf, target); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return err
		}
	}
	return nil
}

// dial connects by TCP and says how long that took, 0 if the time was up or
// nobody has the address.
func (p *Probe) dial(ctx context.Context, r dialRequest) (time.Duration, error) {
	start := time.Now()
	d := net.Dialer{Timeout: r.Patience}
	var conn net.Conn
	var err error
	p.within(func() { conn, err = d.DialContext(ctx, "tcp4", netip.AddrPortFrom(r.To, p.port).String()) })
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, unix.EHOSTUNREACH) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	took := time.Since(start)
	// Reset: no packet of it is under way when the next fault is measured.
	return took, errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close())
}

// collect returns what came of a flow, as soon as it is all there or when the
// time is up.
func (p *Probe) collect(ctx context.Context, r collectRequest) []arrival {
	ctx, cancel := context.WithTimeout(ctx, r.Patience)
	defer cancel()
	for {
		p.mu.Lock()
		var got []arrival
		if f := p.flows[r.Flow]; f != nil {
			got = f.arrivals
		}
		if len(got) >= r.Want || ctx.Err() != nil {
			delete(p.flows, r.Flow)
			p.mu.Unlock()
			return got
		}
		arrived := p.arrived
		p.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
		}
	}
}

func (p *Probe) receive() {
	buf := make([]byte, 65536)
	for {
		n, _, err := p.udp.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		now := monotonic()
		d, ok := parseDatagram(buf[:n])
		if err != nil || !ok {
			continue
		}
		p.mu.Lock()
		f := p.flows[d.flow]
		if f == nil && len(p.flows) < maxFlows {
			f = new(flow)
			p.flows[d.flow] = f
		}
		if f != nil && len(f.arrivals) < maxArrivals {
			f.arrivals = append(f.arrivals, arrival{Seq: d.seq, Sent: d.sent, At: now, Size: n})
		}
		close(p.arrived)
		p.arrived = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *Probe) accept() {
	for {
		conn, err := p.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

// datagram is the payload of a packet that is measured.
type datagram struct {
	flow uint64
	seq  uint32
	sent int64
}

const (
	datagramMagic = 0x706c6162 // "plab"
	datagramSize  = datagramLeast
)

func (d datagram) put(buf []byte) {
	binary.BigEndian.PutUint32(buf[0:], datagramMagic)
	binary.BigEndian.PutUint32(buf[4:], d.seq)
	binary.BigEndian.PutUint64(buf[8:], d.flow)
	binary.BigEndian.PutUint64(buf[16:], uint64(d.sent))
}

func parseDatagram(buf []byte) (datagram, bool) {
	if len(buf) < datagramSize || binary.BigEndian.Uint32(buf) != datagramMagic {
		return datagram{}, false
	}
	return datagram{
		seq:  binary.BigEndian.Uint32(buf[4:]),
		flow: binary.BigEndian.Uint64(buf[8:]),
		sent: int64(binary.BigEndian.Uint64(buf[16:])),
	}, true
}

// monotonic is a clock that all containers of a host share, in nanoseconds.
func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it cannot fail
	return ts.Nano()
}
