package membership

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/serf/coordinate"
)

// coordinateVersion is the first byte of an ack's payload. Serf's is 1 and
// its encoding another.
const coordinateVersion = 0xc0

// farAway bounds every component of a coordinate that is believed, in seconds:
// finite numbers far beyond it would still drag this peer away for hours.
const farAway = 3600

// coordinates places members in a space in which distance is round-trip time,
// as Serf does (Vivaldi: Dabek et al., SIGCOMM 2004). Each ack of a direct
// probe carries the coordinate of who sent it; with the time the probe took,
// this peer corrects its own. So in time every peer knows every other's.
type coordinates struct {
	self   string
	conf   *coordinate.Config
	client *coordinate.Client

	mu     sync.Mutex
	others map[string]*coordinate.Coordinate
}

func newCoordinates(self string) (*coordinates, error) {
	conf := coordinate.DefaultConfig()
	client, err := coordinate.NewClient(conf)
	if err != nil {
		return nil, fmt.Errorf("network coordinates: %w", err)
	}
	return &coordinates{self: self, conf: conf, client: client, others: make(map[string]*coordinate.Coordinate)}, nil
}

// payload returns this peer's coordinate for an ack.
func (c *coordinates) payload() []byte { return encodeCoordinate(c.client.GetCoordinate()) }

// learn takes what the ack of a probe of name says. What is no coordinate, and
// a round trip over Serf's limit of 10 s, teaches nothing.
func (c *coordinates) learn(name string, rtt time.Duration, payload []byte) {
	other := decodeCoordinate(c.conf, payload)
	if other == nil {
		return
	}
	if _, err := c.client.Update(name, other, rtt); err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others[name] = other
}

func (c *coordinates) forget(name string) {
	c.client.ForgetNode(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.others, name)
}

// of returns the coordinate of name, nil if it is unknown or still the one
// every peer starts with, which says nothing.
func (c *coordinates) of(name string) *coordinate.Coordinate {
	var found *coordinate.Coordinate
	if name == c.self {
		found = c.client.GetCoordinate()
	} else {
		c.mu.Lock()
		defer c.mu.Unlock()
		found = c.others[name]
	}
	if found == nil || found.Error >= c.conf.VivaldiErrorMax {
		return nil
	}
	return found
}

// RTT estimates the round-trip time between two members, of whom this peer may
// be one, from their network coordinates. It needs no probe between the two
// and is good within some ten percent once each has been probed a few dozen
// times; in the first minutes it can be far off. ok is false as long as this
// peer has no meaningful coordinate of both. Member.RTT is a measurement.
func (m *Membership) RTT(a, b string) (estimate time.Duration, ok bool) {
	from, to := m.watch.coords.of(a), m.watch.coords.of(b)
	if from == nil || to == nil {
		return 0, false
	}
	if a == b {
		return 0, true
	}
	return from.DistanceTo(to), true
}

// encodeCoordinate writes a version byte and each number in eight bytes: with
// Serf's eight dimensions an ack grows by 89 bytes.
func encodeCoordinate(c *coordinate.Coordinate) []byte {
	b := []byte{coordinateVersion}
	for _, f := range append(slices.Clone(c.Vec), c.Error, c.Adjustment, c.Height) {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(f))
	}
	return b
}

// decodeCoordinate returns nil for anything but a coordinate that a network
// could produce.
func decodeCoordinate(conf *coordinate.Config, b []byte) *coordinate.Coordinate {
	c := coordinate.NewCoordinate(conf)
	if len(b) != 1+8*(len(c.Vec)+3) || b[0] != coordinateVersion {
		return nil
	}
	b = b[1:]
	next := func() float64 {
		f := math.Float64frombits(binary.BigEndian.Uint64(b))
		b = b[8:]
		return f
	}
	for i := range c.Vec {
		c.Vec[i] = next()
	}
	c.Error, c.Adjustment, c.Height = next(), next(), next()
	for _, f := range append(slices.Clone(c.Vec), c.Error, c.Adjustment, c.Height) {
		// Written so that NaN fails it too.
		if !(math.Abs(f) <= farAway) {
			return nil
		}
	}
	if c.Error < 0 || c.Height < 0 {
		return nil
	}
	return c
}
