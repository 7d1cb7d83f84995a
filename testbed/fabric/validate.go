package fabric

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// Validate reports everything that is wrong with m, each with its path, like
// "links[alice -> bob].loss: 120 % is not within 0 and 100". The names are the
// peers that exist, by address; with nil names every address is taken as
// existing and stands for itself.
func (m Matrix) Validate(names map[netip.Addr]string) error {
	var all problems
	var wrong []Pair
	for pair, link := range m {
		if pair.check(names) != "" || len(link.Problems()) > 0 {
			wrong = append(wrong, pair)
		}
	}
	slices.SortFunc(wrong, comparePairs)
	for _, pair := range wrong {
		path := "links[" + name(names, pair.From) + " -> " + name(names, pair.To) + "]"
		if problem := pair.check(names); problem != "" {
			all.add("%s: %s", path, problem)
		}
		for _, problem := range m[pair].Problems() {
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
