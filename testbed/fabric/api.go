package fabric

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Status is what an agent says of itself.
type Status struct {
	Lab    string `json:"lab"`
	Bridge string `json:"bridge"`
	// Matrix is the one in force, empty if there is none.
	Matrix Matrix `json:"matrix"`
	// Waiting is the number of shaped links that pass nothing because their
	// destination is not attached to the bridge, or has not been for long
	// enough to be noticed.
	Waiting int `json:"waiting"`
	// Applied is when the matrix was applied, zero if there is none.
	Applied time.Time `json:"applied,omitzero"`
	// Until is when its lease ends unless it is renewed, zero if it has none.
	Until time.Time `json:"until,omitzero"`
	// Lapsed is when the agent removed a matrix because its lease had ended,
	// zero if that did not happen or another has been applied since.
	Lapsed time.Time `json:"lapsed,omitzero"`
}

// Count is what the kernel has counted on a link since the matrix was applied.
// A packet that the bridge floods, because it does not know yet behind which
// port its destination lives, counts once for each port.
type Count struct {
	// Packets and Bytes came in at the link, be they dropped or passed on.
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	// Dropped of the Packets went no further: cut, lost, too long, or held
	// back because the queues of the destination were not ready. What netem or
	// tbf dropped is not among them.
	Dropped uint64 `json:"dropped"`
}

// applied answers the request to apply a matrix.
type applied struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

// failure answers any request that failed.
type failure struct {
	Error string `json:"error"`
}

// badRequest is an error that is the client's.
type badRequest struct{ error }

func (b badRequest) Unwrap() error { return b.error }

var errClosing = errors.New("the agent is ending")

// MarshalText writes "10.0.0.1>10.0.0.2", a key of JSON objects.
func (p Pair) MarshalText() ([]byte, error) {
	return []byte(p.From.String() + ">" + p.To.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (p *Pair) UnmarshalText(text []byte) error {
	from, to, _ := strings.Cut(string(text), ">")
	var err error
	if p.From, err = netip.ParseAddr(from); err == nil {
		p.To, err = netip.ParseAddr(to)
	}
	if err != nil {
		return fmt.Errorf("pair %q: %w", text, err)
	}
	return nil
}

var (
	_ json.Marshaler   = Matrix(nil)
	_ json.Unmarshaler = (*Matrix)(nil)
)
