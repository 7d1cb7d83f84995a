package scenarios

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
)

// verb is a word of the lab's own. Whatever uses verbs (lint, a run, the
// reference) uses this table.
type verb struct {
	name    string
	args    string // their form
	short   string
	detail  string
	example string
	// inBackground allows a & at the end of the line.
	inBackground bool
	// early says that it may come before the cluster line.
	early bool
	// judges says that what it comes to follows from the history.
	judges bool
	// answers says that what it writes takes the place of what the line before
	// wrote even if it writes nothing.
	answers bool
	// rest, if set, makes the rule for a line.
	rest func() restRule
	// parse reads the arguments in the light of the scene, changes the scene
	// as the verb will change the cluster, and returns what to do. The error
	// may be a *Problem with a place of its own.
	parse func(sc *scene, a args) (action, error)
}

// action is what a line does when it runs. What it has to show goes to out.
type action func(ctx context.Context, r *run, out io.Writer) error

// args are the words after the verb, and what they come to with variables
// replaced.
type args struct {
	words []word
	text  []string
	// mayFail says that the line need not work: ! or ? is before it.
	mayFail bool
}

func (a args) rest(n int) args { return args{a.words[n:], a.text[n:], a.mayFail} }

// exactly says what is wrong unless there are n of them.
func (a args) exactly(n int, what string) error {
	if len(a.text) != n {
		return fmt.Errorf("want %s", what)
	}
	return nil
}

// verbs returns all of them, in the order of the reference.
func verbs() []verb {
	return slices.Concat(setting(), life(), faults(), talking(), waiting())
}

// verbNames are their names.
func verbNames() []string {
	var names []string
	for _, v := range verbs() {
		names = append(names, v.name)
	}
	return names
}

// restRule is asked before each word of a line for what the rest of it is, given
// the words before: a word and more, or all of it a text or a line for a peer.
type restRule func(words []word) form

// allWords is the rule of a verb that takes nothing but words.
func allWords([]word) form { return plain }

// isText is the rule of a verb whose one argument is a text.
func isText() restRule { return func([]word) form { return freeText } }

// verbTable has the verbs by their names.
var verbTable = sync.OnceValue(func() map[string]verb {
	table := make(map[string]verb)
	for _, v := range verbs() {
		table[v.name] = v
	}
	return table
})
