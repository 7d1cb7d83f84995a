//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

const (
	// stepTimeout bounds one command of a page: none takes half a minute on an idle host.
	stepTimeout = 2 * time.Minute
	// maxExceptions is how many blocks may stay unrun.
	maxExceptions = 10
)

// exceptions are the blocks that are not run, by page and first line.
var exceptions = map[string]string{
	"CONTRIBUTING.md: $ make build        # the programs, into .build":                                 "lint and unit tests take minutes; CI runs them",
	"commands.md: make a configuration: the profile's, with these changes":                             "prose: the help of a command that begins with a verb",
	"faults.md: make image-serf                                    # the serf of go.mod, FROM scratch": "it replaces the image peerlab-serf of this host; testbed/docker tests one of its own",
}

// A rule changes a command before it runs. Variables are the session's.
type rule struct {
	command     *regexp.Regexp
	replacement string
}

// rules have the reason beside them. They apply in this order.
var rules = []rule{
	// The cluster of the test is called otherwise.
	{regexp.MustCompile(`\bpeerlab-(alice|erin|\$peer)\b`), `$${COMPOSE_PROJECT_NAME}-$1`},
	{regexp.MustCompile(`--cluster peerlab\b`), `--cluster $$COMPOSE_PROJECT_NAME`},
	// Minutes on containers; those of the gallery run there in make gallery.
	{regexp.MustCompile(`^peerlab (?:run|compare) (gallery/\S+)`), `peerlab run --engine sim $1`},
	// Fewer runs show the same.
	{regexp.MustCompile(`--repeat \d+`), `--repeat 2`},
	{regexp.MustCompile(`^peerlab explore`), `peerlab explore --runs 1`},
	// The clone is there. Its checksums spare the network, and its files are those of the pages.
	{regexp.MustCompile(`^git clone … peerlab(.*)`), `cd .. && test -d peerlab$1 && cp ../peerlab/{go.sum,lossy.txt} .`},
	// It also looks for what the tests of dependencies import, on the network.
	{regexp.MustCompile(`^go (mod tidy && go|run \.)`), `GOFLAGS=-mod=mod go $1`},
	{regexp.MustCompile(`go mod tidy && `), ``},
	// A free port, and the service answers before the next line.
	{regexp.MustCompile(`127\.0\.0\.1:8080`), `127.0.0.1:$$PORT`},
	{regexp.MustCompile(`^(.*bootstrap --listen .* &)$`), "$1\nuntil (: </dev/tcp/127.0.0.1/$$PORT) 2>/dev/null; do kill -0 $$!; sleep 0.1; done"},
	// As one who types: the peer answers before the next line.
	{regexp.MustCompile(`(?s)^(\S+(?:peer|ping) run .*--socket (\S+).* &)$`), "$1\nuntil peer exec --socket $2 -- echo ready 2>/dev/null; do kill -0 $$!; sleep 0.1; done"},
	// The end of the session is the test's.
	{regexp.MustCompile(`^exit \$status$`), `(exit $$status)`},
	// It finds this host lacking, or not: both are answers.
	{regexp.MustCompile(`^peerlab doctor$`), `peerlab doctor || (($$? == 1))`},
	// Inconclusive is no mistake of the page: the host was too busy.
	{regexp.MustCompile(`^(peerlab (?:run|compare) \w+\.txt)$`), `$1 || (($$? == 3))`},
	{regexp.MustCompile(`^(peerlab run .*); status=\$\?$`), `status=0; $1 || status=$$?`},
	// Not every kernel can delay packets: it is inconclusive then.
	{regexp.MustCompile(`^(peerlab link .*delay=.*)`), `$1 || (($$? == 3))`},
	// Compose is a plugin of docker, or a program.
	{regexp.MustCompile(`^docker-compose `), `$$COMPOSE `},
	// What a page says besides its blocks.
	{regexp.MustCompile(`^peerlab sweep six.txt`), "sed 's/cluster 5/cluster 6/; s/all see 5/all see 6/' lossy.txt >six.txt\npeerlab sweep six.txt"},
	{regexp.MustCompile(`^peerlab sweep five.txt`), "sed 's/SuspicionMult=2/SuspicionMult=5/' lossy.txt >five.txt\npeerlab sweep five.txt"},
}

// preludes are what pages need that begin later than with make up.
var preludes = map[string]string{
	"chat.md":     "peerlab run --engine sim talk.txt", // a run to check
	"tutorial.md": "make down",                         // without the keys and secrets of security.md
}

// interrupted are commands that go on until Ctrl-C.
var interrupted = regexp.MustCompile(`^(peerlab (events --follow|ps --watch)|make logs)`)

// unshownFiles are those that pages name without showing them.
var unshownFiles = map[string]string{
	"my.txt":   "set LOSS=0%\ncluster 2\nstart\nawait 30s all see 2 alive\nlink alice <-> bob loss=$LOSS\nwait 1s\nmeasure fp\n",
	"talk.txt": "cluster 2\nstart\nawait 30s all see 2 alive\nalice msg hello\nwait 1s\n",
}

// A pageBlock is a fenced block of a page.
type pageBlock struct {
	line  int // its first, within the page
	lang  string
	lines []string
}

// A step is a command of a page, with what the page shows below it.
type step struct {
	command string
	input   []string
	output  []string
}

var (
	beginsCommand = regexp.MustCompile(`^(\$ |(\.build/)?peerlab |make |docker)`)
	typedInShell  = regexp.MustCompile(`^[a-z]+> (.*)$`)
	comment       = regexp.MustCompile(`\s+# .*$`)
	heading       = regexp.MustCompile(`^[A-Z]{2,}( \S+)*(  +\S+( \S+)*)+$`)
	jsonKey       = regexp.MustCompile(`"\w+":`)
	shownFile     = regexp.MustCompile(`^\$ cat (\S+)$`)
	writtenFile   = regexp.MustCompile("(?:Write this into|with this) `(\\S+)`")
	tools         = regexp.MustCompile(`\b(jq|curl|openssl)\b`)
)

// blocksOf returns the fenced blocks of a page, and the files that it shows.
func blocksOf(page string) (blocks []pageBlock, shown map[string]string) {
	shown = make(map[string]string)
	var b *pageBlock
	name := ""
	for i, line := range strings.Split(page, "\n") {
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence && b == nil:
			b = &pageBlock{line: i + 2, lang: strings.TrimPrefix(line, "```")}
		case fence:
			if name != "" {
				shown[name] = strings.Join(b.lines, "\n") + "\n"
			}
			if b.lang == "go" && slices.Contains(b.lines, "package main") || b.runs() {
				blocks = append(blocks, *b)
			}
			b, name = nil, ""
		case b != nil:
			b.lines = append(b.lines, line)
		default:
			if m := writtenFile.FindStringSubmatch(line); m != nil {
				name = m[1]
			}
		}
	}
	for _, b := range blocks {
		name := ""
		for _, line := range b.lines {
			if m := shownFile.FindStringSubmatch(line); m != nil {
				name = m[1]
			} else if strings.HasPrefix(line, "$ ") {
				name = ""
			} else if name != "" {
				shown[name] += line + "\n"
			}
		}
	}
	return blocks, shown
}

// runs reports whether a block has a line that is a command.
func (b pageBlock) runs() bool { return slices.ContainsFunc(b.lines, beginsCommand.MatchString) }

// steps splits a block into its commands. In one with prompts other lines are input
// or output; in one without, every line is a command but those typed into a shell.
func (b pageBlock) steps() (steps []step) {
	prompts := slices.ContainsFunc(b.lines, func(line string) bool { return strings.HasPrefix(line, "$ ") })
	for i := 0; i < len(b.lines); i++ {
		line := b.lines[i]
		if m := typedInShell.FindStringSubmatch(line); m != nil {
			if len(steps) == 0 {
				steps = append(steps, step{command: "make attach PEER=alice"})
			}
			last := &steps[len(steps)-1]
			last.input = append(last.input, comment.ReplaceAllString(m[1], ""))
			continue
		}
		command, prompted := strings.CutPrefix(line, "$ ")
		switch {
		case prompts && !prompted:
			if len(steps) > 0 {
				last := &steps[len(steps)-1]
				last.output = append(last.output, line)
			}
		case command != "":
			for !complete(command) && i+1 < len(b.lines) {
				i++
				command += "\n" + b.lines[i]
			}
			if !strings.Contains(command, "\n") {
				command = comment.ReplaceAllString(command, "")
			}
			steps = append(steps, step{command: command})
		}
	}
	return steps
}

// complete reports whether bash expects no further line.
func complete(command string) bool {
	out, err := exec.Command("bash", "-n", "-c", command).CombinedOutput()
	return err == nil && len(out) == 0 && !strings.HasSuffix(command, `\`)
}

// prepared is the command as the session runs it.
func (s step) prepared() string {
	command := s.command
	for _, r := range rules {
		command = r.command.ReplaceAllString(command, r.replacement)
	}
	if len(s.input) > 0 {
		command += " <<'END_OF_INPUT'\n" + strings.Join(s.input, "\n") + "\nEND_OF_INPUT"
	}
	if s.fails() != "" {
		command = "if " + command + "\nthen false; fi"
	}
	return command
}

// fails is the error that the page shows, if it does.
func (s step) fails() string {
	if len(s.output) > 0 && strings.HasPrefix(s.output[0], strings.Fields(s.command)[0]+": ") {
		return s.output[0]
	}
	return ""
}

// check compares what a command printed with what the page shows: the error, the
// headings of tables, and the keys of JSON.
func (s step) check(out string) error {
	if text := s.fails(); text != "" && !strings.Contains(out, text) {
		return fmt.Errorf("the page shows %q", text)
	}
	for _, key := range jsonKey.FindAllString(strings.Join(s.output, "\n"), -1) {
		if !strings.Contains(out, key) {
			return fmt.Errorf("the page shows %s", key)
		}
	}
	for _, line := range s.output {
		if !heading.MatchString(line) {
			continue
		}
		// Peers' names head the columns of a matrix: those differ.
		words := slices.DeleteFunc(strings.Fields(line), func(word string) bool { return strings.ToUpper(word) != word })
		if !slices.ContainsFunc(strings.Split(out, "\n"), func(printed string) bool {
			i := 0
			for _, word := range strings.Fields(printed) {
				if i < len(words) && word == words[i] {
					i++
				}
			}
			return i == len(words)
		}) {
			return fmt.Errorf("the page shows a table headed %q", line)
		}
	}
	return nil
}

// A bashSession is one bash that runs the commands of a page.
type bashSession struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Writer
	out   *bufio.Reader
}

// endOfStep is what the session prints after a command, and then its status.
const endOfStep = '\x1e'

// sessionLoop runs commands until one fails, and stops what runs in the background. An
// interrupt is for the command alone.
const sessionLoop = `trap 'printf "\036%d\n" $?; kill $(jobs -p) 2>/dev/null' EXIT
trap : INT
while IFS= read -r -d '' step; do
	eval "$step" </dev/null
	printf '\036%d\n' 0
done`

// newSession starts a bash in dir. Its process group ends with the test.
func newSession(t *testing.T, dir string, env []string) *bashSession {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", sessionLoop)
	cmd.Dir, cmd.Env = dir, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		r.Close()
	})
	return &bashSession{t, cmd, stdin, bufio.NewReader(r)}
}

// run runs a command and returns what it printed. With interrupt it presses Ctrl-C
// as soon as that is anything.
func (s *bashSession) run(command string, interrupt bool) (out string, err error) {
	expired := time.AfterFunc(stepTimeout, func() { _ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) })
	defer expired.Stop()
	if _, err := io.WriteString(s.stdin, command+"\x00"); err != nil {
		return "", err
	}
	if interrupt {
		if first, err := s.out.Peek(1); err == nil && first[0] == endOfStep {
			return "", errors.New("it ended before anybody interrupted it, and showed nothing")
		}
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGINT)
	}
	out, err = s.out.ReadString(endOfStep)
	if err != nil {
		return out, fmt.Errorf("no end after %s: %w", stepTimeout, err)
	}
	status, err := s.out.ReadString('\n')
	if err == nil && status != "0\n" {
		err = fmt.Errorf("it exits with %s", strings.TrimSpace(status))
	}
	return strings.TrimSuffix(out, string(endOfStep)), err
}

// TestPagesRun runs the commands that README, CONTRIBUTING and docs show, page after
// page, on one cluster of make up.
func TestPagesRun(t *testing.T) {
	if shared.missing != nil {
		t.Skip(shared.missing)
	}
	for _, tool := range []string{"bash", "make", "docker"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	env := prepare(t)
	root := variable(env, "CLONE")
	pages, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append([]string{root + "/README.md", root + "/CONTRIBUTING.md"}, pages...)
	blocks, unused := make(map[string][]pageBlock), make(map[string]bool)
	for e := range exceptions {
		unused[e] = true
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		found, shown := blocksOf(string(text))
		blocks[page] = found
		for name, text := range shown {
			// The minute of the tutorial is a real one on containers.
			text = strings.ReplaceAll(text, "wait 1m\n", "wait 5s\n")
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out, err := newSession(t, root, env).run(functions+"make up", false); err != nil {
		t.Fatalf("make up: %v\n%s", err, out)
	}
	for _, page := range pages {
		name := filepath.Base(page)
		todo := slices.DeleteFunc(blocks[page], func(b pageBlock) bool {
			key := name + ": " + b.lines[0]
			delete(unused, key)
			return exceptions[key] != ""
		})
		if !slices.ContainsFunc(todo, pageBlock.runs) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := newSession(t, root, env)
			if out, err := s.run(functions+preludes[name], false); err != nil {
				t.Fatalf("%s: %v\n%s", preludes[name], err, out)
			}
			for _, b := range todo {
				s.runBlock(name, b)
			}
		})
	}
	if len(exceptions) > maxExceptions {
		t.Errorf("%d exceptions, at most %d", len(exceptions), maxExceptions)
	}
	for e := range unused {
		t.Errorf("exception %q: no page has this block", e)
	}
}

// functions are defined in each session: the images of the test are there already.
const functions = `make() { command make -o image "$@"; }
`

// runBlock runs a block, or keeps a Go program for the go run below it. A block that
// starts a cluster does so beside that of make up.
func (s *bashSession) runBlock(page string, b pageBlock) {
	s.t.Helper()
	if b.lang == "go" {
		path := filepath.Join(variable(s.cmd.Env, "CLONE"), "../example/main.go")
		if err := os.WriteFile(path, []byte(strings.Join(b.lines, "\n")+"\n"), 0o600); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	text := strings.Join(b.lines, "\n")
	for _, tool := range tools.FindAllString(text, -1) {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") != "true" {
			s.t.Logf("%s:%d is left out: %v", page, b.line, err)
			return
		}
	}
	if strings.Contains(text, "install -m 400 -o ") && os.Geteuid() != 0 {
		s.t.Logf("%s:%d is left out: only root can give a file away", page, b.line)
		return
	}
	steps := b.steps()
	if strings.Contains(text, "peerlab up ") {
		steps = slices.Concat([]step{{command: "export PEERLAB_CLUSTER=$COMPOSE_PROJECT_NAME-own"}}, steps,
			[]step{{command: "peerlab down 2>/dev/null || true; export PEERLAB_CLUSTER=$COMPOSE_PROJECT_NAME"}})
	}
	for _, step := range steps {
		command, began := step.prepared(), time.Now()
		out, err := s.run(command, interrupted.MatchString(command))
		if err == nil {
			err = step.check(out)
		}
		if took := time.Since(began); testing.Verbose() && took > time.Second {
			s.t.Logf("%s:%d: %.1f s: %s", page, b.line, took.Seconds(), command)
		}
		if err != nil {
			s.t.Fatalf("%s, the block at line %d: %v\n$ %s\n%s", page, b.line, err, command, out)
		}
	}
}

// prepare makes a clone of this repository for the pages, whose make up runs the
// images of the test, and returns the environment of a session. What the sessions
// start is removed at the end, also if this process is killed.
func prepare(t *testing.T) (env []string) {
	t.Helper()
	scratch, err := os.MkdirTemp("", "docs") // short: it holds control sockets
	if err != nil {
		t.Fatal(err)
	}
	project := strings.ToLower(filepath.Base(scratch))
	clone, home := filepath.Join(scratch, "peerlab"), filepath.Join(scratch, "home")
	// Containers one after another: see docs/faults.md, Docker before version 23.
	remove := exec.Command("bash", "-c", `cat
for id in $(docker ps -aq --filter name=$1); do docker rm -fv $id; done
for id in $(docker network ls -q --filter name=$1); do docker network rm $id; done
rm -rf "$2"`, "remove", project, scratch)
	remove.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := remove.StdinPipe()
	if err == nil {
		err = remove.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		alive.Close()
		if err := remove.Wait(); err != nil {
			t.Errorf("remove what the pages have started: %v", err)
		}
	})
	if err := copyRepository(clone); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range unshownFiles {
		if err := os.WriteFile(filepath.Join(clone, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	compose := "docker-compose"
	if exec.Command("docker", "compose", "version").Run() == nil {
		compose = "docker compose"
	}
	env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "PEER") || strings.HasPrefix(name, "XDG_") || strings.HasPrefix(name, "COMPOSE_") || strings.HasPrefix(name, "DOCKER_") && name != "DOCKER_CONFIG" || strings.HasPrefix(name, "MAKE")
	})
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY"} {
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	if os.Getenv("DOCKER_CONFIG") == "" {
		env = append(env, "DOCKER_CONFIG="+filepath.Join(os.Getenv("HOME"), ".docker"))
	}
	pid := os.Getpid()
	return append(env, "HOME="+home, "XDG_STATE_HOME="+filepath.Join(home, "state"), "CLONE="+clone,
		"PATH="+filepath.Join(clone, ".build")+":"+os.Getenv("PATH"),
		"COMPOSE_PROJECT_NAME="+project, "PEERLAB_CLUSTER="+project, fmt.Sprintf("PEERLAB_NET=10.%d.%d", 100+pid%100, pid/100%250),
		"DOCKER_HOST=unix://"+renameImages(t, filepath.Join(scratch, "docker.sock")),
		"COMPOSE="+compose, "PORT="+freePort(t), "NO_COLOR=1")
}

// copyRepository copies the sources, but for what was built.
func copyRepository(to string) error {
	return filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if name == ".git" || entry.IsDir() && name == ".build" {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel("..", path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o644)
	})
}

// variable is the last value of one in env.
func variable(env []string, name string) (value string) {
	for _, v := range env {
		if found, is := strings.CutPrefix(v, name+"="); is {
			value = found
		}
	}
	return value
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// renameImages serves Docker's API on a socket where peerlab-peer, peerlab-bootstrap
// and peerlab-fabric are the images of the test: those of this host stay what they
// are. A container of such an image is no test's there, so that peerlab finds it.
func renameImages(t *testing.T, socket string) string {
	t.Helper()
	api, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				daemon, err := api.Dialer()(context.Background())
				if err != nil {
					return
				}
				defer daemon.Close()
				go forwardRequests(conn, daemon)
				_, _ = io.Copy(conn, daemon)
			}()
		}
	}()
	return socket
}

// forwardRequests passes requests on until the client has sent the last, and what it
// sends after one that makes the connection a stream.
func forwardRequests(from, to net.Conn) {
	defer func() {
		if half, is := to.(interface{ CloseWrite() error }); is {
			_ = half.CloseWrite()
		}
	}()
	images := map[string]string{"peerlab-peer": shared.images.Peer, "peerlab-bootstrap": shared.images.Bootstrap, "peerlab-fabric": shared.images.Fabric}
	in := bufio.NewReader(from)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		for name, image := range images {
			req.URL.Path = strings.Replace(req.URL.Path, "/images/"+name+"/", "/images/"+image+"/", 1)
			req.URL.Path = strings.Replace(req.URL.Path, "/images/"+name+":latest/", "/images/"+image+"/", 1)
		}
		req.URL.RawPath = ""
		if strings.HasSuffix(req.URL.Path, "/containers/create") {
			var body map[string]any
			if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
				return
			}
			name, _ := body["Image"].(string)
			if image, is := images[strings.TrimSuffix(name, ":latest")]; is {
				body["Image"] = image
				labels, _ := body["Labels"].(map[string]any)
				if labels == nil {
					labels = make(map[string]any)
				}
				labels["org.testcontainers"], body["Labels"] = "", labels
			}
			text, err := json.Marshal(body)
			if err != nil {
				return
			}
			req.Body, req.ContentLength, req.TransferEncoding = io.NopCloser(bytes.NewReader(text)), int64(len(text)), nil
		}
		if err := req.Write(to); err != nil {
			return
		}
		if req.Header.Get("Upgrade") != "" {
			_, _ = io.Copy(to, in)
			return
		}
	}
}
