package testbed

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// All is, in the ends of a link, every peer.
const All = "all"

var (
	arrow = regexp.MustCompile(`\s*(<->|->|:)\s*`)
	comma = regexp.MustCompile(`\s*,\s*`)
)

// ParsePairs reads which links are meant, in one of the forms
//
//	alice,bob charly         what alice and bob send to charly
//	alice,bob:charly         the same
//	alice,bob -> charly      the same; a shell wants quotes around it
//	alice,bob <-> charly     both ways; quotes, too
//
// split into words in any way, and returns the words that follow. Either end
// may be all, every one of the peers, or rest, every one that is not at the
// other end; neither is the bootstrap service, which must be named. The error
// for somebody who is not among the peers is ErrNoPeer.
func ParsePairs(words, peers []string) (pairs []Pair, after []string, err error) {
	text := comma.ReplaceAllString(strings.Join(words, " "), ",")
	both := false
	if at := arrow.FindStringSubmatchIndex(text); at != nil && !strings.Contains(text[:at[0]], "=") {
		both = text[at[2]:at[3]] == "<->"
		text = text[:at[0]] + " " + text[at[1]:]
	}
	fields := strings.Fields(text)
	if len(fields) < 2 || strings.Contains(fields[0]+fields[1], "=") {
		return nil, nil, errors.New("say from whom to whom, such as alice bob, or alice,bob rest")
	}
	from, to := fields[0], fields[1]
	if from == Rest && to == Rest {
		return nil, nil, errors.New("rest is who is not at the other end: it cannot be at both")
	}
	sources, err := end(from, to, peers)
	if err != nil {
		return nil, nil, err
	}
	targets, err := end(to, from, peers)
	if err != nil {
		return nil, nil, err
	}
	seen := make(map[Pair]bool)
	add := func(p Pair) {
		if p.From != p.To && !seen[p] {
			seen[p] = true
			pairs = append(pairs, p)
		}
	}
	for _, a := range sources {
		for _, b := range targets {
			add(Pair{a, b})
			if both {
				add(Pair{b, a})
			}
		}
	}
	if len(pairs) == 0 {
		return nil, nil, fmt.Errorf("%s %s: a peer has no link to itself", from, to)
	}
	return pairs, fields[2:], nil
}

// end returns the peers at one end of a link, given what the other one is.
func end(list, other string, peers []string) ([]string, error) {
	if list == All || list == Rest {
		var named []string
		if list == Rest && other != All {
			named = strings.Split(other, ",")
		}
		names := slices.DeleteFunc(slices.Clone(peers), func(name string) bool {
			return name == Bootstrap || slices.Contains(named, name)
		})
		if len(names) == 0 || list == Rest && other == All {
			return nil, fmt.Errorf("%s is empty: every peer is at the other end", list)
		}
		return names, nil
	}
	names, err := ParseNames(list)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.Contains(peers, name) {
			return nil, NoPeer(name, peers)
		}
	}
	return names, nil
}
