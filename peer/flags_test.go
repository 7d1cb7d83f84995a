package peer

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestConfigure(t *testing.T) {
	c := Config{Name: "alice"}
	err := c.Configure(map[string]string{
		"profile": "local", "rejoin": "0", "set": "SuspicionMult=2,GossipNodes=4", "bare": "true",
	})
	if err != nil || c.Name != "alice" || c.Profile != "local" || c.Rejoin != 0 || !c.Bare ||
		!slices.Equal(c.Set, []string{"SuspicionMult=2", "GossipNodes=4"}) || c.Bind != DefaultBind {
		t.Errorf("%+v, %v", c, err)
	}
	if err := c.Configure(nil); err != nil || c.Rejoin != DefaultRejoin || len(c.Set) != 0 || c.Profile != DefaultProfile {
		t.Errorf("defaults: %+v, %v", c, err)
	}
	if err := c.Configure(map[string]string{"set": "", "rejoin": "1s"}); err != nil || len(c.Set) != 0 || c.Rejoin != time.Second {
		t.Errorf("an empty list: %+v, %v", c, err)
	}
	for name, want := range map[string]string{
		"profil": "did you mean profile?", "-": "there are", "rejoin": `setting rejoin="often"`, "bare": `setting bare="often"`,
	} {
		if err := c.Configure(map[string]string{name: "often"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// A value that cannot be used as it is is refused, not replaced by another.
func TestNewRefusesSettings(t *testing.T) {
	for setting, want := range map[string]string{
		"broadcast-retransmit=-1":    "use 1 to 1000",
		"broadcast-retransmit=1001":  "use 1 to 1000",
		"broadcast-tombstones=-1s":   "use 1s to",
		"broadcast-tombstones=10ms":  "use 1s to",
		"broadcast-tombstones=9000h": "use 1s to",
		"events-kept=-1":             "use 1 to",
		"rejoin=50ms":                "use 100ms or more",
		"broadcast-retransmit=1":     "",
		"broadcast-tombstones=1s":    "",
		"events-kept=1":              "",
	} {
		c := Config{Name: "alice"}
		key, value, _ := strings.Cut(setting, "=")
		err := c.Configure(map[string]string{key: value})
		if err == nil {
			_, err = New(c)
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", setting, err, want)
		}
	}
}
