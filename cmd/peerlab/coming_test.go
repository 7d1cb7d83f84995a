package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"peerlab/peer"
	chatapp "peerlab/peer/chat/app"
)

// What the pages for newcomers name in the column of today is there: commands of
// peers and of peerlab, and flags. Of the old shell's commands each still answers.
func TestPagesForNewcomersNameWhatThereIs(t *testing.T) {
	p, err := peer.New(chatapp.NewConfig("alice"))
	if err != nil {
		t.Fatal(err)
	}
	isPeerCommand := func(words []string) bool {
		for n := len(words); n > 0; n-- {
			if _, err := p.Commands().Help(words[:n], 0); err == nil {
				return true
			}
		}
		return false
	}
	conf := chatapp.NewConfig("alice")
	flags := pflag.NewFlagSet("peer run", pflag.ContinueOnError)
	conf.AddFlags(flags)
	isPeerFlag := func(flag string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		return flags.Lookup(name) != nil || strings.Contains(" socket shell log-level check legacy-ttl store engine ", " "+name+" ")
	}
	root := newRoot(func(string) string { return "" })
	span := regexp.MustCompile("`([^`]+)`")
	code := func(cell string) (spans []string) {
		for _, m := range span.FindAllStringSubmatch(cell, -1) {
			spans = append(spans, m[1])
		}
		return spans
	}
	checked := 0
	for _, page := range []string{"coming-from-the-predecessor.md", "coming-from-serf.md"} {
		text, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			cells := strings.Split(strings.TrimSpace(line), "|")
			if len(cells) < 4 || !strings.Contains(line, "`") {
				continue
			}
			for _, old := range code(cells[1]) {
				if words := strings.Fields(old); strings.HasPrefix(old, "/") && !isPeerCommand([]string{words[0][1:]}) {
					t.Errorf("%s: %s answers no more", page, old)
				}
			}
			for _, now := range code(cells[2]) {
				words := strings.Fields(strings.TrimSuffix(strings.TrimPrefix(now, `eval "$(`), `)"`))
				checked++
				var known bool
				switch first := words[0]; {
				case first == "peerlab":
					var found *cobra.Command
					found, _, err := root.Find(words[1:])
					known = err == nil && found != root
				case first == "peer" && len(words) > 1:
					known = strings.Contains(" run attach exec version ", " "+words[1]+" ")
				case strings.HasPrefix(first, "--"):
					known = isPeerFlag(first)
				case isPeerCommand(words):
					known = true
				default: // other programs, variables, and what stands for them
					known = strings.Contains(" make openssl :8080 2>FILE 2>/dev/null PEER_BOOTSTRAP PEER_… GossipToTheDeadTime ", " "+first+" ")
				}
				if !known {
					t.Errorf("%s names %q, which there is not", page, now)
				}
				for _, word := range words {
					if words[0] == "peer" && strings.HasPrefix(word, "--") && word != "--" && !isPeerFlag(word) {
						t.Errorf("%s: peer has no flag %s", page, word)
					}
				}
			}
		}
	}
	if checked < 80 {
		t.Errorf("only %d names were looked at", checked)
	}
}
