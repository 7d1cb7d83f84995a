package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func call(vars map[string]string, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(args, func(name string) string { return vars[name] }, &out, &errs)
	return status, out.String(), errs.String()
}

func TestEnv(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "peerlab", "config.json")
	if err := os.Mkdir(filepath.Dir(config), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte(`{"cloud":{"bootstrap":"https://cloud.example","token":"from-file"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		place  string
		vars   map[string]string
		status int
		want   string
	}{
		{"local by default", "local", nil, 0, "export PEER_BOOTSTRAP='http://127.0.0.1:8080'\nunset PEER_BOOTSTRAP_TOKEN\n"},
		{"local elsewhere", "local", map[string]string{"PEERLAB_LOCAL_BOOTSTRAP": "http://10.0.0.1:80,http://10.0.0.2:80"}, 0, "export PEER_BOOTSTRAP='http://10.0.0.1:80,http://10.0.0.2:80'\nunset PEER_BOOTSTRAP_TOKEN\n"},
		{"cloud not set", "cloud", nil, 1, "set PEERLAB_CLOUD_BOOTSTRAP, or add it to"},
		{"cloud from the file", "cloud", map[string]string{"XDG_CONFIG_HOME": dir}, 0, "export PEER_BOOTSTRAP='https://cloud.example'\nexport PEER_BOOTSTRAP_TOKEN='from-file'\n"},
		{"another cloud keeps its token", "cloud", map[string]string{"XDG_CONFIG_HOME": dir, "PEERLAB_CLOUD_BOOTSTRAP": "https://b.example"}, 0, "export PEER_BOOTSTRAP='https://b.example'\nunset PEER_BOOTSTRAP_TOKEN\n"},
		{"a token in clear", "cloud", map[string]string{"PEERLAB_CLOUD_BOOTSTRAP": "http://c.example", "PEERLAB_CLOUD_TOKEN": "secret"}, 0, "peerlab: cloud: the token is sent without encryption: use https\n"},
		{"the predecessor's variable", "local", map[string]string{"BOOTSTRAP_DATA_SERVER": "http://10.0.0.1:8080"}, 0, "peerlab: BOOTSTRAP_DATA_SERVER is not used here: PEER_BOOTSTRAP replaces it"},
		{"not a URL", "cloud", map[string]string{"PEERLAB_CLOUD_BOOTSTRAP": "$(reboot)"}, 1, "want http://HOST:PORT"},
		{"unknown place", "moon", nil, 2, "local or cloud"},
	} {
		if test.vars == nil {
			test.vars = map[string]string{}
		}
		if test.vars["XDG_CONFIG_HOME"] == "" {
			test.vars["XDG_CONFIG_HOME"] = t.TempDir()
		}
		status, out, errs := call(test.vars, "env", test.place)
		if status != test.status || !strings.Contains(out+errs, test.want) || (status != 0 && out != "") {
			t.Errorf("%s: %d %q %q, want %d %q", test.name, status, out, errs, test.status, test.want)
		}
	}
	if err := os.WriteFile(config, []byte(`{`), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := call(map[string]string{"XDG_CONFIG_HOME": dir}, "env", "local"); status != 1 || out != "" || !strings.Contains(errs, config) {
		t.Errorf("damaged file: %d %q %q", status, out, errs)
	}
}

// TestEvalIsSafe lets a shell evaluate what is printed for a hostile token.
func TestEvalIsSafe(t *testing.T) {
	token := "a'b\"c$(echo x)`echo y`\\ \nz;exit 7 #"
	_, out, _ := call(map[string]string{"PEERLAB_CLOUD_BOOTSTRAP": "https://c.example", "PEERLAB_CLOUD_TOKEN": token}, "env", "cloud")
	got, err := exec.Command("sh", "-c", `eval "$1"; printf '%s|%s' "$PEER_BOOTSTRAP" "$PEER_BOOTSTRAP_TOKEN"`, "sh", out).Output()
	if err != nil || string(got) != "https://c.example|"+token {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWrongUse(t *testing.T) {
	for args, want := range map[string]string{
		"enw": "did you mean env?", "env": "local or cloud", "env local cloud": "local or cloud",
		"version x": "no argument", "--nope": "unknown flag",
	} {
		if status, out, errs := call(nil, strings.Fields(args)...); status != 2 || !strings.Contains(errs, want) || out != "" || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: %d %q %q", args, status, out, errs)
		}
	}
	if status, out, _ := call(nil, "version"); status != 0 || !strings.HasPrefix(out, "peerlab ") {
		t.Errorf("version: %d %q", status, out)
	}
}

// TestHelp wants help to be about what was asked for, in lines of a terminal.
func TestHelp(t *testing.T) {
	for args, want := range map[string]string{
		"help verbs": "await DURATION CONDITION", "help ps": "--watch", "help completion bash": "bash-completion", "--version": "peerlab ", "version": "peerlab ",
		"cut --help": "-h, --help ",
	} {
		status, out, errs := call(nil, strings.Fields(args)...)
		if status != 0 || !strings.Contains(out, want) || errs != "" || strings.Contains(out, "true|false") {
			t.Errorf("%s: %d %q %q, want %q", args, status, out, errs, want)
		}
		if args != "help verbs" {
			continue
		}
		for line := range strings.Lines(out) {
			if len([]rune(line)) > 81 {
				t.Errorf("%s: %d columns: %s", args, len([]rune(line))-1, line)
			}
		}
		if strings.Contains(out, "<br>") || strings.Contains(out, "###") {
			t.Errorf("%s: Markdown", args)
		}
	}
	for _, args := range []string{"help nosuch", "completion nosuch"} {
		if status, out, errs := call(nil, strings.Fields(args)...); status != 2 || out != "" || errs == "" {
			t.Errorf("%s: %d %q %q", args, status, out, errs)
		}
	}
}

func TestOneLine(t *testing.T) {
	several := errors.Join(errors.New("a"), errors.New("b"), errors.New("c"), errors.New("d"), errors.New("e"))
	for _, test := range []struct {
		err         error
		interrupted bool
		want        string
	}{
		{errors.New("a"), false, "a"},
		{several, false, "a; b; c; and 2 more"},
		{several, true, "interrupted: a"},
		{errors.New("interrupted: nothing is left"), true, "interrupted: nothing is left"},
		{fmt.Errorf("set links: %w", &url.Error{Op: "Post", URL: "http://%2Fvar/x", Err: context.Canceled}), true, "interrupted during a request to Docker"},
	} {
		if got := oneLine(test.err, test.interrupted); got != test.want {
			t.Errorf("%q, interrupted %t: %q, want %q", test.err, test.interrupted, got, test.want)
		}
	}
}
