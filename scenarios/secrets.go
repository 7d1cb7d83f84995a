package scenarios

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"peerlab/event"
	"peerlab/peer"
	chatapp "peerlab/peer/chat/app"
	peerline "peerlab/peer/command"
)

// peerCommands are the commands of a peer's shell. They say how a line begins
// and what in it is secret.
var peerCommands = sync.OnceValue(func() *peerline.Registry {
	p, err := peer.New(chatapp.NewConfig("peer"))
	if err != nil {
		panic(err) // nothing in it depends on anything
	}
	return p.Commands()
})

// secrets are the values in a scenario that must not be kept, such as keys, and
// what stands for each of them: its fingerprint. They are found by value,
// because a line may have a variable where another line has the key.
type secrets map[string]string

// minSecret is the shortest value that is looked for everywhere: replacing each
// "a" would hide nothing and spoil everything.
const minSecret = 8

// addLine adds the secret arguments of a line for a peer's shell.
func (s secrets) addLine(words []string) {
	for i, redacted := range peerCommands().RedactWords(words) {
		if redacted != words[i] && len(words[i]) >= minSecret {
			s[words[i]] = redacted
		}
	}
}

// addRepeated adds the secret arguments of a line that is repeated n times: as it
// is written, and with each number in place of {}.
func (s secrets) addRepeated(line string, n int) {
	words := lineWords(line)
	s.addLine(words)
	if redacted := peerCommands().RedactWords(words); !strings.Contains(line, "{}") || slices.Equal(words, redacted) {
		return
	}
	for i := range n {
		s.addLine(lineWords(numbered(line, i+1)))
	}
}

// redactor returns what replaces all secrets, a longer one before its parts.
func (s secrets) redactor() *strings.Replacer {
	values := slices.SortedFunc(maps.Keys(s), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	var pairs []string
	for _, value := range values {
		pairs = append(pairs, value, s[value])
	}
	return strings.NewReplacer(pairs...)
}

// Redact returns a text with the secrets of the scenario, of all its arms,
// replaced by their fingerprints, as it may be kept. A text that is to be
// shortened is redacted before: a part of a secret is not found any more.
func (p *Plan) Redact(text string) string {
	if len(p.secrets) == 0 {
		return text
	}
	return p.redactor.Replace(text)
}

// redactEvent replaces the secrets in what an event repeats.
func (p *Plan) redactEvent(e event.Event) event.Event {
	e.Text, e.Reason, e.Error = p.Redact(e.Text), p.Redact(e.Reason), p.Redact(e.Error)
	return e
}

// redactResult replaces the secrets in whatever of a result can repeat a line
// or what a peer answers.
func (p *Plan) redactResult(res *Result) {
	if len(p.secrets) == 0 {
		return
	}
	res.Reason, res.Story = p.Redact(res.Reason), p.Redact(res.Story)
	if f := res.Failed; f != nil {
		f.Text, f.Why = p.Redact(f.Text), p.Redact(f.Why)
	}
	for i := range res.Asked {
		a := &res.Asked[i]
		a.Text, a.Found = p.Redact(a.Text), p.Redact(a.Found)
		for k := range a.Words {
			a.Words[k] = p.Redact(a.Words[k])
		}
	}
	for i, e := range res.Events {
		res.Events[i] = p.redactEvent(e)
	}
}
