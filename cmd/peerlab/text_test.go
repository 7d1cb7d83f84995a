package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"peerlab/peer/command/commandtest"
)

// A text arrives byte by byte at a peer in a container, from peerlab exec and
// from make exec.
func TestTextFromOutside(t *testing.T) {
	p, _, labels := newProcess(t, "text")
	images := buildImages(t, labels)
	p.must("up", "2", "--image", images.Peer, "--bootstrap-image", images.Bootstrap)

	var want []string
	for _, text := range commandtest.Texts() {
		p.must("exec", "alice", "--", text.Line)
		p.must(append([]string{"exec", "alice", "--", "msg", "--"}, strings.Split(text.Want, " ")...)...)
		out, err := exec.CommandContext(t.Context(), "make", "-s", "-C", "../..", "exec", "PROJECT=peerlab-"+p.cluster, "PEER=alice", "LINE="+text.Line).CombinedOutput()
		if err != nil {
			t.Errorf("make exec LINE=%q: %v\n%s", text.Line, err, out)
		}
		want = append(want, "<alice> "+text.Want, "<alice> "+text.Want, "<alice> "+text.Want)
	}
	p.must("exec", "alice", "--", "msg -wait=30s that is all")
	var history []struct{ Line string }
	if err := json.Unmarshal([]byte(p.must("exec", "bob", "--", "chat history -format json")), &history); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range history {
		if strings.HasPrefix(entry.Line, "<alice> ") {
			got = append(got, entry.Line)
		}
	}
	if want = append(want, "<alice> that is all"); !slices.Equal(got, want) {
		t.Errorf("bob has\n%q\nwant\n%q", got, want)
	}
}
