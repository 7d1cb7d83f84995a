package settings_test

import (
	"errors"
	"strings"
	"testing"

	"peerlab/testbed"
	"peerlab/testbed/settings"
)

func TestWhatCannotBeSetIsNotProposed(t *testing.T) {
	owned := settings.Owned()
	owned["allow-shell"] = "there is none"
	for _, tc := range []struct{ key, value, want, not string }{
		{"shell", "true", `a peer has no setting "shell": there are`, "allow-shell"},
		{"bindd", "x", "there are", " bind,"},
		{"profil", "lan", "did you mean profile?", "there are"},
		{"allow-shell", "true", "allow-shell cannot be set: there is none", "mean"},
	} {
		err := settings.CheckSetting(owned, tc.key, tc.value)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), tc.not) {
			t.Errorf("%s=%s: %v", tc.key, tc.value, err)
		}
	}
	if err := settings.CheckSetting(owned, "allow-shell", "false"); err != nil {
		t.Errorf("what is so anyway: %v", err)
	}
	for field, want := range map[string]string{"BindAddr": "the engine gives each peer its address", "Name": "name= into a peer line"} {
		if err := settings.CheckField(field, "1.1.1.1"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestCheck(t *testing.T) {
	own := func(peer, key, value string) map[string]map[string]string {
		return map[string]map[string]string{peer: {key: value}}
	}
	owned := settings.Owned()
	owned["allow-shell"] = "there is no shell here"
	for _, test := range []struct {
		name, want string
		spec       testbed.Spec
	}{
		{"good", "", testbed.Spec{Peers: []string{"a", "b"}, Settings: map[string]string{"profile": "lan"}, Own: own("b", "set", "SuspicionMult=2")}},
		{"a name twice", "the name a is taken", testbed.Spec{Peers: []string{"a", "a"}}},
		{"the service's name", "is taken", testbed.Spec{Peers: []string{testbed.Bootstrap}}},
		{"no name", "is no name", testbed.Spec{Peers: []string{"A"}}},
		{"no setting", "a: a peer has no setting \"profil\": did you mean profile?", testbed.Spec{Peers: []string{"a"}, Settings: map[string]string{"profil": "lan"}}},
		{"no profile", "unknown profile", testbed.Spec{Peers: []string{"a"}, Settings: map[string]string{"profile": "moon"}}},
		{"no value of a field", "b: ", testbed.Spec{Peers: []string{"a", "b"}, Own: own("b", "set", "SuspicionMult=x")}},
		{"nobody's settings", "no such peer", testbed.Spec{Peers: []string{"a"}, Own: own("b", "profile", "lan")}},
		{"one name for all", "one name", testbed.Spec{Peers: []string{"a"}, Settings: map[string]string{"name": "x"}}},
		{"another name for one", "", testbed.Spec{Peers: []string{"a", "b"}, Own: own("b", "name", "x")}},
		{"what every engine chooses", "bind cannot be set: the engine gives each peer its address", testbed.Spec{Peers: []string{"a"}, Settings: map[string]string{"bind": "0.0.0.0:1"}}},
		{"a phase", "", testbed.Spec{Peers: []string{"a", "b"}, Settings: map[string]string{"phase": "aligned"}, Own: own("b", "phase", "random")}},
		{"no phase", "a: phase=\"full\": use random or aligned", testbed.Spec{Peers: []string{"a"}, Settings: map[string]string{"phase": "full"}}},
		{"what this engine chooses", "a: allow-shell cannot be set: there is no shell here", testbed.Spec{Peers: []string{"a"}, Own: own("a", "allow-shell", "true")}},
	} {
		err := settings.Check(owned, test.spec)
		if (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if test.name == "nobody's settings" && !errors.Is(err, testbed.ErrNoPeer) {
			t.Errorf("%s: %v is no ErrNoPeer", test.name, err)
		}
	}
}

// What a peer uses is what was asked for, and for the rest what is said to be its
// default.
func TestUsed(t *testing.T) {
	defaults := map[string]string{"set": "EnableCompression=false", "events-kept": "50"}
	for _, test := range []struct {
		name         string
		defaults, of map[string]string
		want         map[string]string
	}{
		{"nothing is asked for", nil, nil, map[string]string{
			"profile": "lan", "rejoin": "5s", "RetransmitMult": "4", "broadcast-retransmit": "4", "chat-retransmit": "4", "broadcast-tombstones": "24h0m0s",
			"EnableCompression": "true", "PushPullInterval": "30s", "events-kept": "10000",
		}},
		{"an engine's defaults", defaults, map[string]string{"profile": "local"}, map[string]string{"EnableCompression": "false", "events-kept": "50", "RetransmitMult": "2", "broadcast-retransmit": "2"}},
		{"on top of these", defaults, map[string]string{"set": "EnableCompression=true,RetransmitMult=1", "events-kept": "7", "rejoin": "0"}, map[string]string{
			"EnableCompression": "true", "events-kept": "7", "rejoin": "0s", "broadcast-retransmit": "1", "chat-retransmit": "1",
		}},
		{"for the map alone", nil, map[string]string{"broadcast-retransmit": "7", "set": "RetransmitMult=1"}, map[string]string{"broadcast-retransmit": "7", "chat-retransmit": "1"}},
	} {
		used := settings.Used(settings.Owned(), test.defaults, test.of)
		for key, want := range test.want {
			if used[key] != want {
				t.Errorf("%s: %s is %q, want %q", test.name, key, used[key], want)
			}
		}
		for _, key := range []string{"name", "set", "bind", "bootstrap"} {
			if value, there := used[key]; there {
				t.Errorf("%s: %s is there: %q", test.name, key, value)
			}
		}
	}
	if used := settings.Used(nil, nil, map[string]string{"profile": "moon"}); used != nil {
		t.Errorf("of settings that a peer refuses: %v", used)
	}
}
