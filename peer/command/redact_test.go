package command_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"peerlab/peer/command"
)

const secretKey = "c2l4dGVlbiBieXRlIGtleQ=="

// vault returns a registry in which one command's arguments are secret.
func vault(t *testing.T) *command.Registry {
	t.Helper()
	r := &command.Registry{}
	nothing := func(context.Context, *command.Call) error { return nil }
	err := r.Add(
		command.Command{Name: "vault open", Aliases: []string{"vo"}, MinArgs: 1, MaxArgs: 1, Run: nothing, Secret: func(arg string) string {
			if arg == "1a2b3c4d" {
				return arg
			}
			return "<hidden>"
		}},
		command.Command{Name: "vault list", Run: nothing},
		command.Command{Name: "say", MaxArgs: -1, Text: true, Run: nothing},
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRedact(t *testing.T) {
	r := vault(t)
	for line, want := range map[string]string{
		"":                                       "",
		"say " + secretKey:                       "say " + secretKey,
		"vault list  ":                           "vault list  ",
		"vault open -":                           "vault open -",
		"vault open 1a2b3c4d":                    "vault open 1a2b3c4d",
		"vault open $KEY":                        "vault open $KEY",
		"vault open " + secretKey:                "vault open <hidden>",
		"/vault open " + secretKey + " # x":      "vault open <hidden> <hidden> <hidden>",
		"  vo  '" + secretKey + "' more $k":      "vo <hidden> <hidden> $k",
		"vault open -- " + secretKey:             "vault open -- <hidden>",
		"vault open -" + secretKey:               "vault open <hidden>",
		"vault open 'unclosed " + secretKey:      "vault open <hidden> <hidden>",
		"vault " + secretKey:                     "vault <hidden>",
		"vault opne " + secretKey:                "vault opne <hidden>",
		"valut open " + secretKey:                "valut open <hidden>",
		"vault open short":                       "vault open <hidden>",
		"entirely other " + secretKey:            "entirely other " + secretKey,
		"vault open \"quoted " + secretKey + `"`: "vault open <hidden>",
	} {
		if got := r.Redact(line); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
	}
}

// No error of the registry's own repeats a secret argument.
func TestErrorsRepeatNoSecret(t *testing.T) {
	r := vault(t)
	for _, line := range []string{
		"vault open a " + secretKey, "vault open -" + secretKey, "vault open -x=" + secretKey, "vault " + secretKey,
		"vault opne " + secretKey, "vo a b " + secretKey, "vault open -format " + secretKey,
	} {
		err := r.RunLine(t.Context(), line, nil, io.Discard)
		if err == nil || strings.Contains(err.Error(), secretKey[:12]) {
			t.Errorf("%q: %v", line, err)
		}
	}
	err := r.RunScript(t.Context(), "script", strings.NewReader("vault "+secretKey), io.Discard, false)
	if !errors.Is(err, command.ErrUnknown) || strings.Contains(err.Error(), secretKey[:12]) {
		t.Errorf("script: %v", err)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("vault open " + secretKey)
	f.Add("vault open '" + secretKey)
	r := &command.Registry{}
	_ = r.Add(command.Command{Name: "vault open", MaxArgs: -1, Run: func(context.Context, *command.Call) error { return nil }, Secret: func(string) string { return "hidden" }})
	f.Fuzz(func(t *testing.T, line string) {
		redacted := r.Redact(line)
		_, err := command.Split(line)
		if again := r.Redact(redacted); err == nil && again != redacted {
			t.Errorf("%q becomes %q and then %q", line, redacted, again)
		}
		if strings.HasPrefix(line, "vault open ") && strings.Contains(redacted, secretKey) {
			t.Errorf("%q becomes %q", line, redacted)
		}
	})
}
