package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"peerlab/peer"
	chatapp "peerlab/peer/chat/app"
	"peerlab/peer/command"
)

// shownLine is a command of peerlab or make in a page: a line of a block of code,
// or a span.
type shownLine struct {
	where string
	words []string
	whole bool // a line of a block: as somebody types it
}

var (
	span       = regexp.MustCompile("`([^`\n]+)`")
	shellsOwn  = regexp.MustCompile(`\s+#\s.*$|\s*(\||;|&&|<<?|>|2>).*$`)
	assignment = regexp.MustCompile(`^[A-Z_]+=\S*$`)
)

// shownCommands returns the commands of peerlab and of make that a page shows.
func shownCommands(name, page string) (found []shownLine) {
	add := func(text string, whole bool) {
		text = strings.TrimPrefix(strings.TrimSpace(text), "$ ")
		words, err := command.Split(shellsOwn.ReplaceAllString(text, ""))
		if err != nil {
			return
		}
		for len(words) > 0 && assignment.MatchString(words[0]) {
			words = words[1:]
		}
		if len(words) > 1 && (strings.TrimPrefix(words[0], ".build/") == "peerlab" || words[0] == "make") {
			found = append(found, shownLine{name + ": " + text, words, whole})
		}
	}
	for _, block := range codeBlock.FindAllString(page, -1) {
		session := strings.Contains(block, "\n$ ") // where other lines are output
		for line := range strings.Lines(block) {
			if !session || strings.HasPrefix(line, "$ ") {
				add(line, true)
			}
		}
	}
	for _, m := range span.FindAllStringSubmatch(codeBlock.ReplaceAllString(page, ""), -1) {
		add(m[1], false)
	}
	return found
}

// TestCommandsOfPages: whatever README and docs show of peerlab, of make and of
// peers is there, with the flags and as many arguments as are shown.
func TestCommandsOfPages(t *testing.T) {
	p, err := peer.New(chatapp.NewConfig("alice"))
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	// check says what is wrong with a command of peerlab. A span may leave out
	// arguments.
	check := func(words []string, whole bool) error {
		root := newRoot(func(string) string { return "" })
		root.InitDefaultHelpCmd()
		root.InitDefaultCompletionCmd()
		cmd, rest, err := root.Find(words)
		if err != nil {
			return err
		}
		var unfinished *pflag.ValueRequiredError
		if err := cmd.ParseFlags(rest); err != nil && !errors.Is(err, pflag.ErrHelp) && (whole || !errors.As(err, &unfinished)) {
			return err
		}
		args := cmd.Flags().Args()
		if whole {
			if err := cmd.ValidateArgs(args); err != nil {
				return err
			}
		}
		line := args[max(0, cmd.ArgsLenAtDash()):]
		if cmd.Name() != "exec" || len(line) == len(args) || len(line) == 0 || line[0] == "…" {
			return nil
		}
		for i := len(line); i > 0; i-- {
			if _, err := p.Commands().Help(line[:i], 0); err == nil {
				return nil
			}
		}
		return fmt.Errorf("peers have no command %s", line[0])
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, page := range append(pages, "../../README.md", "../../CONTRIBUTING.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, shown := range shownCommands(filepath.Base(page), string(text)) {
			checked++
			if shown.words[0] != "make" {
				if err := check(shown.words[1:], shown.whole); err != nil {
					t.Errorf("%s: %v", shown.where, err)
				}
				continue
			}
			for _, target := range shown.words[1:] {
				if strings.ContainsAny(target, "=…,.:") { // a variable, or a sentence
					break
				}
				if !strings.Contains(string(makefile), "\n"+target+":") {
					t.Errorf("%s: make has no target %s", shown.where, target)
				}
			}
		}
	}
	if checked < 150 {
		t.Errorf("only %d commands were looked at", checked)
	}
}
