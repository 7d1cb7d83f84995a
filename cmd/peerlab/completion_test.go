package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"peerlab/scenarios"
)

// complete presses TAB: it returns what is proposed, without the descriptions, and
// what the shell is to do besides, as cobra writes it.
func complete(t *testing.T, words ...string) (proposed []string, directive string) {
	t.Helper()
	status, out, errs := call(nil, append([]string{"__complete"}, words...)...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 0 || !strings.HasPrefix(lines[len(lines)-1], ":") {
		t.Fatalf("__complete %q: %d %q %q", words, status, out, errs)
	}
	for _, line := range lines[:len(lines)-1] {
		word, _, _ := strings.Cut(line, "\t")
		proposed = append(proposed, word)
	}
	return proposed, lines[len(lines)-1]
}

// What cobra writes for a directive.
const (
	tellsNoFiles = ":4"
	tellsNoSpace = ":6"
	tellsFiles   = ":0"
	tellsTypes   = ":8"
	tellsDirs    = ":16"
)

// withArms is a scenario of the gallery that has arms and variables.
func withArms(t *testing.T) *scenarios.Scenario {
	t.Helper()
	all, err := scenarios.Gallery()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if len(s.Arms()) > 0 && len(s.Variables()) > 0 {
			return s
		}
	}
	t.Fatal("no scenario of the gallery has arms and variables")
	return nil
}

// TestEveryFlagCompletes presses TAB after every flag of every command.
func TestEveryFlagCompletes(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	free := []string{ // a number, a duration, an address
		"for", "since", "tail", "repeat", "seed", "parallel", "memory", "pids", "subnet", "rejoin", "timeout", "cpus", "peers", "runs", "shrink", "keep", "older",
	}
	asksDocker := []string{"cluster", "image", "bootstrap-image", "fabric-image", "peer"}
	s := withArms(t)
	want := map[string]string{ // one of those proposed
		"format": "json", "engine": "sim", "profile": "wan", "adapter": "serf", "arm": s.Arms()[0], "checks": "chat", "kind": "member.dead", "color": "always",
		"up --set": "SuspicionMult=", "run --set": s.Variables()[0] + "=", "sweep --set": s.Variables()[0] + "=",
		"vary": strings.ToLower(s.Variables()[0]) + "=",
	}
	files := map[string]string{"out": tellsDirs, "explore --out": tellsTypes, "write": tellsTypes}
	commandTree(newRoot(func(string) string { return "" }), func(path string, c *cobra.Command) {
		_, words, _ := strings.Cut(path, " ")
		args := strings.Fields(words)
		if slices.Contains([]string{"run", "sweep"}, c.Name()) {
			args = append(args, scenarios.GalleryPrefix+s.Name)
		}
		check := func(f *pflag.Flag) {
			if f.Value.Type() == "bool" {
				return
			}
			proposed, directive := complete(t, append(slices.Clone(args), "--"+f.Name, "")...)
			of := func(m map[string]string) string {
				if own, has := m[c.Name()+" --"+f.Name]; has {
					return own
				}
				return m[f.Name]
			}
			switch {
			case slices.Contains(free, f.Name), slices.Contains(asksDocker, f.Name):
				if len(proposed) > 0 || directive != tellsNoFiles {
					t.Errorf("%s --%s: %q %s, want nothing and no files", path, f.Name, proposed, directive)
				}
			case of(files) != "":
				if directive != of(files) {
					t.Errorf("%s --%s: %q %s, want %s", path, f.Name, proposed, directive, of(files))
				}
			case of(want) == "":
				t.Errorf("%s --%s: what does it complete?", path, f.Name)
			default:
				if !slices.Contains(proposed, of(want)) || directive != tellsNoFiles && directive != tellsNoSpace {
					t.Errorf("%s --%s: %q %s, want %q and no files", path, f.Name, proposed, directive, of(want))
				}
			}
		}
		c.LocalNonPersistentFlags().VisitAll(check)
		c.PersistentFlags().VisitAll(check)
	})
}

// TestEveryArgumentCompletes presses TAB behind every command.
func TestEveryArgumentCompletes(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	type tab struct{ words, want, directive string }
	tabs := map[string][]tab{
		"run":     {{"", "gallery/crash", tellsFiles}, {"gallery/crash ", "gallery", tellsFiles}},
		"sweep":   {{"", "gallery/crash", tellsFiles}, {"gallery/crash ", "", tellsNoFiles}},
		"compare": {{"", "gallery", tellsFiles}},
		"gallery": {{"", "crash", tellsNoFiles}, {"crash ", "", tellsNoFiles}},
		"check":   {{"", "", tellsDirs}, {"dir ", "chat", tellsFiles}},
		"explore": {{"", "rejoin=", tellsNoSpace}, {"rejoin=0 ", "SuspicionMult=", tellsNoSpace}},
		"env":     {{"", "cloud", tellsNoFiles}},
		"help":    {{"", "verbs", tellsNoFiles}, {"", "ps", tellsNoFiles}, {"completion ", "bash", tellsNoFiles}},
		"exec": {
			{"alice -- ", "members", tellsNoFiles},
			{"alice -- members -", "-status", tellsNoFiles},
			{"alice -- members -status ", "dead", tellsNoFiles},
			{"alice -- chat ", "join", tellsNoFiles},
			{"alice -- bootstrapj", "bootstrapjoin", tellsNoFiles},
			{"alice -- memberlistc", "memberlistcreate", tellsNoFiles},
			{"alice -- /memb", "members", tellsNoFiles},
			{"alice -- execute ", "run/", tellsNoFiles},
		},
		"link":       {{"alice bob ", "loss=", tellsNoSpace}},
		"cut":        {{"alice bob ", "drop=udp", tellsNoSpace}},
		"partition":  {{"alice ", "/", tellsNoFiles}, {"alice / ", "rest", tellsNoSpace}},
		"completion": {{"", "fish", tellsNoFiles}},
		"runs":       {{"", "show", tellsNoFiles}},
		"runs show":  {{"", "", tellsNoFiles}},
		"runs prune": {{"", "", tellsNoFiles}},
	}
	onlyOnCluster := []string{"attach", "logs", "events", "kill", "stop", "start", "restart", "pause", "resume", "throttle", "heal"}
	commandTree(newRoot(func(string) string { return "" }), func(path string, c *cobra.Command) {
		_, words, _ := strings.Cut(path, " ")
		_, takes, _ := strings.Cut(c.Use, " ")
		switch {
		case tabs[words] != nil:
		case slices.Contains(onlyOnCluster, words), takes == "", words == "up", words == "":
			if words != "" {
				tabs[words] = []tab{{"", "", tellsNoFiles}}
			}
		default:
			t.Errorf("%s: what does it complete?", path)
		}
		for _, tab := range tabs[words] {
			line := append(strings.Fields(words), strings.Split(tab.words, " ")...)
			proposed, directive := complete(t, line...)
			if directive != tab.directive || tab.want != "" && !slices.Contains(proposed, tab.want) || tab.want == "" && len(proposed) > 0 {
				t.Errorf("%q: %q %s, want %q %s", line, proposed, directive, tab.want, tab.directive)
			}
		}
	})
}

// TestBashWithoutItsCompletionPackage presses TAB in a bash that lacks the functions
// of the package bash-completion.
func TestBashWithoutItsCompletionPackage(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	_, script, _ := call(nil, "completion", "bash")
	file := filepath.Join(t.TempDir(), "peerlab.bash")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	tab := func(first string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), bash, "--norc", "--noprofile", "-c",
			first+`; source "$1"; peerlab() { :; }; COMP_WORDS=(peerlab ps); COMP_CWORD=1; COMP_TYPE=9; __start_peerlab`, "bash", file)
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	if out := tab(":"); !strings.Contains(out, "install the package bash-completion") || strings.Contains(out, "not found") {
		t.Errorf("without the package: %q", out)
	}
	has := `_get_comp_words_by_ref() { cur=ps prev=peerlab; words=(peerlab ps); cword=1; }`
	if out := tab(has); strings.Contains(out, "bash-completion") {
		t.Errorf("with the package: %q", out)
	}
}

// TestCompletionAsksDockerForAList presses TAB where names of peers go: no container
// is looked at on its own, which takes long where there are many.
func TestCompletionAsksDockerForAList(t *testing.T) {
	d := startFakeDaemon(t, true, "alice", "bob", "bootstrap", "serf")
	for _, words := range []string{"attach ", "kill ", "exec ", "exec alice -- rtt bob ", "logs ", "heal ", "cut ", "partition "} {
		if proposed, _ := complete(t, strings.Split(words, " ")...); !slices.Contains(proposed, "alice") || words == "attach " && len(proposed) != 2 {
			t.Errorf("%q: %q", words, proposed)
		}
	}
	for _, path := range []string{"/containers/alice/json", "/events"} {
		if n := d.times(path); n > 0 {
			t.Errorf("Docker was asked %d times for %s", n, path)
		}
	}
}
