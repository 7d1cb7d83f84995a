// Package sweep runs a scenario with every combination of some values, and puts
// what was measured side by side.
package sweep

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Axis is one thing that varies, and the values it takes.
type Axis struct {
	Name   string // as it was written
	Values []string
}

// mostValues bounds what one axis can have.
const mostValues = 1000

var (
	axisName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	number   = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	stepping = regexp.MustCompile(`^(-?[0-9]+)\.\.(-?[0-9]+)(?:\.\.([0-9]+))?([^0-9.]*)$`)
	suffix   = regexp.MustCompile(`^-?[0-9]+(?:\.[0-9]+)?([^0-9.]+)$`)
)

// ParseAxis reads NAME=VALUES. Values are separated by commas; 2..6 are whole
// numbers from 2 to 6, 0..30..10 every tenth of them. A unit after the last
// value counts for all that have none: 0,10,30% and 1..5s.
func ParseAxis(text string) (Axis, error) {
	name, list, ok := strings.Cut(text, "=")
	if !ok || !axisName.MatchString(name) || list == "" {
		return Axis{}, fmt.Errorf("%q: want NAME=VALUES, such as SuspicionMult=2..6 or loss=0,10,30%%", text)
	}
	a := Axis{Name: name}
	items := strings.Split(list, ",")
	unit := ""
	if m := suffix.FindStringSubmatch(items[len(items)-1]); m != nil {
		unit = m[1]
	} else if m := stepping.FindStringSubmatch(items[len(items)-1]); m != nil {
		unit = m[4]
	}
	for _, item := range items {
		values, err := expand(item)
		if err != nil {
			return Axis{}, fmt.Errorf("%s: %w", text, err)
		}
		for _, v := range values {
			if number.MatchString(v) {
				v += unit
			}
			for _, other := range a.Values {
				if v == other {
					return Axis{}, fmt.Errorf("%s: %s is there twice", text, v)
				}
			}
			a.Values = append(a.Values, v)
		}
		if len(a.Values) > mostValues {
			return Axis{}, fmt.Errorf("%s: more than %d values", text, mostValues)
		}
	}
	return a, nil
}

// expand returns the values of one item.
func expand(item string) ([]string, error) {
	m := stepping.FindStringSubmatch(item)
	switch {
	case item == "":
		return nil, errors.New("a value is missing")
	case m == nil:
		return []string{item}, nil
	}
	from, err1 := strconv.Atoi(m[1])
	to, err2 := strconv.Atoi(m[2])
	step := 1
	if m[3] != "" {
		step, _ = strconv.Atoi(m[3])
	}
	// Unsigned, the distance of any two numbers has room.
	steps := (uint64(to) - uint64(from)) / uint64(max(1, step))
	if err1 != nil || err2 != nil || step < 1 || from > to || steps >= mostValues {
		return nil, fmt.Errorf("%q: want a range such as 2..6, of at most %d values", item, mostValues)
	}
	values := make([]string, steps+1)
	for i := range values {
		values[i] = strconv.Itoa(from+i*step) + m[4]
	}
	return values, nil
}

// combinations returns all of them, the last axis varying fastest.
func combinations(axes []Axis) [][]string {
	all := [][]string{nil}
	for _, a := range axes {
		var longer [][]string
		for _, c := range all {
			for _, v := range a.Values {
				longer = append(longer, append(c[:len(c):len(c)], v))
			}
		}
		all = longer
	}
	return all
}
