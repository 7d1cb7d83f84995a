package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"peerlab/event"
	"peerlab/internal/usage"
	"peerlab/observe"
	"peerlab/peer"
	chatapp "peerlab/peer/chat/app"
	"peerlab/peer/command"
	"peerlab/peer/files"
	"peerlab/peer/membership/memberlistconfig"
	"peerlab/scenarios"
	"peerlab/scenarios/explore"
	"peerlab/testbed"
	"peerlab/testbed/docker"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/settings"
)

// What completion does besides what is proposed.
const (
	noFiles   = cobra.ShellCompDirectiveNoFileComp
	noSpace   = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	withFiles = cobra.ShellCompDirectiveDefault // where nothing that is proposed fits
)

// addCompletion has every command below root complete all that this program knows:
// of flags the values, of arguments those that the command does not complete itself.
func (l *lab) addCompletion(root *cobra.Command) {
	flags := map[string]cobra.CompletionFunc{
		"cluster": l.completeClusters, "format": completeFormat,
		"image": l.completeImages, "bootstrap-image": l.completeImages, "fabric-image": l.completeImages,
		"set": completeSet, "arm": completeArm, "vary": completeVary, "checks": completeList(explore.Checks),
		"kind": completeList(func() []string { return event.KindWords(scenarios.EventKinds()) }), "peer": l.completePeers(anyState...),
		"out": completeOut, "write": completeFile("md"),
	}
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		complete := func(f *pflag.Flag) {
			if _, has := cmd.GetFlagCompletionFunc(f.Name); has || f.Value.Type() == "bool" {
				return
			}
			how := flags[f.Name]
			if name, _ := pflag.UnquoteUsage(f); how == nil && strings.Contains(name, "|") {
				how = fixed(strings.Split(name, "|")...) // docker|sim
			}
			if how == nil {
				how = fixed() // a number, a duration
			}
			_ = cmd.RegisterFlagCompletionFunc(f.Name, how) // the flag is there, and has none
		}
		cmd.LocalNonPersistentFlags().VisitAll(complete)
		cmd.PersistentFlags().VisitAll(complete)
		if cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
}

// fixed proposes words.
func fixed(words ...string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) { return words, noFiles }
}

// completeList completes a list separated by commas.
func completeList(words func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
		return list(words(), nil, word), noSpace
	}
}

// list completes the last name of a list without those that are taken.
func list(names, taken []string, word string) (proposed []string) {
	head := word[:strings.LastIndex(word, ",")+1]
	taken = append(slices.Clone(taken), strings.Split(head, ",")...)
	for _, name := range names {
		if plain, _, _ := strings.Cut(name, "\t"); !slices.Contains(taken, plain) {
			proposed = append(proposed, head+name)
		}
	}
	return proposed
}

func completeFormat(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return formatsOf(cmd), noFiles
}

func completeFile(extensions ...string) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return extensions, cobra.ShellCompDirectiveFilterFileExt
	}
}

// completeOut completes --out, which is a file for explore and a directory
// elsewhere.
func completeOut(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if cmd.Name() == "explore" {
		return completeFile(strings.TrimPrefix(scenarios.Extension, "."))(cmd, args, word)
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// fields are those of memberlist's configuration, as the beginnings of settings.
func fields() []string {
	names := memberlistconfig.Fields()
	for i, name := range names {
		names[i] = name + "="
	}
	return names
}

// settingWords are the beginnings of the settings of a cluster line.
func settingWords() []string {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	config := chatapp.NewConfig("")
	config.AddFlags(flags)
	var words []string
	flags.VisitAll(func(f *pflag.Flag) {
		if owned := settings.Owned()[f.Name] != ""; !owned && f.Name != "name" && f.Name != "set" {
			words = append(words, f.Name+"=")
		}
	})
	return append(words, fields()...)
}

// opened are the scenarios that a command line names so far.
func opened(args []string) (all []*scenarios.Scenario) {
	for _, name := range args {
		if s, err := scenarios.Open(name); err == nil {
			all = append(all, s)
		}
	}
	return all
}

// completeSet completes --set: a field of memberlist's configuration for a
// cluster, a variable for scenarios.
func completeSet(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if cmd.Name() == "up" {
		return fields(), noSpace
	}
	var words []string
	for _, s := range opened(args) {
		for _, name := range s.Variables() {
			words = append(words, name+"=")
		}
	}
	return words, noSpace
}

func completeArm(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, s := range opened(args) {
		names = append(names, s.Arms()...)
	}
	return names, noFiles
}

// completeVary completes the name of what sweep varies.
func completeVary(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var words []string
	for _, s := range opened(args) {
		for _, name := range s.Variables() {
			words = append(words, strings.ToLower(name)+"=\ta variable of the scenario")
		}
	}
	return append(words, settingWords()...), noSpace
}

// completeScenarios proposes the gallery, beside files. more is false for a command
// that takes one scenario.
func completeScenarios(more bool, besides ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && !more {
			return nil, noFiles
		}
		all, _ := scenarios.Gallery()
		names := slices.Clone(besides)
		for _, s := range all {
			if name := scenarios.GalleryPrefix + s.Name; !slices.Contains(args, name) {
				names = append(names, name+"\t"+s.Title)
			}
		}
		return names, withFiles
	}
}

// wholeGallery is all scenarios that are built in, as run and compare take them.
const wholeGallery = "gallery\tall that are built in"

// completeGallery proposes names of the gallery.
func completeGallery(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	all, _ := scenarios.Gallery()
	var names []string
	for _, s := range all {
		names = append(names, s.Name+"\t"+s.Title)
	}
	return names, noFiles
}

// completeChecks completes DIR… [NAME…].
func completeChecks(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	var names []string
	for _, h := range slices.Concat(observe.Checks(), observe.Measures()) {
		if !slices.Contains(args, h.Name) && !slices.Contains(names, h.Name) {
			names = append(names, h.Name)
		}
	}
	return names, withFiles
}

func completeSettings(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return settingWords(), noSpace
}

// onDocker calls f with a connection to Docker, if there is one.
func (l *lab) onDocker(cmd *cobra.Command, f func(d *dockerd.Daemon)) {
	if d, err := l.connect(cmd.Context()); err == nil {
		f(d)
		_ = d.Close()
	}
}

func (l *lab) completeClusters(cmd *cobra.Command, _ []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	l.onDocker(cmd, func(d *dockerd.Daemon) {
		all, _ := d.Summaries(cmd.Context())
		for _, c := range all {
			names = append(names, fmt.Sprintf("%s\t%d of %d peers run", c.Name, c.Running, c.Peers))
		}
	})
	return names, noFiles
}

func (l *lab) completeImages(cmd *cobra.Command, _ []string, _ string) (tags []string, _ cobra.ShellCompDirective) {
	l.onDocker(cmd, func(d *dockerd.Daemon) { tags, _ = d.Images(cmd.Context()) })
	return tags, noFiles
}

// members are those of the cluster, none if it cannot be asked.
func (l *lab) members(cmd *cobra.Command) (all []testbed.Peer) {
	_ = l.on(cmd, func(c *docker.Cluster) (err error) {
		all, err = c.Peers(cmd.Context())
		return err
	})
	return all
}

// names are those of the cluster, none if it cannot be asked.
func (l *lab) names(cmd *cobra.Command) []string { return namesOf(l.members(cmd)) }

// described are the names of those in one of some states, each with its state.
func described(members []testbed.Peer, states []testbed.State) (names []string) {
	for _, m := range members {
		if slices.Contains(states, m.State) {
			names = append(names, m.Name+"\t"+string(m.State))
		}
	}
	return names
}

// completePeers proposes those that are in one of some states, and all. Several are
// separated by blanks or commas.
func (l *lab) completePeers(states ...testbed.State) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		names := described(l.members(cmd), states)
		if len(names) > 1 && len(args) == 0 && !strings.Contains(word, ",") {
			names = append(names, testbed.All+"\tevery peer")
		}
		return list(names, strings.Split(strings.Join(args, ","), ","), word), noFiles
	}
}

// completeAttach proposes the peers in which a shell can be opened.
func (l *lab) completeAttach(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	_ = l.on(cmd, func(c *docker.Cluster) (err error) {
		names, err = c.Shells(cmd.Context())
		return err
	})
	return names, noFiles
}

// completeExec completes PEER and then a line of the peer's shell.
func (l *lab) completeExec(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return l.completeLine(cmd, args[1:], word), noFiles
	}
	var names []string
	for _, m := range l.members(cmd) {
		if m.State == testbed.Running && m.Name != testbed.Bootstrap {
			names = append(names, m.Name)
		}
	}
	if len(names) > 1 && !strings.Contains(word, ",") {
		names = append(names, testbed.All+"\tevery peer")
	}
	return list(names, nil, word), noFiles
}

// completeLine completes the words of a line of a peer's shell, as far as that can
// be done without the peer: it knows no files, and for names it proposes those of
// the cluster.
func (l *lab) completeLine(cmd *cobra.Command, words []string, word string) []string {
	config := chatapp.NewConfig("peer")
	config.Files = files.NewMemory()
	p, err := peer.New(config)
	if err != nil {
		return nil
	}
	registry := p.Commands()
	proposed, _ := registry.Complete(strings.Join(append(slices.Clone(words), word), " "))
	if len(proposed) > 0 || len(words) == 0 {
		return proposed
	}
	typed := strings.Join(words, " ") + " "
	for _, c := range registry.Commands() {
		takes := strings.Contains(c.Usage, "NAME") || strings.Contains(c.Usage, "A [B]")
		if takes && !c.Text && isCalled(c, typed) && c.Complete != nil {
			return slices.DeleteFunc(l.names(cmd), func(name string) bool { return name == testbed.Bootstrap })
		}
	}
	return nil
}

// isCalled reports whether a line, with a blank at its end, begins with one of a
// command's names.
func isCalled(c command.Command, typed string) bool {
	return slices.ContainsFunc(append([]string{c.Name}, c.Aliases...), func(name string) bool {
		return strings.HasPrefix(strings.TrimPrefix(typed, "/"), name+" ")
	})
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
	return proposed, noSpace
}

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

// completeLink completes FROM TO and then keys.
func (l *lab) completeLink(keys ...string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) < 2 {
			proposed := list(l.names(cmd), strings.Split(strings.Join(args, ","), ","), word)
			if !strings.Contains(word, ",") {
				proposed = append(proposed, testbed.All+"\tevery peer", testbed.Rest+"\tthose not at the other end")
			}
			return proposed, noSpace
		}
		var proposed []string
		for _, key := range keys {
			name, _, _ := strings.Cut(key, "=")
			if !slices.ContainsFunc(args[2:], func(arg string) bool { return strings.HasPrefix(arg, name+"=") }) {
				proposed = append(proposed, key)
			}
		}
		return proposed, noSpace
	}
}

// completeHeal proposes peers, and the links that are not healthy.
func (l *lab) completeHeal(cmd *cobra.Command, args []string, word string) (proposed []string, _ cobra.ShellCompDirective) {
	_ = l.on(cmd, func(c *docker.Cluster) error {
		state, err := c.LinkState(cmd.Context())
		if err != nil {
			return err
		}
		proposed = list(described(state.Peers, anyState), strings.Split(strings.Join(args, ","), ","), word)
		for _, pair := range state.Links.Pairs() {
			proposed = append(proposed, pair.From+":"+pair.To+"\t"+state.Links[pair].String())
		}
		return nil
	})
	return proposed, noFiles
}

// ownCompletionCommand adds cobra's command completion to root, with what cobra
// leaves out. A wrong word is wrong usage. The script for bash says at the first TAB
// what it needs, where that is not there: by itself bash says
// "_get_comp_words_by_ref: command not found". It is called when it is known where
// root writes.
func ownCompletionCommand(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	completion, _, err := root.Find([]string{"completion"})
	if err != nil || completion == root {
		return
	}
	completion.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError{usage.UnknownCommand(cmd, args[0])}
		}
		return nil
	}
	completion.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	for _, shell := range completion.Commands() {
		if shell.Name() != "bash" {
			continue
		}
		run := shell.RunE
		shell.RunE = func(cmd *cobra.Command, args []string) error {
			if err := run(cmd, args); err != nil {
				return err
			}
			_, err := io.WriteString(root.OutOrStdout(), bashNote)
			return err
		}
	}
}

const bashNote = `
# Without the package bash-completion, TAB says so. This replaces the function above.
__peerlab_init_completion()
{
    if ! declare -F _get_comp_words_by_ref >/dev/null 2>&1; then
        printf '\npeerlab: to complete in bash, install the package bash-completion and start a new shell, or source /usr/share/bash-completion/bash_completion\n' >&2
        return 1
    fi
    COMPREPLY=()
    _get_comp_words_by_ref "$@" cur prev words cword
}
`
