package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"peerlab/bootstrap"
	"peerlab/bootstrap/server"
)

// program returns the program as a process yet to be started, in an
// environment of nothing but env.
func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	// Under go test -cover the process complains on stderr without a GOCOVERDIR.
	cmd.Env = append([]string{asProgram + "=1", "GOCOVERDIR=" + t.TempDir()}, env...)
	cmd.WaitDelay = time.Second
	return cmd
}

// process is a service that runs.
type process struct {
	*exec.Cmd
	addr string
	log  func() string // waits for the end of stderr and returns all of it
}

// start starts the program and returns once it listens.
func start(t *testing.T, env []string, args ...string) process {
	t.Helper()
	cmd := program(t, env, args...)
	stderr, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	err = cmd.Start()
	_ = w.Close() // the process has its own
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	lines := bufio.NewReader(io.TeeReader(stderr, &all))
	var rest string
	for found := false; !found; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it never listens: %q, %v", &all, err)
		}
		_, rest, found = strings.Cut(line, "msg=listening addr=")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, lines) // it is in all
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails if the test ended it
		_ = cmd.Wait()
		<-done
		_ = stderr.Close()
	})
	addr, _, _ := strings.Cut(rest, " ")
	return process{cmd, strings.Trim(addr, `"`), func() string { <-done; return all.String() }}
}

func client(t *testing.T, addr string) *bootstrap.Client {
	t.Helper()
	c, err := bootstrap.NewClient("http://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

func TestSignalsEndTheProcess(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			p := start(t, []string{"BOOTSTRAP_MAX_PEERS=7", "BOOTSTRAP_MIN_REFILL_CANDIDATES=8"}, "--listen=127.0.0.1:0", "--max-peers=9")
			c := client(t, p.addr)
			d, err := c.Join(t.Context(), bootstrap.Peer{ID: "1", Name: "a", IP: "192.0.2.1", Port: "1", Protocol: "tcp", Timestamp: "1"})
			if err != nil {
				t.Fatal(err)
			}
			if want := (bootstrap.Config{MaxPeers: 9, MinRefillCandidates: 8, NumPeers: 1}); d.Config != want {
				t.Errorf("configuration %+v, want %+v", d.Config, want)
			}
			begin := time.Now()
			if err := p.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			err = p.Wait()
			if took := time.Since(begin); err != nil || took > server.Grace {
				t.Errorf("ended after %v: %v", took, err)
			}
			if log := p.log(); !strings.Contains(log, "msg=stopped") || !strings.Contains(log, "path=/join status=200") ||
				strings.Contains(log, "goroutine") {
				t.Errorf("log:\n%s", log)
			}
			if err := c.Ping(t.Context()); err == nil {
				t.Error("it still answers")
			}
		})
	}
}

func TestRequestUnderWayIsAnswered(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "--listen=127.0.0.1:0")
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	// The server's 100 Continue tells that the handler reads the body.
	if _, err := io.WriteString(conn, "POST /leave HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := bufio.NewReader(conn)
	if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("got %q, %v", line, err)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for { // until it takes no new connections, it has not seen the signal
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	if _, err := io.WriteString(conn, "id"); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(answer); err != nil || !strings.Contains(string(rest), "200 OK") || !strings.HasSuffix(string(rest), "}") {
		t.Errorf("got %q, %v", rest, err)
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"BOOTSTRAP_LISTEN=127.0.0.1:0", "PORT=1"})
	_, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		env, args []string
		listen    string
	}{
		{nil, []string{"--listen=" + p.addr}, p.addr},
		{[]string{"BOOTSTRAP_LISTEN=" + p.addr}, nil, p.addr},
		{[]string{"PORT=" + port}, nil, ":" + port},
	} {
		second := program(t, test.env, test.args...)
		var stdout, stderr bytes.Buffer
		second.Stdout, second.Stderr = &stdout, &stderr
		err := second.Run()
		if second.ProcessState.ExitCode() != 1 {
			t.Errorf("%v, want exit status 1", err)
		}
		text := stderr.String()
		if want := `bootstrap: listen on "` + test.listen + `": `; !strings.HasPrefix(text, want) || strings.Count(text, "\n") != 1 ||
			!strings.Contains(text, "already in use") || !strings.Contains(text, "--listen") || stdout.Len() > 0 {
			t.Errorf("stderr %q, stdout %q, want one line as %q", text, &stdout, want)
		}
	}
	if err := client(t, p.addr).Ping(t.Context()); err != nil {
		t.Errorf("the first service was disturbed: %v", err)
	}
}

func TestBoltOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	args := []string{"--listen=127.0.0.1:0", "--allow-loopback", "--store=bolt:" + path}
	p := start(t, nil, args...)
	if _, err := client(t, p.addr).Join(t.Context(), bootstrap.Peer{ID: "1", Name: "a", IP: "127.0.0.1", Port: "1", Protocol: "tcp", Timestamp: "1"}); err != nil {
		t.Fatal(err)
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // killed
	p = start(t, nil, args...)
	if d, err := client(t, p.addr).List(t.Context()); err != nil || len(d.Peers) != 1 {
		t.Errorf("after kill -9: %+v, %v", d, err)
	}
	_ = p.Process.Kill()
	_ = p.Wait() // killed

	if err := os.WriteFile(path, bytes.Repeat([]byte("damaged "), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it does not start by itself the second time either
		out, err := program(t, nil, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "the file is damaged") || !strings.Contains(string(out), "--set-aside") {
			t.Fatalf("%s, %v", out, err)
		}
	}
	p = start(t, nil, append(args, "--set-aside")...)
	if d, err := client(t, p.addr).List(t.Context()); err != nil || len(d.Peers) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	if kept, err := os.ReadFile(path + ".damaged-1"); err != nil || !bytes.HasPrefix(kept, []byte("damaged ")) {
		t.Errorf("the damaged file is gone: %v", err)
	}
}

func TestOpenToAllIsSaid(t *testing.T) {
	t.Parallel()
	const warning = "level=WARN msg=\"anyone who reaches this machine may change the list"
	for _, test := range []struct {
		listen string
		env    []string
		want   bool
	}{
		{":0", nil, true},
		{"0.0.0.0:0", nil, true},
		{"[::]:0", nil, true},
		{"127.0.0.1:0", nil, false},
		{":0", []string{"BOOTSTRAP_ADMIN_TOKEN=0123456789abcdef"}, false},
		{":0", []string{"BOOTSTRAP_WRITE_TOKEN=0123456789abcdef"}, false},
	} {
		p := start(t, test.env, "--listen="+test.listen)
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = p.Wait() // the log tells
		if log := p.log(); strings.Contains(log, warning) != test.want {
			t.Errorf("%s with %q:\n%s", test.listen, test.env, log)
		}
	}
}

func TestHostsAndNetworks(t *testing.T) {
	t.Parallel()
	p := start(t, []string{"BOOTSTRAP_HOST=lab.example"}, "--listen=127.0.0.1:0", "--networks=10.0.0.0/8,192.0.2.0/24")
	for host, want := range map[string]int{p.addr: 200, "lab.example": 200, "evil.example": 403} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+p.addr+"/list", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // the status tells
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", host, resp.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	c := client(t, p.addr)
	for ip, ok := range map[string]bool{"192.0.2.1": true, "198.51.100.1": false} {
		_, err := c.Join(t.Context(), bootstrap.Peer{ID: "1", Name: "a", IP: ip, Port: "1", Protocol: "tcp", Timestamp: "1"})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "--networks") {
			t.Errorf("%s: %v", ip, err)
		}
	}
}
