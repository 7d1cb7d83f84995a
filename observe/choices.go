package observe

import (
	"fmt"
	"strings"
)

// Help is one line about a measure or a check.
type Help struct{ Name, Text string }

// choices are the checks or the measures there are.
type choices[T any] []struct {
	Help
	of func(*Record) T
}

func (c choices[T]) help() []Help {
	all := make([]Help, len(c))
	for i, one := range c {
		all[i] = one.Help
	}
	return all
}

// take applies the one of that name. An unknown name is an error that lists
// the known ones.
func (c choices[T]) take(what, name string, r *Record) (taken T, err error) {
	names := make([]string, len(c))
	for i, one := range c {
		if one.Name == name {
			return one.of(r), nil
		}
		names[i] = one.Name
	}
	return taken, fmt.Errorf("no %s %q: there are %s", what, name, strings.Join(names, ", "))
}
