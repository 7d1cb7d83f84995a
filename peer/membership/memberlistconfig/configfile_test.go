package memberlistconfig_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/peer/membership/memberlistconfig"
)

// Every plain field comes back, whatever its value.
func TestConfigFileRoundTrip(t *testing.T) {
	conf := memberlist.DefaultWANConfig()
	conf.Name, conf.BindAddr, conf.BindPort, conf.AdvertiseAddr, conf.AdvertisePort = "alice", "127.0.0.1", 1234, "192.0.2.1", 4321
	v := reflect.ValueOf(conf).Elem()
	for _, name := range memberlistconfig.Fields() {
		switch f := v.FieldByName(name); {
		case f.Type() == reflect.TypeFor[time.Duration]():
			f.SetInt(int64(1234 * time.Millisecond))
		case f.Kind() == reflect.Bool:
			f.SetBool(!f.Bool())
		case f.Kind() == reflect.String:
			f.SetString("a \"b\"\t\u00e9")
		case f.Kind() == reflect.Uint8:
			f.SetUint(4)
		case name == "UDPBufferSize":
			f.SetInt(900)
		default:
			f.SetInt(7)
		}
	}
	text := memberlistconfig.Encode(conf)
	if !strings.Contains(string(text), `"ProbeInterval": "1.234s"`) {
		t.Errorf("durations are not readable:\n%s", text)
	}
	loaded, err := memberlistconfig.Decode(memberlist.DefaultLocalConfig(), text)
	if err != nil {
		t.Fatal(err)
	}
	if again := memberlistconfig.Encode(loaded); string(again) != string(text) {
		t.Errorf("comes back as\n%s\nwant\n%s", again, text)
	}
}

func TestConfigFileSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "want a JSON object",
		"[]":                        "want a JSON object",
		`{"SuspicionMul": 3}`:       "did you mean SuspicionMult",
		`{"SuspicionMult": "many"}`: "not a whole number",
		`{"ProbeInterval": 5}`:      "a duration such as",
		`{"BindPort": "x"}`:         "BindPort",
		`{"Name": "a b"}`:           "letters",
		`{"Keyring": {}}`:           "no plain setting",
	} {
		conf := memberlist.DefaultLANConfig()
		if _, err := memberlistconfig.Decode(conf, []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzDecodeConfig(f *testing.F) {
	f.Add(memberlistconfig.Encode(memberlist.DefaultLANConfig()))
	f.Fuzz(func(t *testing.T, text []byte) {
		conf, err := memberlistconfig.Decode(memberlist.DefaultLANConfig(), text)
		if err != nil {
			return
		}
		if _, err := memberlistconfig.Decode(memberlist.DefaultLocalConfig(), memberlistconfig.Encode(conf)); err != nil {
			t.Errorf("what was read from %q cannot be written and read again: %v", text, err)
		}
	})
}
