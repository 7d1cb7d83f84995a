package fabric

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	maxDelay = 2 * time.Minute // netem counts ticks of 64 ns in 32 bits: 274 s
	minRate  = 8_000
	maxRate  = 10_000_000_000
	minOver  = 68 // what every IPv4 link must carry (RFC 791)
	maxOver  = 65_534
)

// Validate reports everything that is wrong with m, each with its path, like
// "links[alice -> bob].loss: 120 % is not within 0 and 100". The names are the
// peers that exist, by address; with nil names every address is taken as
// existing and stands for itself.
func (m Matrix) Validate(names map[netip.Addr]string) error {
	var all problems
	var wrong []Pair
	for pair, link := range m {
		if pair.check(names) != "" || len(link.check()) > 0 {
			wrong = append(wrong, pair)
		}
	}
	slices.SortFunc(wrong, comparePairs)
	for _, pair := range wrong {
		path := "links[" + name(names, pair.From) + " -> " + name(names, pair.To) + "]"
		if problem := pair.check(names); problem != "" {
			all.add("%s: %s", path, problem)
		}
		for _, problem := range m[pair].check() {
			all.add("%s.%s", path, problem)
		}
	}
	return all.err()
}

// check says what is wrong with the pair.
func (p Pair) check(names map[netip.Addr]string) string {
	for _, addr := range [...]netip.Addr{p.From, p.To} {
		if !addr.Is4() {
			return fmt.Sprintf("%s is no IPv4 address, and the fabric knows no others", addr)
		}
		if _, known := names[addr]; names != nil && !known {
			return fmt.Sprintf("there is no peer at %s", addr)
		}
	}
	if p.From == p.To {
		return "a peer has no link to itself"
	}
	return ""
}

// check says what is wrong with the link, field by field.
func (l Link) check() (wrong []string) {
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	percent := func(field string, v float64) {
		// The negation catches what is not a number, too.
		if !(v >= 0 && v <= 100) {
			add("%s: %g %% is not within 0 and 100", field, v)
		}
	}
	if l.Drop > DropAll {
		add("drop: %d is unknown: udp, tcp and all are known", l.Drop)
	}
	if l.Over != 0 && (l.Over < minOver || l.Over > maxOver) {
		add("over: %d bytes is not within %d and %d", l.Over, minOver, maxOver)
	}
	percent("loss", l.Loss)

	s := l.Shape
	if s.Delay < 0 || s.Delay > maxDelay {
		add("delay: %s is not within 0 and %s", s.Delay, maxDelay)
	}
	if s.Jitter < 0 || s.Jitter > max(s.Delay, 0) {
		add("jitter: %s is not within 0 and the delay of %s", s.Jitter, s.Delay)
	}
	percent("reorder", s.Reorder)
	if s.Reorder > 0 && s.Delay == 0 {
		add("reorder: it needs a delay, for packets overtake those that are delayed")
	}
	percent("duplicate", s.Duplicate)
	percent("corrupt", s.Corrupt)
	if s.Rate != 0 && (s.Rate < minRate || s.Rate > maxRate) {
		add("rate: %d bit/s is not within %d and %d", s.Rate, minRate, maxRate)
	}
	return wrong
}

func name(names map[netip.Addr]string, addr netip.Addr) string {
	if n := names[addr]; n != "" {
		return n
	}
	return addr.String()
}

// perMillion turns per cent into whole parts of a million, and never what is
// more than nothing into nothing.
func perMillion(percent float64) uint32 {
	return uint32(math.Ceil(percent * 1e4))
}

// problems collects what is wrong. A matrix that is wrong in a thousand places
// is wrong for one reason: ten are told.
type problems struct {
	told []string
	more int
}

func (p *problems) add(format string, args ...any) {
	if len(p.told) == 10 {
		p.more++
		return
	}
	p.told = append(p.told, fmt.Sprintf(format, args...))
}

func (p *problems) err() error {
	if len(p.told) == 0 {
		return nil
	}
	text := strings.Join(p.told, "; ")
	if p.more > 0 {
		text += fmt.Sprintf("; and %d more", p.more)
	}
	return errors.New(text)
}
