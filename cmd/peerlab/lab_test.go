package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go/log"

	"peerlab/event"
	"peerlab/internal/terminal/tmux"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/dockertest"
)

// selfVariable makes this test binary the program itself.
const selfVariable = "PEERLAB_TEST_SELF"

func TestMain(m *testing.M) {
	if status, asked := dockerd.RunWatchdogIfRequested(); asked {
		os.Exit(status)
	}
	if os.Getenv(selfVariable) != "" {
		os.Exit(run(os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
	}
	log.SetDefault(log.NewNoopLogger())
	os.Exit(m.Run())
}

// process is the program as it runs on one cluster.
type process struct {
	t       *testing.T
	cluster string
}

func (p process) call(args ...string) (stdout string, status int, stderr string) {
	p.t.Helper()
	return p.callWith(nil, args...)
}

// callWith is call with this standard input.
func (p process) callWith(stdin io.Reader, args ...string) (stdout string, status int, stderr string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), selfVariable+"=1", "PEERLAB_CLUSTER="+p.cluster)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		p.t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode(), errs.String()
}

func (p process) must(args ...string) string {
	p.t.Helper()
	out, status, errs := p.call(args...)
	if status != 0 {
		p.t.Fatalf("%q: %d %s", args, status, errs)
	}
	return out
}

// fails wants an exit status and one line that says something.
func (p process) fails(status int, says string, args ...string) {
	p.t.Helper()
	out, got, errs := p.call(args...)
	if got != status || !strings.Contains(errs, says) || strings.Count(errs, "\n") != 1 {
		p.t.Errorf("%q: %d %q %q, want %d %q", args, got, out, errs, status, says)
	}
}

// states is what ps tells.
func (p process) states(args ...string) map[string]testbed.Peer {
	p.t.Helper()
	var peers []testbed.Peer
	if err := json.Unmarshal([]byte(p.must(append(args, "--format", "json")...)), &peers); err != nil {
		p.t.Fatal(err)
	}
	by := make(map[string]testbed.Peer)
	for _, one := range peers {
		by[one.Name] = one
	}
	return by
}

// newProcess returns the program on a cluster whose name begins so, and the labels
// with which images go with the test, as the cluster does. It skips the test where
// there is no Docker.
func newProcess(t *testing.T, name string) (p process, d *dockerd.Daemon, labels map[string]string) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Docker")
	}
	d, err := dockerd.Connect(t.Context())
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	guard, err := d.Guard()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = guard.Close(context.Background()) })
	p = process{t, name + "-" + time.Now().Format("150405")}
	t.Cleanup(func() { p.call("down") })
	return p, d, guard.Labels()
}

// buildImages builds the images of this source for as long as the test runs.
func buildImages(t *testing.T, labels map[string]string) dockertest.Images {
	t.Helper()
	images, err := dockertest.Build(t.Context(), "../..", labels)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PEERLAB_FABRIC_IMAGE", images.Fabric)
	return images
}

func TestLab(t *testing.T) {
	p, _, labels := newProcess(t, "cli")
	name, images := p.cluster, buildImages(t, labels)
	up := []string{"up", "3", "--image", images.Peer, "--bootstrap-image", images.Bootstrap}
	_, status, progress := p.call(append(up, "--set", "SuspicionMult=3")...)
	if status != 0 || !strings.Contains(progress, "3 of 3 peers see the whole cluster") || !strings.Contains(progress, "peerlab attach alice --cluster "+name+" opens") {
		t.Fatalf("up: %d %s", status, progress)
	}
	if states := p.states("ps"); len(states) != 4 || states["alice"].State != testbed.Running {
		t.Errorf("ps: %v", states)
	}
	if _, status, errs := p.call(up...); status != 1 || !strings.Contains(errs, "exists already") || !strings.Contains(errs, "peerlab down --cluster "+name) {
		t.Errorf("a second time: %d %q", status, errs)
	}
	if out := p.must("exec", "alice", "--", "members"); !strings.Contains(out, "charly") {
		t.Errorf("members: %s", out)
	}
	p.must("exec", "alice", "--", "msg", "hello,  two spaces")
	execStandardInput(t, p)
	p.fails(1, "unknown command", "exec", "alice", "--", "membres")
	p.fails(1, "did you mean alice?", "exec", "alcie", "--", "members")
	p.fails(1, "did you mean alice?", "kill", "bob", "alcie")
	p.fails(1, "no command line", "exec", "bootstrap", "members")

	changeLinks(t, p)
	listPeers(t, p, images.Peer)
	answerInJSON(t, p)
	p.must("pause", "bob")
	began := time.Now()
	p.fails(1, "bob is paused: peerlab resume bob --cluster "+name+" wakes it", "exec", "bob", "members")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("a paused peer was told of after %s", took)
	}
	p.must("resume", "bob")
	p.must("throttle", "bob", "--cpus", "0.5")
	p.fails(1, "0.01 to 1024", "throttle", "bob", "--cpus", "-1")
	was := p.states("kill", "bob")["bob"]
	if was.State != testbed.Stopped || was.Exit != 137 {
		t.Errorf("kill: %v", was)
	}
	p.fails(1, "does not run", "exec", "bob", "members")
	if is := p.states("start", "bob", "--new-address")["bob"]; is.State != testbed.Running || is.Addr == was.Addr {
		t.Errorf("start at a new address: %v, was %v", is, was)
	}
	p.fails(1, "runs", "start", "bob", "--new-address")
	p.must("stop", "charly")

	var last time.Time
	var delivered, left bool
	for line := range strings.Lines(p.must("events", "--format", "json")) {
		e, err := event.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		// memberlist has its own stamps, and what a peer reports of its queues at its
		// end is stamped with the last sample.
		if e.Kind.IsPeriodic() {
			continue
		}
		if e.Time.Before(last.Add(-100 * time.Millisecond)) {
			t.Errorf("%s comes after %s", line, last)
		}
		last = e.Time
		delivered = delivered || e.Kind == event.ChatDelivered && e.Text == "hello,  two spaces"
		left = left || e.Peer == "charly" && e.Kind == event.PeerStopping
	}
	if !delivered || !left {
		t.Errorf("events tell of the message: %t, of charly's end: %t", delivered, left)
	}
	if out, _, errs := p.call("logs", "charly"); !strings.Contains(out, "peer.stopping") || errs == "" {
		t.Errorf("logs: %q %q", out, errs)
	}
	if out, _, errs := p.call("doctor", "--peers", "1000"); !strings.Contains(out, "kernel nft_meta_bridge") || !strings.Contains(out, "room for about") {
		t.Errorf("doctor: %s%s", out, errs)
	}
	partOfLogs(t, p)
	for _, tc := range []struct{ words, has, not string }{
		{"kill alice ", "bob\trunning", "alice"},
		{"kill ", "all\t", "charly"}, // who does not run
		{"start ", "charly\tstopped", "alice"},
		{"attach ", "alice", "charly"},
		{"attach ", "bob", "bootstrap"},
		{"exec bob,", "bob,alice", "bootstrap"},
		{"exec alice -- members ", "charly", "bootstrap"},
		{"--cluster ", name + "\t2 of 3 peers run", "text"},
		{"up --image ", strings.TrimSuffix(images.Peer, ":latest"), "text"},
	} {
		if out := p.must(append([]string{"__complete"}, strings.Split(tc.words, " ")...)...); !strings.Contains(out, tc.has) || strings.Contains(out, tc.not) {
			t.Errorf("completion of %q: %q, want %q and not %q", tc.words, out, tc.has, tc.not)
		}
	}
	p.fails(2, "needs a terminal", "attach", "alice")
	attachInTerminal(t, p)
	removed := attachToPeersThatStop(t, p)
	ended, watched := follow(t, p), watch(t, p)
	if out := p.must("down", "--format", "json"); out != `{"removed":"`+name+`"}`+"\n" {
		t.Errorf("down: %s", out)
	}
	removed()
	ended()
	watched()
	p.fails(1, "no such cluster", "ps")

	api, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGKILL} {
		endUp(t, api, up, sig, p.cluster)
	}
}

// follow starts events --follow and returns when it follows. The function wants
// it to end by itself, now that the cluster is gone.
func follow(t *testing.T, p process) (ended func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, os.Args[0], "events", "--follow")
	cmd.Env = append(os.Environ(), selfVariable+"=1", "PEERLAB_CLUSTER="+p.cluster)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("events --follow shows none")
	}
	return func() {
		t.Helper()
		defer cancel()
		killed := false
		for lines.Scan() {
			killed = killed || strings.Contains(lines.Text(), string(testbed.LabKill))
			if strings.Contains(lines.Text(), string(event.PeerTraffic)) {
				t.Errorf("nobody asked for %s", lines.Text())
			}
			if strings.Contains(lines.Text(), string(testbed.LabError)) && !strings.Contains(lines.Text(), dockerForgets) {
				t.Errorf("followed to the end: %s", lines.Text())
			}
		}
		if err := cmd.Wait(); err != nil || !strings.Contains(errs.String(), p.cluster+" is gone") {
			t.Errorf("events --follow, the cluster being gone: %v %q", err, &errs)
		}
		if !killed {
			t.Error("events --follow does not show the end")
		}
	}
}

// watch starts ps --watch and returns when it has shown all peers. The function
// wants it to end by itself, now that the cluster is gone.
func watch(t *testing.T, p process) (ended func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, os.Args[0], "ps", "--watch")
	cmd.Env = append(os.Environ(), selfVariable+"=1", "PEERLAB_CLUSTER="+p.cluster)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for has := ""; !strings.Contains(has, "PEER ") || !strings.Contains(has, "charly "); has += lines.Text() + "\n" {
		if !lines.Scan() {
			t.Fatalf("ps --watch shows %q %q", has, &errs)
		}
	}
	return func() {
		t.Helper()
		defer cancel()
		for lines.Scan() { // the containers may go before they are seen to have ended
		}
		if err := cmd.Wait(); err != nil || !strings.Contains(errs.String(), p.cluster+" is gone") {
			t.Errorf("ps --watch, the cluster being gone: %v %q", err, &errs)
		}
	}
}

// listPeers wants ps to tell of a peer that sees all, is throttled, and has links
// that are cut.
func listPeers(t *testing.T, p process, image string) {
	t.Helper()
	p.must("throttle", "alice", "--cpus", "0.5")
	p.must("cut", "alice", "bob", "drop=udp")
	var alice peerRow
	for end := time.Now().Add(time.Minute); ; { // until the links of before are healed for alice, too
		var rows []peerRow
		if err := json.Unmarshal([]byte(p.must("ps", "--format", "json")), &rows); err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(rows, func(r peerRow) bool { return r.Name == "alice" })
		if at < 0 {
			t.Fatalf("no alice: %+v", rows)
		}
		if alice = rows[at]; alice.Sees != nil && *alice.Sees == 3 || time.Now().After(end) {
			break
		}
	}
	if alice.Sees == nil || *alice.Sees != 3 || alice.CPUs != 0.5 || alice.Degraded != 1 || alice.Since.IsZero() || alice.Profile != "local" || alice.Image != image {
		t.Errorf("ps: %+v, sees %v", alice, alice.Sees)
	}
	if out := p.must("ps", "-o", "wide"); !strings.Contains(out, "IMAGE") || !strings.Contains(out, "1 degraded") || !strings.Contains(out, image) {
		t.Errorf("ps -o wide:\n%s", out)
	}
	if out := p.must("ps", "-q"); out != "alice\nbob\ncharly\n" {
		t.Errorf("ps -q: %q", out)
	}
	if out := p.must("clusters"); !strings.Contains(out, p.cluster) || !strings.Contains(out, "peerlab up") {
		t.Errorf("clusters:\n%s", out)
	}
	if out, _, errs := p.call("heal", "alice"); !strings.Contains(errs, "healing one link: then all are healthy") {
		t.Errorf("heal alice: %q %q", out, errs)
	}
	p.must("throttle", "--all", "--cpus", "0")
}

// answerInJSON calls the commands that need a cluster with --format json. Then all
// is as it was.
func answerInJSON(t *testing.T, p process) {
	t.Helper()
	order := []string{
		"clusters", "ps", "events", "pause", "resume", "throttle", "kill", "start", "restart", "stop", "start",
		"partition", "cut", "link", "links", "heal",
	}
	for command := range onCluster {
		if !slices.Contains(order, strings.TrimPrefix(command, "peerlab ")) {
			t.Errorf("%s is not called", command)
		}
	}
	for _, command := range order {
		out := p.must(append([]string{command, "-o", "json"}, strings.Fields(onCluster["peerlab "+command])...)...)
		for line := range strings.Lines(out) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s: no JSON: %s", command, line)
			}
		}
		if out == "" {
			t.Errorf("%s says nothing", command)
		}
	}
}

// dockerForgets is in what tells that a busy Docker remembers a part of the events only.
const dockerForgets = "Docker keeps its latest"

// partOfLogs asks for parts of what peers wrote and reported.
func partOfLogs(t *testing.T, p process) {
	t.Helper()
	out, status, errs := p.call("logs", "alice", "--tail", "2")
	if status != 0 || strings.Count(out+errs, "\n") != 2 {
		t.Errorf("logs --tail 2: %d %q %q", status, out, errs)
	}
	if out, status, errs = p.call("logs", "alice", "--since", "0s"); status != 0 || strings.Count(out+errs, "\n") > 20 {
		t.Errorf("logs --since now: %d %q %q", status, out, errs)
	}
	for line := range strings.Lines(p.must("events", "--kind", "member.dead,lab", "--peer", "bob", "-o", "json")) {
		e, err := event.Decode([]byte(line))
		if strings.Contains(e.Error, dockerForgets) {
			continue
		}
		if layer, _, _ := strings.Cut(string(e.Kind), "."); err != nil || e.Kind != event.MemberDead && layer != testbed.Lab || e.Peer != "bob" && e.Member != "bob" {
			t.Errorf("events of one kind: %s %v", line, err)
		}
	}
	if all := p.must("events"); strings.Contains(all, string(event.PeerTraffic)) || !strings.Contains(all, string(event.PeerReady)) {
		t.Errorf("events: traffic %t, ready %t", strings.Contains(all, string(event.PeerTraffic)), strings.Contains(all, string(event.PeerReady)))
	}
	if out := p.must("events", "--kind", string(event.PeerTraffic)); !strings.Contains(out, " bytes") {
		t.Errorf("events of traffic: %q", out)
	}
	if out := p.must("events", "--since", "2100-01-01T00:00:00Z"); out != "" {
		t.Errorf("events of the future: %q", out)
	}
}

// execStandardInput has lines read standard input.
func execStandardInput(t *testing.T, p process) {
	t.Helper()
	for _, tc := range []struct {
		stdin  string
		line   []string
		status int
		out    string
		errs   string
	}{
		{"echo hi\nnosuch\n", []string{"execute", "-"}, 1, "hi\n", "standard input:2: unknown command"},
		{"echo hi\n", []string{"execute -"}, 0, "hi\n", ""},
		{"short\n", []string{"keys", "install", "-"}, 1, "", "16, 24 or 32"},
		{"never read", []string{"echo", "-"}, 0, "-\n", ""},
		{"\xff", []string{"execute", "-"}, 1, "", "UTF-8"},
	} {
		out, status, errs := p.callWith(strings.NewReader(tc.stdin), append([]string{"exec", "alice", "--"}, tc.line...)...)
		if out != tc.out || status != tc.status || !strings.Contains(errs, tc.errs) {
			t.Errorf("%q with %q: %d %q %q", tc.line, tc.stdin, status, out, errs)
		}
	}
	keys, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	defer tty.Close()
	for _, line := range []string{"members", "msg - hello", "localnode -"} { // nobody types
		if out, status, errs := p.callWith(tty, "exec", "alice", "--", line); status == -1 || strings.Contains(errs, "context") {
			t.Errorf("%s on a terminal: %d %q %q", line, status, out, errs)
		}
	}
}

// attachInTerminal types into a shell as a person does.
func attachInTerminal(t *testing.T, p process) {
	if _, err := exec.LookPath("tmux"); err != nil {
		return // the rest has been tested
	}
	m := tmux.Start(t, 90, 30, "PS1='$ ' sh")
	m.Shows("$ ▏")
	m.Send(selfVariable+"=1 "+os.Args[0]+" attach alice --cluster "+p.cluster, "Enter")
	m.Shows("alice> ▏")
	m.Send("mem", "Tab", "Enter")
	m.Contains("INCARNATION")
	m.Run("resize-window", "-x", "60", "-y", "20")
	m.Send("-l", "echo still here")
	m.Send("Enter")
	m.Contains("\nstill here")
	m.Send("C-c")
	m.Contains("the peer keeps running")
	m.Send("C-d")
	m.Shows("$ ▏")
	m.Send("stty -a", "Enter")
	m.Contains(" icanon") // the terminal is as it was
}

// attachToPeersThatStop leaves a shell at bob while bob is frozen, and has others
// end the peer of a shell in every way there is: each time the terminal tells, and
// is as it was. The function it returns wants that of the shell that is still
// open, now that the cluster is gone.
func attachToPeersThatStop(t *testing.T, p process) (removed func()) {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		return func() {} // the rest has been tested
	}
	m := tmux.Start(t, 100, 30, "PS1='$ ' sh")
	attach := func() {
		t.Helper()
		m.Send("clear; "+selfVariable+"=1 "+os.Args[0]+" attach bob --cluster "+p.cluster, "Enter")
		m.Contains("bob of " + p.cluster)
		m.Shows("bob> ▏")
	}
	outside := func(status string) {
		t.Helper()
		m.Shows("$ ▏")
		m.Send("echo status $?; stty -a", "Enter")
		m.Contains("\nstatus " + status + "\n")
		m.Contains(" icanon")
	}
	brings := ": peerlab start bob --cluster " + p.cluster + " brings it back"

	attach()
	m.Send("-l", "msg half")
	p.must("pause", "bob")
	m.Contains("\nbob is paused and hears nothing; Ctrl-C or Ctrl-] leaves the shell\npeerlab resume bob --cluster " + p.cluster + " wakes it\n")
	m.Send("-l", " lost") // or it would run later
	m.Send("Enter", "C-c")
	m.Contains("left bob, which is still paused")
	outside("0")
	p.must("resume", "bob")
	attach()
	m.Send("-l", "echo ha")
	p.must("pause", "bob")
	m.Contains("hears nothing")
	p.must("resume", "bob")
	m.Contains("bob goes on\nbob> echo ha▏")
	m.Send("-l", "lf")
	m.Send("Enter")
	m.Contains("\nhalf\n")
	m.Send("-l", "wait no more")
	m.Send("C-]")
	outside("0")
	if out := p.must("exec", "bob", "--", "chat history"); strings.Contains(out, "lost") {
		t.Errorf("what was typed while bob was paused was said later: %s", out)
	}

	for _, tc := range []struct {
		name   string
		end    func()
		says   string
		status string
	}{
		{"killed", func() { p.must("kill", "bob") }, "\nbob was killed (137)" + brings, "1"},
		{"quit", func() { m.Send("C-u", "quit", "Enter") }, "\npeer bob has left all layers and ends, as quit asked", "0"},
	} {
		attach()
		m.Send("-l", "msg half a")
		tc.end()
		m.Contains(tc.says)
		outside(tc.status)
		for end := time.Now().Add(30 * time.Second); p.states("ps")["bob"].State != testbed.Stopped; {
			if time.Now().After(end) {
				t.Fatalf("%s: bob does not stop", tc.name)
			}
		}
		p.must("start", "bob")
	}
	attach()
	return func() {
		t.Helper()
		m.Contains("\nbob was removed, with all it reported: peerlab down --cluster " + p.cluster + ", then peerlab up --cluster")
		outside("1")
	}
}

func TestWithoutDocker(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	p := process{t, ""}
	for _, args := range [][]string{
		{"ps"},
		{"ps", "--watch"},
		{"clusters"},
		{"up"},
		{"down"},
		{"clean"},
		{"kill", "alice"},
		{"exec", "alice", "members"},
		{"events"},
		{"cut", "alice", "bob"},
		{"heal"},
		{"links"},
		{"run", "gallery/crash"},
		{"sweep", "gallery/crash", "--engine", "docker", "--vary", "SuspicionMult=2,3"},
		{"explore", "--engine", "docker"},
		{"compare", "gallery/crash", "--quiet"},
	} {
		p.fails(3, "no Docker daemon answers", args...)
	}
	if out, status, _ := p.call("doctor"); status != 1 || !strings.Contains(out, "missing  Docker") {
		t.Errorf("doctor: %d %s", status, out)
	}
}

func TestWrongLabUse(t *testing.T) {
	p := process{t, ""}
	for args, want := range map[string]string{
		"up 0": "between 1 and 1000", "up x": "between 1 and 1000", "up 1 2": "one argument", "up --profile lna": "lna",
		"up --set Nonsense=1": "Nonsense", "up --subnet 10.1": "10.78.0.0/24", "up --rejoin -1s": "rejoin", "up --profil lan": "--profile?",
		"kill": "name of a peer", "exec alice": "a line", "throttle alice": "--cpus", "ps alice": "no argument",
		"ps --format yaml": "one of text, json", "ps -q -o json": "cannot be used together", "ps -q -w": "cannot be used together", "links -o wide": "no --format wide", "kill --all alice": "leave out alice",
		"up -1": "no number below 0", "up --cluster Bad_Name": "is no name", "explore foo=1": `no setting "foo"`, "explore --peers 1": "peers 1: want 3 to 1000",
		"logs alice --tail 0": "1 or more", "logs alice --since x": "--since", "events --kind member.daed": "did you mean member.dead", "events --since x": "--since",
		"gallery crash --markdown": "not for one", "gallery crash -q": "not for one", "gallery -q -o json": "cannot be used together", "compare --write /nowhere/engines.md": "--write", "kil alice": "did you mean kill",
		"partition": "groups of peers", "cut": "from whom to whom", "link": "from whom to whom", "links alice": "no argument",
		"link alice bob loss=120%": "not within 0 and 100", "link alice bob delay=-1ms": "not within 0", "link alice bob dely=1ms": "did you mean delay?",
		"cut alice - bob": "redirection", "cut alice bob --for -1s": "above 0", "cut alice bob --for x": "--for", "heal --for 1s": "unknown flag",
		"up --memory 1x": "256m", "up --memory 1m": "6 MiB", "up --memory -1": "256m", "up --pids many": "a number", "up --pids 3": "at least 16",
		"run gallery/crash --engine sim --memory 1g": "for containers", "run gallery/crash --pids 1": "at least 16",
		"cut alice bob for=5s": "--for 5s", "cut alice -> bob --for -1s": "above 0", "cut alice,bob -> charly x=1": "no such key", "throttle all off": "--cpus 0 removes",
		"exec alice bob -- echo x": "alice,bob", "check nodir": "no directory and no results are named nodir", "run gallery/crash --engine sim --out lab_test.go": "is a file",
		"doctor --peers 0": "between 1 and 1000", "up --adapter srf": "did you mean serf?", "up --adapter serf --set SuspicionMult=2": `no setting "set"`,
	} {
		p.fails(2, want, strings.Fields(args)...)
	}
}

// TestProxyIsNamed: whoever has a proxy sees where it is in use, and no
// password of it.
func TestProxyIsNamed(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		t.Setenv(name, "")
	}
	t.Setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
	p := process{t, ""}
	line := func() string {
		t.Helper()
		out, _, errs := p.call("doctor")
		if strings.Contains(out+errs, "secret") {
			t.Errorf("the password is shown: %s%s", out, errs)
		}
		for l := range strings.Lines(out) {
			if words := strings.Fields(l); len(words) > 2 && words[1] == "proxy" {
				return strings.Join(words, " ")
			}
		}
		t.Errorf("no line on proxies: %s%s", out, errs)
		return ""
	}
	if got := line(); got != "ok proxy none" {
		t.Errorf("%q", got)
	}
	config := filepath.Join(dir, "config.json")
	if err := os.WriteFile(config, []byte(`{"auths":{},"proxies":{"default":{"httpProxy":"http://user:secret@proxy.example:3128","noProxy":"localhost"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := line(); !strings.HasPrefix(got, "ok proxy http://proxy.example:3128 in "+config) || !strings.Contains(got, "containers") {
		t.Errorf("%q", got)
	}
	t.Setenv("https_proxy", "http://user:secret@other.example:3128")
	if got := line(); !strings.Contains(got, "http://proxy.example:3128 in "+config) || !strings.Contains(got, "https_proxy=http://other.example:3128") {
		t.Errorf("%q", got)
	}
	if err := os.WriteFile(config, []byte(`{`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := line(); !strings.HasPrefix(got, "unknown proxy "+config) {
		t.Errorf("%q", got)
	}
	// A daemon elsewhere is asked through it, as by docker itself.
	t.Setenv("HTTP_PROXY", "http://user:secret@127.0.0.1:1")
	t.Setenv("DOCKER_HOST", "tcp://docker.example.com:2375")
	if _, status, errs := p.call("up"); status != 3 || !strings.Contains(errs, "through the proxy http://127.0.0.1:1") || strings.Contains(errs, "secret") {
		t.Errorf("up: %d %s", status, errs)
	}
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1") // no proxy is asked for this machine
	if _, status, errs := p.call("ps"); status != 3 || strings.Contains(errs, "proxy") {
		t.Errorf("ps: %d %s", status, errs)
	}
}
