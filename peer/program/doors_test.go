//go:build linux

package program_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"peerlab/event"
	"peerlab/peer/command/commandtest"
	"peerlab/peer/control"
)

// A text arrives at another peer byte by byte, whichever way its line comes.
func TestTextThroughEveryDoor(t *testing.T) {
	bob := start(t, nil, "--name", "bob")
	addr := bob.await(t, event.MemberJoin).Addr
	bob.await(t, event.PeerReady)
	alice := start(t, nil, "--name", "alice")
	alice.await(t, event.PeerReady)
	if out, err := alice.exec(t, "membership", "join", addr); err != nil {
		t.Fatalf("join: %v\n%s", err, out)
	}
	bob.await(t, event.ChatJoin)
	client, err := control.Dial(alice.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)

	texts := commandtest.Texts()
	var lines strings.Builder
	for _, text := range texts {
		lines.WriteString(text.Line + "\n")
	}
	failed := func(t *testing.T, out string, status int) {
		if status != 0 {
			t.Errorf("status %d, output %q", status, out)
		}
	}
	each := func(run func(t *testing.T, text commandtest.Text)) func(*testing.T) {
		return func(t *testing.T) {
			for _, text := range texts {
				run(t, text)
			}
		}
	}
	for _, door := range []struct {
		name string
		say  func(t *testing.T) // says all texts
	}{
		{"an argument", each(func(t *testing.T, text commandtest.Text) {
			out, status := alice.execStdin(t, "", "--", text.Line)
			failed(t, out, status)
		})},
		{"several arguments", each(func(t *testing.T, text commandtest.Text) {
			out, status := alice.execStdin(t, "", append([]string{"--", "msg", "--"}, strings.Split(text.Want, " ")...)...)
			failed(t, out, status)
		})},
		{"standard input", each(func(t *testing.T, text commandtest.Text) {
			out, status := alice.execStdin(t, text.Line+"\n", "-")
			failed(t, out, status)
		})},
		{"a request", each(func(t *testing.T, text commandtest.Text) {
			body, err := json.Marshal(map[string]string{"line": text.Line})
			if err != nil {
				t.Fatal(err)
			}
			out, status := alice.execStdin(t, string(body)+"\n", "-")
			failed(t, out, status)
		})},
		{"a script", func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(file, []byte("# it's a comment\n"+lines.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			out, status := alice.execStdin(t, "", "--", "execute", file)
			failed(t, out, status)
		}},
		{"a script by standard input", func(t *testing.T) {
			out, status := alice.execStdin(t, lines.String(), "--", "execute -")
			failed(t, out, status)
		}},
		{"the control API", each(func(t *testing.T, text commandtest.Text) {
			if err := client.Exec(t.Context(), text.Line, nil, io.Discard); err != nil {
				t.Errorf("%q: %v", text.Line, err)
			}
		})},
		{"its words", each(func(t *testing.T, text commandtest.Text) {
			if err := client.ExecWords(t.Context(), []string{"msg", "--", text.Want}, nil, io.Discard); err != nil {
				t.Errorf("%q: %v", text.Line, err)
			}
		})},
		{"the shell", func(t *testing.T) {
			cmd := command(t, []string{"PEER_SOCKET=" + alice.socket}, "attach")
			cmd.Stdin = strings.NewReader(lines.String())
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v, output %q", err, out)
			}
		}},
		{"the shell on a terminal", func(t *testing.T) {
			keys, tty, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer keys.Close()
			cmd := command(t, []string{"PEER_SOCKET=" + alice.socket, "TERM=xterm"}, "attach")
			cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			_ = tty.Close()
			timeout := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
			defer timeout.Stop()
			shown := make(chan []byte, 1)
			go func() {
				b, _ := io.ReadAll(keys)
				shown <- b
			}()
			if _, err := io.WriteString(keys, strings.ReplaceAll(lines.String(), "\n", "\r")+"exit\r"); err != nil {
				t.Error(err)
			}
			err = cmd.Wait()
			if out := <-shown; err != nil || bytes.Contains(out, []byte("error:")) {
				t.Errorf("%v, shown %q", err, out)
			}
		}},
		{"chatmode", func(t *testing.T) {
			if err := client.Exec(t.Context(), "set chatmode on", nil, io.Discard); err != nil {
				t.Fatal(err)
			}
			for _, text := range texts {
				line := text.Line
				if i := strings.Index(line, text.Want); i > 0 { // with its quotes
					line = strings.TrimSpace(line[strings.LastIndexAny(line[:i], " ")+1:])
				}
				if strings.HasPrefix(line, "#") {
					line = text.Line
				}
				if err := client.Exec(t.Context(), line, nil, io.Discard); err != nil {
					t.Errorf("%q: %v", line, err)
				}
			}
			if err := client.Exec(t.Context(), "unset chatmode", nil, io.Discard); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(door.name, func(t *testing.T) {
			door.say(t)
			if t.Failed() { // some of them do not come
				return
			}
			for _, text := range texts {
				if got := bob.await(t, event.ChatDelivered).Text; got != text.Want {
					t.Errorf("%q arrives as %q, want %q", text.Line, got, text.Want)
				}
			}
		})
		if t.Failed() {
			return
		}
	}
}
