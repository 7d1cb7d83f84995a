package fabric

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
)

// row is the JSON form of the links that one peer has to others and that are
// alike. A partition of fifty peers is fifty rows instead of 2,500 links, and
// a person can read it. The fields of the link stand beside the ends.
type row struct {
	ends
	Link
}

type ends struct {
	From netip.Addr   `json:"from"`
	To   []netip.Addr `json:"to"`
}

func (r row) MarshalJSON() ([]byte, error) {
	out, err := json.Marshal(r.ends)
	if err != nil {
		return nil, err
	}
	link, err := json.Marshal(r.Link)
	if err != nil || len(link) == len("{}") {
		return out, err
	}
	return slices.Concat(out[:len(out)-1], []byte{','}, link[1:]), nil
}

func (r *row) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &r.ends); err != nil {
		return err
	}
	return json.Unmarshal(data, &r.Link)
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
			links = append(links, link)
			rows = append(rows, row{ends{From: pair.From}, link})
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
		for _, to := range r.To {
			pair := Pair{r.From, to}
			if _, ok := m[pair]; ok {
				return nil, fmt.Errorf("matrix: row %d: %s is there already", i, pair)
			}
			m[pair] = r.Link
		}
	}
	return m, nil
}
