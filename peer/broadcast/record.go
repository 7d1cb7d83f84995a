package broadcast

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	version  = 1       // the first byte of every message and state
	maxClock = 1 << 62 // higher clocks are malformed; see maxBelieved, too
	// maxWhen is the last millisecond of the year 9999: JSON knows no later.
	maxWhen = 253402300799999
	// maxAge bounds a tombstone's age in milliseconds, some 139 years.
	maxAge = 1 << 42
)

// clockSlack is how far ahead of the time a clock may be, in microseconds:
// almost 13 days. It is also what a host believes whose clock begins in 1970.
const clockSlack = 1 << 40

// maxBelieved returns the highest clock that is believed at now: the
// microseconds since 1970 and clockSlack.
//
// A cluster counts its writes one by one, so that its clock stays far below:
// whoever joins late or returns after years takes it over, however high it is.
// A stranger can raise a cluster's clock to this limit. But the limit rises by
// a million a second, faster than a cluster writes, so that the next write is
// believed too, by hosts whose clocks agree at once and by others as soon as
// their clocks come to the same time. Hybrid logical clocks bound what they
// believe in the same way (Kulkarni et al., OPODIS 2014).
func maxBelieved(now time.Time) uint64 {
	return uint64(max(now.UnixMicro(), 0)) + clockSlack
}

// record is one write: a text for a key, or its deletion. Fields but gone are
// the same wherever the record is.
type record struct {
	key, text, author string
	clock             uint64
	when              int64 // milliseconds since 1970, by the author's clock
	deleted           bool  // then text is empty
	gone              time.Time
}

// compare orders writes; of one key, the greatest wins. Clock and author
// decide but for an author who restarted and counts from 1 again: the rest
// makes all members agree even then.
func (r record) compare(s record) int {
	deleted := func(r record) int {
		if r.deleted {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(r.clock, s.clock), cmp.Compare(r.author, s.author),
		cmp.Compare(deleted(r), deleted(s)), cmp.Compare(r.when, s.when),
		cmp.Compare(r.text, s.text), cmp.Compare(r.key, s.key),
	)
}

// valid says whether r is what a Map would write.
func (r record) valid() bool {
	return badWord(r.key) == "" && badWord(r.author) == "" && badText(r.text) == "" &&
		r.clock > 0 && r.clock <= maxClock && r.when >= 0 && r.when <= maxWhen &&
		(!r.deleted || r.text == "")
}

// badWord says what is wrong with a key or an author, "" if nothing.
func badWord(s string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > MaxKey:
		return fmt.Sprintf("of %d bytes is too long: the limit is %d", len(s), MaxKey)
	case !utf8.ValidString(s):
		return fmt.Sprintf("%q is not UTF-8", s)
	}
	for _, r := range s {
		if r == ' ' || !unicode.IsPrint(r) {
			return fmt.Sprintf("%q holds %q: use one printable word", s, r)
		}
	}
	return ""
}

// badText says what is wrong with a text, "" if nothing.
func badText(s string) string {
	switch {
	case len(s) > MaxText:
		return fmt.Sprintf("of %d bytes is too long: the limit is %d", len(s), MaxText)
	case !utf8.ValidString(s):
		return "is not UTF-8"
	}
	return ""
}

// append writes r to b: a byte that is 1 for a tombstone, clock and time, for
// a tombstone its age at now in milliseconds, then key, author and text, each
// after its length. Numbers are varints.
func (r record) append(b []byte, now time.Time) []byte {
	if r.deleted {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.AppendUvarint(b, r.clock)
	b = binary.AppendUvarint(b, uint64(r.when))
	if r.deleted {
		b = binary.AppendUvarint(b, uint64(min(max(now.Sub(r.gone).Milliseconds(), 0), maxAge)))
	}
	for _, s := range []string{r.key, r.author, r.text} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// decode reads a message or state: a version byte and records to the end.
// Whatever is wrong anywhere spoils the whole, and so do more records than a
// Map holds.
func decode(b []byte, now time.Time) (records []record, ok bool) {
	if len(b) == 0 || b[0] != version {
		return nil, false
	}
	d := decoder{rest: b[1:]}
	for len(d.rest) > 0 {
		r := record{gone: now}
		kind := d.byte()
		r.deleted = kind == 1
		r.clock = d.number(maxClock)
		r.when = int64(d.number(maxWhen))
		if r.deleted {
			r.gone = now.Add(-time.Duration(d.number(maxAge)) * time.Millisecond)
		}
		r.key, r.author, r.text = d.text(MaxKey), d.text(MaxKey), d.text(MaxText)
		if d.bad || kind > 1 || !r.valid() || len(records) == MaxEntries+maxTombstones {
			return nil, false
		}
		records = append(records, r)
	}
	return records, true
}

// decoder reads on from rest; after the first thing that is wrong, bad is set
// and everything is zero.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) byte() byte {
	if d.bad || len(d.rest) == 0 {
		d.bad = true
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

func (d *decoder) number(limit uint64) uint64 {
	n, size := binary.Uvarint(d.rest)
	if d.bad || size <= 0 || n > limit {
		d.bad = true
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// text copies: what it reads from belongs to memberlist.
func (d *decoder) text(limit uint64) string {
	n := d.number(limit)
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}
