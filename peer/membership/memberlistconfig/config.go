package memberlistconfig

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"

	"peerlab/internal/suggest"
)

// profiles are memberlist's three sets of defaults.
var profiles = map[string]func() *memberlist.Config{
	"local": memberlist.DefaultLocalConfig,
	"lan":   memberlist.DefaultLANConfig,
	"wan":   memberlist.DefaultWANConfig,
}

// Profiles returns the names Configure takes: lan, local and wan.
func Profiles() []string { return slices.Sorted(maps.Keys(profiles)) }

// Configure returns memberlist's configuration for a profile with the given
// Field=value settings applied in order. It names the nearest fields when one
// does not exist.
func Configure(profile string, settings []string) (*memberlist.Config, error) {
	defaults, ok := profiles[profile]
	if !ok {
		return nil, fmt.Errorf("unknown profile %q: use one of %s", profile, strings.Join(Profiles(), ", "))
	}
	conf := defaults()
	for _, s := range settings {
		field, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("setting %q: write Field=value, for example SuspicionMult=5", s)
		}
		if err := Set(conf, strings.TrimSpace(field), strings.TrimSpace(value)); err != nil {
			return nil, err
		}
	}
	return conf, nil
}

// elsewhere are plain fields that are set in another way, because more than
// memberlist depends on them.
var elsewhere = map[string]string{
	"Name":          "--name",
	"BindAddr":      "--bind",
	"BindPort":      "--bind",
	"AdvertiseAddr": "--advertise",
	"AdvertisePort": "--advertise",
}

// MaxRetransmit bounds RetransmitMult, of memberlist and of what is like it.
const MaxRetransmit = 1000

// bounds are the values memberlist runs with. Outside them it divides by
// zero, spins, or silently stops sending.
var bounds = map[string][2]int64{
	"ProtocolVersion":         {int64(memberlist.ProtocolVersionMin), memberlist.ProtocolVersionMax},
	"TCPTimeout":              {int64(time.Millisecond), int64(time.Hour)},
	"IndirectChecks":          {0, 100},
	"RetransmitMult":          {1, MaxRetransmit},
	"SuspicionMult":           {1, 1000},
	"SuspicionMaxTimeoutMult": {1, 1000},
	"PushPullInterval":        {0, int64(24 * time.Hour)},
	"ProbeInterval":           {0, int64(time.Hour)},
	"ProbeTimeout":            {int64(time.Millisecond), int64(time.Hour)},
	"AwarenessMaxMultiplier":  {1, 1000},
	"GossipInterval":          {0, int64(time.Hour)},
	"GossipNodes":             {0, 1000},
	"GossipToTheDeadTime":     {0, int64(24 * time.Hour)},
	"HandoffQueueDepth":       {1, 1 << 20},
	"UDPBufferSize":           {256, 65507},
	"DeadNodeReclaimTime":     {0, int64(24 * time.Hour)},
	"QueueCheckInterval":      {int64(time.Millisecond), int64(24 * time.Hour)},
	"DelegateProtocolVersion": {0, 255},
	"DelegateProtocolMin":     {0, 255},
	"DelegateProtocolMax":     {0, 255},
}

var durationType = reflect.TypeFor[time.Duration]()

// plain says whether a field of memberlist.Config holds one plain value.
func plain(f reflect.StructField) bool {
	switch f.Type.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint8:
		return f.IsExported()
	}
	return false
}

// Fields returns the names of the settable fields of memberlist.Config.
func Fields() []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[memberlist.Config]()) {
		if plain(f) && elsewhere[f.Name] == "" {
			names = append(names, f.Name)
		}
	}
	return names
}

// Values returns the settable fields of conf as Set takes them.
func Values(conf *memberlist.Config) map[string]string {
	values := make(map[string]string)
	for _, name := range Fields() {
		values[name] = fmt.Sprint(reflect.ValueOf(conf).Elem().FieldByName(name))
	}
	return values
}

// Set sets one field of conf from text: durations like 500ms, numbers, true
// or false, strings as they are. conf is unchanged on error.
func Set(conf *memberlist.Config, field, value string) error {
	f, ok := reflect.TypeFor[memberlist.Config]().FieldByName(field)
	if ok && elsewhere[field] != "" {
		return fmt.Errorf("set %s: use %s", field, elsewhere[field])
	}
	if !ok || !plain(f) {
		if near := suggest.Similar(field, Fields()); len(near) > 0 {
			return fmt.Errorf("memberlist has no plain setting %q: did you mean %s?", field, strings.Join(near, ", "))
		}
		return fmt.Errorf("memberlist has no plain setting %q: it has %s", field, strings.Join(Fields(), ", "))
	}
	wrong := func(want string) error { return fmt.Errorf("set %s: %q is not %s", field, value, want) }
	inBounds := func(n int64, show func(int64) string) error {
		if b, ok := bounds[field]; ok && (n < b[0] || n > b[1]) {
			return fmt.Errorf("set %s: %s is out of range: %s to %s", field, value, show(b[0]), show(b[1]))
		}
		return nil
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	v := reflect.ValueOf(conf).Elem().FieldByIndex(f.Index)
	switch {
	case f.Type == durationType:
		d, err := time.ParseDuration(value)
		if err != nil {
			return wrong("a duration such as 500ms or 2s")
		}
		if err := inBounds(int64(d), func(n int64) string { return time.Duration(n).String() }); err != nil {
			return err
		}
		v.SetInt(int64(d))
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return wrong("true or false")
		}
		v.SetBool(b)
	case v.Kind() == reflect.Uint8:
		n, err := strconv.ParseUint(value, 10, 8)
		if err != nil {
			return wrong("a number from 0 to 255")
		}
		if err := inBounds(int64(n), number); err != nil {
			return err
		}
		v.SetUint(n)
	case v.CanInt():
		n, err := strconv.Atoi(value)
		if err != nil {
			return wrong("a whole number")
		}
		if err := inBounds(int64(n), number); err != nil {
			return err
		}
		v.SetInt(int64(n))
	default:
		if field == "Label" && len(value) > memberlist.LabelMaxSize {
			return fmt.Errorf("set Label: %d bytes are too long: the limit is %d", len(value), memberlist.LabelMaxSize)
		}
		v.SetString(value)
	}
	return nil
}
