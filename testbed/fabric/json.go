package fabric

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// row is the JSON form of the links that one peer has to others and that are
// alike. A partition of fifty peers is fifty rows instead of 2,500 links, and
// a person can read it.
type row struct {
	From      netip.Addr   `json:"from"`
	To        []netip.Addr `json:"to"`
	Drop      Drop         `json:"drop,omitempty"`
	Over      int          `json:"over,omitempty"`
	Loss      float64      `json:"loss,omitempty"`
	Delay     duration     `json:"delay,omitempty"`
	Jitter    duration     `json:"jitter,omitempty"`
	Reorder   float64      `json:"reorder,omitempty"`
	Duplicate float64      `json:"duplicate,omitempty"`
	Corrupt   float64      `json:"corrupt,omitempty"`
	Rate      uint64       `json:"rate,omitempty"`
}

// MarshalJSON writes a list of rows, each with a source, the destinations
// whose links are alike, and what those links are: durations like "50ms",
// shares in per cent, rate in bits per second.
func (m Matrix) MarshalJSON() ([]byte, error) { return json.Marshal(m.rows()) }

func (m Matrix) rows() []row {
	rows := make([]row, 0)
	var links []Link // of the rows
	first := 0       // of the rows of this source
	for _, pair := range m.Pairs() {
		link := m[pair]
		if first < len(rows) && rows[first].From != pair.From {
			first = len(rows)
		}
		at := first + slices.Index(links[first:], link)
		if at < first {
			at = len(rows)
			s := link.Shape
			links = append(links, link)
			rows = append(rows, row{
				From: pair.From, Drop: link.Drop, Over: link.Over, Loss: link.Loss,
				Delay: duration(s.Delay), Jitter: duration(s.Jitter), Reorder: s.Reorder,
				Duplicate: s.Duplicate, Corrupt: s.Corrupt, Rate: s.Rate,
			})
		}
		rows[at].To = append(rows[at].To, pair.To)
	}
	return rows
}

// UnmarshalJSON reads what MarshalJSON wrote. It refuses a pair that is named
// twice; the rest is for [Matrix.Validate].
func (m *Matrix) UnmarshalJSON(data []byte) error {
	var rows []row
	if err := json.Unmarshal(data, &rows); err != nil {
		return fmt.Errorf("matrix: %w", err)
	}
	read, err := matrixOf(rows)
	if err != nil {
		return err
	}
	*m = read
	return nil
}

func matrixOf(rows []row) (Matrix, error) {
	size := 0
	for _, r := range rows {
		size += len(r.To)
	}
	m := make(Matrix, size)
	for i, r := range rows {
		link := Link{Drop: r.Drop, Over: r.Over, Loss: r.Loss, Shape: Shape{
			Delay: time.Duration(r.Delay), Jitter: time.Duration(r.Jitter), Reorder: r.Reorder,
			Duplicate: r.Duplicate, Corrupt: r.Corrupt, Rate: r.Rate,
		}}
		for _, to := range r.To {
			pair := Pair{r.From, to}
			if _, ok := m[pair]; ok {
				return nil, fmt.Errorf("matrix: row %d: %s is there already", i, pair)
			}
			m[pair] = link
		}
	}
	return m, nil
}

// duration is written as people write it.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}
