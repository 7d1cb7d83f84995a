package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"peerlab/nearest"
	"peerlab/peer/files"
)

// ErrUnknown is wrapped by the error for a line that names no command.
var ErrUnknown = errors.New("unknown command")

// Registry holds commands by name. The zero value is empty and ready to use.
// All methods may be called concurrently.
type Registry struct {
	// Otherwise, if set, may turn a line that begins with no command into a call
	// of one: it returns the words to put before the line. first is the line's
	// first word, with a slash if it has one. It is set before the first line.
	Otherwise func(first string) (words []string, ok bool)
	// Typed, if set, does the same for each line that a person types in a shell,
	// also for one that begins with a command. Lines of scripts are not typed.
	Typed func(first string) (words []string, ok bool)
	// After, if set, is told of every command that ran, or failed to, as a line
	// with variables replaced and secrets redacted. It is set before the first
	// line and called concurrently.
	After func(line string, err error)

	mu       sync.RWMutex
	vars     map[string]string
	commands []*Command          // in the order of registration
	byName   map[string]*Command // by every name and alias
	byOld    map[string]*Command // by every old name
	longest  int                 // words that one of those has at the most
}

// Add registers commands. It fails on a name already taken, on a command
// without a function, and on a name that Split would not read back.
func (r *Registry) Add(commands ...Command) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName == nil {
		r.byName, r.byOld = make(map[string]*Command), make(map[string]*Command)
	}
	for _, c := range commands {
		switch {
		case (c.Run == nil) == (c.Flags == nil):
			return fmt.Errorf("add command %q: set exactly one of Run and Flags", c.Name)
		case c.Text && c.Secret != nil:
			return fmt.Errorf("add command %q: a text is never secret", c.Name)
		}
		for _, name := range slices.Concat([]string{c.Name}, c.Aliases, c.OldNames) {
			words, err := Split(name)
			switch {
			case err != nil || len(words) == 0 || strings.Join(words, " ") != name:
				return fmt.Errorf("add command %q: the name must be plain words", name)
			case r.byName[name] != nil && !slices.Contains(c.OldNames, name):
				return fmt.Errorf("add command %q: the name is taken by %q", name, r.byName[name].Name)
			}
		}
		for _, name := range append([]string{c.Name}, c.Aliases...) {
			r.byName[name] = &c
			r.longest = max(r.longest, strings.Count(name, " ")+1)
		}
		for _, name := range c.OldNames {
			r.byOld[name] = &c
			r.longest = max(r.longest, strings.Count(name, " ")+1)
		}
		r.commands = append(r.commands, &c)
	}
	return nil
}

// find returns the command with the longest name that words begin with, and
// the number of words in that name.
func (r *Registry) find(words []string) (*Command, int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for n := min(len(words), r.longest); n > 0; n-- {
		name := strings.Join(words[:n], " ")
		if c := r.byName[name]; c != nil {
			return c, n
		}
		if c := r.byOld[name]; c != nil {
			return c, n
		}
	}
	return nil, 0
}

// Commands returns all commands in the order of registration.
func (r *Registry) Commands() []Command {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]Command, len(r.commands))
	for i, c := range r.commands {
		all[i] = *c
	}
	return all
}

// names returns every name, without aliases, sorted.
func (r *Registry) names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := make([]string, len(r.commands))
	for i, c := range r.commands {
		names[i] = c.Name
	}
	slices.Sort(names)
	return names
}

// otherNames returns every alias and old name.
func (r *Registry) otherNames() (names []string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, c := range r.commands {
		names = append(append(names, c.Aliases...), c.OldNames...)
	}
	return names
}

// longestName returns how many words a name has at the most.
func (r *Registry) longestName() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.longest
}

// RunLine runs a line as it is typed; an empty one, or a comment, does nothing.
// [Split] says how it is cut into words, [Command.Text] what a text is. A nil in
// is an empty input.
func (r *Registry) RunLine(ctx context.Context, line string, in io.Reader, out io.Writer) error {
	if err := checkLine(line); err != nil {
		return err
	}
	written := strings.TrimLeft(strings.TrimPrefix(line, files.ByteOrderMark), blanks)
	first := written
	if i := strings.IndexAny(written, blanks); i >= 0 {
		first = written[:i]
	}
	if strings.Trim(written, blanks) == "" {
		return nil
	}
	words, ok := r.typed(ctx, first)
	var inv invocation
	var err error
	if !ok {
		l := newLexer(line, r.Var)
		if l.isAtEnd() {
			return nil
		}
		if inv, err = r.parse(l); inv.command == nil {
			words, ok = r.otherwise(first)
		}
	}
	if ok {
		inv, err = r.parse(newLexer(Join(words)+" "+written, r.Var))
	}
	if err != nil && inv.command == nil {
		return err
	}
	return r.run(ctx, inv, err, in, out)
}

// SaysText reports whether a line that is typed in a shell is a text unless it
// begins with a slash.
func (r *Registry) SaysText() bool {
	if r.Typed == nil {
		return false
	}
	_, says := r.Typed("")
	return says
}

// typed asks Typed for a line.
func (r *Registry) typed(ctx context.Context, first string) (words []string, ok bool) {
	if r.Typed == nil || CallerOf(ctx).Shell == "" || ctx.Value(scripts{}) != nil {
		return nil, false
	}
	return r.Typed(first)
}

// otherwise asks Otherwise for a line that begins with no command.
func (r *Registry) otherwise(first string) (words []string, ok bool) {
	if r.Otherwise == nil || len(r.under(first)) > 0 {
		return nil, false
	}
	return r.Otherwise(first)
}

// Run runs words that are cut already: nothing in them is a variable, a quote or
// a comment. A slash before the first is dropped. A nil in is an empty input.
func (r *Registry) Run(ctx context.Context, words []string, in io.Reader, out io.Writer) error {
	if len(words) == 0 {
		return errors.New("nothing to run: there are no words")
	}
	if err := checkLine(strings.Join(words, " ")); err != nil {
		return err
	}
	src := &wordList{words: slices.Clone(words)}
	src.words[0] = strings.TrimPrefix(words[0], "/")
	inv, err := r.parse(src)
	if inv.command == nil {
		if before, ok := r.otherwise(words[0]); ok {
			inv, err = r.parse(&wordList{words: append(slices.Clone(before), words...)})
		}
	}
	if err != nil && inv.command == nil {
		return err
	}
	return r.run(ctx, inv, err, in, out)
}

// run runs an invocation, unless it could not be parsed.
func (r *Registry) run(ctx context.Context, inv invocation, parseErr error, in io.Reader, out io.Writer) (err error) {
	if r.After != nil {
		defer func() { r.After(inv.line(r), err) }()
	}
	if parseErr != nil {
		return parseErr
	}
	err = r.call(ctx, inv, in, out)
	if c := inv.command; err != nil && c != nil && !c.Text && slices.ContainsFunc(inv.words[inv.name:], isOperator) {
		err = fmt.Errorf("%w; a peer's line has no pipes and redirections: write them outside of it, as in peer exec -- %s | sort", err, c.Name)
	}
	return err
}

// isOperator reports whether a word is an operator of the outer shell.
func isOperator(word string) bool {
	return slices.Contains([]string{"|", "||", "&", "&&", ";", "<", ">", ">>"}, word)
}

// call calls the command of an invocation.
func (r *Registry) call(ctx context.Context, inv invocation, in io.Reader, out io.Writer) (err error) {
	c, words := inv.command, inv.words
	if c == nil {
		return r.unknown(words)
	}
	noInput := in == nil
	if noInput {
		in = strings.NewReader("")
	}
	fs, run, format := c.flagSet()
	var args []string
	if c.Text {
		args, err = words[inv.args:], fs.Parse(words[inv.name:inv.args])
	} else {
		args, err = c.parse(fs, words[inv.name:])
	}
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(out, c.help(page(CallerOf(ctx).Columns)))
		return err
	}
	if err != nil && c.Secret != nil { // it may repeat the argument
		err = errors.New("unknown flag")
	}
	if err != nil {
		return fmt.Errorf("%s: %w; usage: %s", c.Name, err, c.usage())
	}
	switch {
	case len(args) < c.MinArgs:
		return fmt.Errorf("%s: too few arguments; usage: %s", c.Name, c.usage())
	case c.MaxArgs == 0 && len(args) > 0 && len(r.under(c.Name)) > 0:
		return r.unknown(words)
	case c.MaxArgs >= 0 && len(args) > c.MaxArgs && c.Secret != nil:
		return fmt.Errorf("%s: too many arguments; usage: %s", c.Name, c.usage())
	case c.MaxArgs >= 0 && len(args) > c.MaxArgs:
		return fmt.Errorf("%s: unexpected argument %q; usage: %s", c.Name, args[c.MaxArgs], c.usage())
	case *format != "text" && *format != "json":
		return fmt.Errorf("%s: unknown format %q: text or json", c.Name, *format)
	}
	caller := CallerOf(ctx)
	return run(ctx, &Call{
		Args: args, Out: out, In: in, NoInput: noInput, JSON: *format == "json", Name: c.Name,
		Colour: caller.Colour, Columns: caller.Columns,
	})
}

// ReadsInput reports whether the command that words begin with reads standard
// input, and known whether that is certain: a command that does not say so may.
func (r *Registry) ReadsInput(words []string) (reads, known bool) {
	c, n := r.find(words)
	switch {
	case !slices.Contains(words[n:], "-"):
		return false, true
	case c == nil:
		return false, false
	case c.Input:
		return true, true
	}
	return false, c.Text || c.FlagsFirst
}

// FilesRead returns the names of the files that a line makes a command read.
func (r *Registry) FilesRead(words []string) []string {
	c, n := r.find(words)
	if c == nil || !c.Reads {
		return nil
	}
	fs, _, _ := c.flagSet()
	args, err := c.parse(fs, words[n:])
	if err != nil {
		return nil // it fails
	}
	return slices.DeleteFunc(args, func(arg string) bool { return arg == "-" && c.Input })
}

// under returns what can follow word to make the name of a command.
func (r *Registry) under(word string) []string {
	var under []string
	for _, name := range r.names() {
		if rest, ok := strings.CutPrefix(name, word+" "); ok {
			under = append(under, rest)
		}
	}
	return under
}

// unknown says what might have been meant.
func (r *Registry) unknown(words []string) error {
	words = r.RedactWords(words)
	if under := r.under(words[0]); len(under) > 0 {
		if len(words) > 1 {
			return fmt.Errorf("%w %q: %s has %s", ErrUnknown, words[0]+" "+words[1], words[0], strings.Join(under, ", "))
		}
		return fmt.Errorf("%s needs one of: %s", words[0], strings.Join(under, ", "))
	}
	r.mu.RLock()
	var names []string
	for name, c := range r.byName {
		if !c.EndsPeer {
			names = append(names, name)
		}
	}
	names = slices.AppendSeq(names, maps.Keys(r.byOld))
	r.mu.RUnlock()
	if near := nearest.To(words[0], names); len(near) > 0 {
		return fmt.Errorf("%w %q: did you mean %s?", ErrUnknown, words[0], strings.Join(near, ", "))
	}
	return fmt.Errorf("%w %q: type help for a list", ErrUnknown, words[0])
}

// flagSet returns a fresh set of the command's flags, the function that reads
// them and the value of -format.
func (c *Command) flagSet() (*flag.FlagSet, Func, *string) {
	fs := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	run, format := c.Run, new("text")
	if c.Flags != nil {
		run = c.Flags(fs)
	}
	if c.Data {
		fs.StringVar(format, "format", "text", "`text` or json")
	}
	return fs, run, format
}

// parse reads the flags from words, before, between and behind the arguments
// unless they all come first, and returns the arguments.
func (c *Command) parse(fs *flag.FlagSet, words []string) ([]string, error) {
	var args []string
	if flags := 0; c.FlagsFirst {
		fs.VisitAll(func(*flag.Flag) { flags++ })
		if flags == 0 {
			return words, nil // they are another program's
		}
	}
	for {
		if err := fs.Parse(words); err != nil {
			return nil, err
		}
		rest := fs.Args()
		ended := len(rest) < len(words) && words[len(words)-len(rest)-1] == "--"
		if len(rest) == 0 || c.FlagsFirst || ended {
			return append(args, rest...), nil
		}
		args, words = append(args, rest[0]), rest[1:]
	}
}
