package docker

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/docker/probe"
)

func TestFactory(t *testing.T) {
	needDocker(t)
	t.Parallel()
	f := NewFactory(daemon, Options{
		PeerImage: images.Peer, BootstrapImage: images.Bootstrap, FabricImage: images.Fabric,
		Env: map[string]string{"PEER_PROFILE": "wan", "PEER_REJOIN": "1s"},
	})
	ctx := t.Context()
	e, err := f.Create(ctx, testbed.Spec{
		Peers:    []string{"alice", "bob"},
		Settings: map[string]string{"profile": "local", "set": "GossipNodes=4,RetransmitMult=8", "chat-secret-file": "secrets.txt"},
		Files:    map[string]string{"secrets.txt": "cmFuZG9tIGFuZCBsb25nIGVub3VnaCBhcyBhIHNlY3JldA==\n"},
		Own:      map[string]map[string]string{"bob": {"set": "GossipNodes=5"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err := e.Start(ctx, testbed.Bootstrap, "alice", "bob"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{"alice": {`"GossipNodes":4`, `"RetransmitMult":8`}, "bob": {`"GossipNodes":5`, `"ProbeTimeout":"200ms"`}} {
		await(t, e.(*Cluster), 0, name+" is ready", about(name, event.PeerReady, ""))
		var out bytes.Buffer
		if err := e.Exec(ctx, name, "config show -format json", testbed.Input{}, &out); err != nil {
			t.Error(err)
		}
		for _, word := range want {
			if !strings.Contains(strings.ReplaceAll(out.String(), " ", ""), word) {
				t.Errorf("%s does not have %s:\n%s", name, word, &out)
			}
		}
	}
}

func TestFactoryRefuses(t *testing.T) {
	f := NewFactory(&dockerd.Daemon{}, Options{}) // which must not be asked
	peers := []string{"alice", "bob"}
	for _, test := range []struct {
		spec testbed.Spec
		says string
		is   error
	}{
		{testbed.Spec{Peers: peers, Settings: map[string]string{"profil": "lan"}}, `alice: a peer has no setting "profil": did you mean profile?`, nil},
		{testbed.Spec{Peers: peers, Settings: map[string]string{"profile": "moon"}}, "moon", nil},
		{testbed.Spec{Peers: peers, Settings: map[string]string{"set": "SuspicionMul=2"}}, "SuspicionMult", nil},
		{testbed.Spec{Peers: peers, Settings: map[string]string{"name": "zoe"}}, "it would give all peers one name", nil},
		{testbed.Spec{Peers: peers, Own: map[string]map[string]string{"bob": {"rejoin": "soon"}}}, "bob: setting rejoin", nil},
		{testbed.Spec{Peers: peers, Own: map[string]map[string]string{"bbo": {"rejoin": "1s"}}}, "did you mean bob?", testbed.ErrNoPeer},
	} {
		_, err := f.Create(t.Context(), test.spec)
		if err == nil || !strings.Contains(err.Error(), test.says) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%+v: %v, want %q", test.spec, err, test.says)
		}
	}
}

// TestPhaseIsRefused: a container begins when the host gets to it.
func TestPhaseIsRefused(t *testing.T) {
	_, err := NewFactory(nil, Options{}).Create(t.Context(), testbed.Spec{Peers: []string{"alice"}, Settings: map[string]string{"phase": "aligned"}})
	if err == nil || !strings.Contains(err.Error(), "alice: phase cannot be set: a container begins when this host gets to it") {
		t.Errorf("%v", err)
	}
}

func TestFactoryCheck(t *testing.T) {
	needDocker(t)
	f := NewFactory(daemon, Options{FabricImage: images.Fabric})
	if err := f.Check(t.Context(), links(t, "a -> b drop=all; b -> a loss=10%")); err != nil {
		t.Error(err)
	}
	features, err := probe.Features(t.Context(), daemon, images.Fabric)
	if err != nil {
		t.Fatal(err)
	}
	netem := true
	for _, f := range features {
		netem = netem && (f.Name != "sch_netem" || f.Missing == "")
	}
	err = f.Check(t.Context(), links(t, "a -> b delay=10ms"))
	if netem && err != nil || !netem && (!errors.Is(err, testbed.ErrUnable) || !strings.Contains(err.Error(), "sch_netem")) {
		t.Errorf("delay, and netem is there: %t, %v", netem, err)
	}
	without := NewFactory(daemon, Options{FabricImage: "peerlab-nowhere"})
	if err := without.Check(t.Context(), nil); err != nil {
		t.Errorf("no links need no image: %v", err)
	}
	err = without.Check(t.Context(), links(t, "a -> b drop=all"))
	if !errors.Is(err, testbed.ErrUnable) || !errors.Is(err, dockerd.ErrNoImage) {
		t.Errorf("without the image: %v", err)
	}
	if n := count(t, dockerd.HelperLabel+"="+dockerd.FeaturesHelper, dockerd.OwnerLabel+"="+string(dockerd.ThisProcess())); n != 0 {
		t.Errorf("%d containers are left", n)
	}
}
