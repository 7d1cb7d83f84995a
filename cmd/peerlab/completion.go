package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"peerlab/testbed"
	"peerlab/testbed/docker"
)

// linkWords is what link proposes after the peers.
func linkWords() []string {
	words := []string{"drop=udp", "drop=tcp", "drop=all"}
	for _, key := range testbed.LinkKeys() {
		if key.Name != "drop" {
			words = append(words, key.Name+"=")
		}
	}
	return words
}

const noFiles = cobra.ShellCompDirectiveNoFileComp

// names are those of the cluster, none if it cannot be asked.
func (l *lab) names(cmd *cobra.Command) (names []string) {
	_ = l.on(cmd, func(c *docker.Cluster) (err error) {
		names, err = peerNames(cmd.Context(), c)
		return err
	})
	return names
}

// list completes the last name of a list without those that are taken.
func list(names, taken []string, word string) (proposed []string) {
	head := word[:strings.LastIndex(word, ",")+1]
	taken = append(slices.Clone(taken), strings.Split(head, ",")...)
	for _, name := range names {
		if !slices.Contains(taken, name) {
			proposed = append(proposed, head+name)
		}
	}
	return proposed
}

// completeGroups completes alice,bob / rest.
func (l *lab) completeGroups(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args)%2 == 1 { // after a group
		return []string{"/"}, noFiles
	}
	names := slices.DeleteFunc(l.names(cmd), func(name string) bool { return name == testbed.Bootstrap })
	taken := strings.Split(strings.Join(args, ","), ",")
	proposed := list(names, taken, word)
	if len(args) > 0 && !strings.Contains(word, ",") {
		proposed = append(proposed, testbed.Rest+"\teverybody else")
	}
	return proposed, noFiles | cobra.ShellCompDirectiveNoSpace
}

// completeLink completes FROM TO and then keys.
func (l *lab) completeLink(keys ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) < 2 {
			proposed := list(l.names(cmd), strings.Split(strings.Join(args, ","), ","), word)
			if !strings.Contains(word, ",") {
				proposed = append(proposed, testbed.All+"\tevery peer", testbed.Rest+"\tthose not at the other end")
			}
			return proposed, noFiles | cobra.ShellCompDirectiveNoSpace
		}
		var proposed []string
		for _, key := range keys {
			name, _, _ := strings.Cut(key, "=")
			if !slices.ContainsFunc(args[2:], func(arg string) bool { return strings.HasPrefix(arg, name+"=") }) {
				proposed = append(proposed, key)
			}
		}
		return proposed, noFiles | cobra.ShellCompDirectiveNoSpace
	}
}
