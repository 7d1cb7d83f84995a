package memberlistconfig_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/peer/membership/memberlistconfig"
)

func TestConfigureSetsEveryKindOfField(t *testing.T) {
	conf, err := memberlistconfig.Configure("local", []string{
		"SuspicionMult=7", "ProbeInterval=250ms", "EnableCompression=false", "ProtocolVersion=4", "Label=blue=green",
	})
	if err != nil {
		t.Fatal(err)
	}
	if conf.SuspicionMult != 7 || conf.ProbeInterval != 250*time.Millisecond || conf.EnableCompression ||
		conf.ProtocolVersion != 4 || conf.Label != "blue=green" {
		t.Errorf("settings did not arrive: %+v", conf)
	}
	if want := memberlist.DefaultLocalConfig().ProbeTimeout; conf.ProbeTimeout != want {
		t.Errorf("ProbeTimeout = %v, want the profile's %v", conf.ProbeTimeout, want)
	}
}

func TestConfigureSaysWhatIsWrong(t *testing.T) {
	for _, tc := range []struct{ profile, setting, want string }{
		{"moon", "", "use one of lan, local, wan"},
		{"lan", "SuspicionMult", "write Field=value"},
		{"lan", "SuspicionMlt=5", "did you mean SuspicionMult"},
		{"lan", "suspicionmult=5", "did you mean SuspicionMult"},
		{"lan", "xyzzy=5", "it has Label"},
		{"lan", "Keyring=x", "no plain setting"},
		{"lan", "Name=bob", "use --name"},
		{"lan", "BindPort=1", "use --bind"},
		{"lan", "SuspicionMult=many", `"many" is not a whole number`},
		{"lan", "SuspicionMult=0", "out of range: 1 to 1000"},
		{"lan", "ProbeInterval=5", "a duration such as 500ms"},
		{"lan", "ProbeInterval=-5s", "out of range: 0s to 1h0m0s"},
		{"lan", "QueueCheckInterval=0s", "out of range"},
		{"lan", "EnableCompression=maybe", "true or false"},
		{"lan", "ProtocolVersion=9", "out of range: 1 to 5"},
		{"lan", "ProtocolVersion=999", "0 to 255"},
		{"lan", "Label=" + strings.Repeat("x", 300), "the limit is"},
	} {
		t.Run(tc.setting, func(t *testing.T) {
			var settings []string
			if tc.setting != "" {
				settings = []string{tc.setting}
			}
			_, err := memberlistconfig.Configure(tc.profile, settings)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tc.want)
			}
		})
	}
}

// Every settable field has bounds or is a string or a bool: a number without
// bounds can crash memberlist.
func TestEveryFieldIsSettable(t *testing.T) {
	for _, field := range memberlistconfig.Fields() {
		conf := memberlist.DefaultLANConfig()
		if err := memberlistconfig.Set(conf, field, "99999999999999999999"); err == nil && field != "Label" && field != "DNSConfigPath" {
			t.Errorf("%s takes any number", field)
		}
	}
	if n := len(memberlistconfig.Fields()); n < 25 {
		t.Errorf("only %d settable fields", n)
	}
}

func FuzzSet(f *testing.F) {
	f.Add("SuspicionMult", "5")
	f.Add("ProbeInterval", "1h2m3.5s")
	f.Fuzz(func(t *testing.T, field, value string) {
		conf := memberlist.DefaultLANConfig()
		if err := memberlistconfig.Set(conf, field, value); err == nil {
			// What Set accepts, memberlist runs with.
			if conf.SuspicionMult < 1 || conf.ProbeInterval < 0 || conf.QueueCheckInterval <= 0 || conf.AwarenessMaxMultiplier < 1 {
				t.Errorf("Set(%q, %q) made %+v", field, value, conf)
			}
		}
	})
}
