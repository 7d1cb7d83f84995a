// Package settings judges what cluster is to be made before anything of it
// exists, by the same rules for every engine: names, the flags of peer run, the
// fields of memberlist's configuration, and what an engine chooses itself.
package settings

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"peerlab/internal/suggest"
	"peerlab/observe/theory"
	"peerlab/peer"
	chatapp "peerlab/peer/chat/app"
	"peerlab/peer/membership/memberlistconfig"
	"peerlab/testbed"
)

// Phase is the setting of a cluster, or of a peer, by which an engine that can
// choose lets peers begin after their start: each after a time of its own
// (Random, the default), or all at once and from then on in step (Aligned). It
// is no flag of peer run.
const (
	Phase   = "phase"
	Random  = "random"
	Aligned = "aligned"
)

// OfPeer returns those of a peer's settings that are flags of peer run.
func OfPeer(settings map[string]string) map[string]string {
	flags := maps.Clone(settings)
	delete(flags, Phase)
	return flags
}

// Owned returns the settings of a peer that every engine chooses itself, each
// with the reason.
func Owned() map[string]string {
	return map[string]string{
		"bind":      "the engine gives each peer its address",
		"chat-bind": "the engine gives each peer its address",
		"advertise": "the engine gives each peer its address",
		"bootstrap": "the engine runs the bootstrap service",
	}
}

// Check says what is wrong with a cluster of an engine that chooses the owned
// settings itself. An unknown peer in s.Own is a testbed.ErrNoPeer.
func Check(owned map[string]string, s testbed.Spec) error {
	if len(s.Peers) > testbed.MaxPeers {
		return fmt.Errorf("%d peers are too many: at most %d", len(s.Peers), testbed.MaxPeers)
	}
	if _, given := s.Settings["name"]; given {
		return fmt.Errorf("setting name: it would give all peers one name")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Own)) {
		if !slices.Contains(s.Peers, name) {
			return fmt.Errorf("settings: %w", testbed.NoPeer(name, s.Peers))
		}
	}
	seen := make(map[string]bool, len(s.Peers))
	for _, name := range s.Peers {
		if err := testbed.CheckName(name); err != nil {
			return err
		}
		if name == testbed.Bootstrap || name == testbed.Lab || seen[name] {
			return fmt.Errorf("the name %s is taken", name)
		}
		seen[name] = true
		if len(seen) > 1 && s.Own[name] == nil {
			continue // its settings are those of another
		}
		of := s.Of(name)
		for _, key := range slices.Sorted(maps.Keys(of)) {
			if err := CheckSetting(owned, key, of[key]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if err := CheckPeer(name, of, s.Files); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Merge returns settings on top of an engine's defaults, the fields of
// memberlist in set among them.
func Merge(defaults, settings map[string]string) map[string]string {
	all := maps.Clone(defaults)
	if all == nil {
		all = make(map[string]string)
	}
	maps.Copy(all, settings)
	if d, s := defaults["set"], settings["set"]; d != "" && s != "" {
		all["set"] = d + "," + s
	}
	return all
}

// Model is what theory knows of so many peers with these settings.
func Model(of map[string]string, peers int) (theory.Model, error) {
	var fields []string
	if of["set"] != "" {
		fields = strings.Split(of["set"], ",")
	}
	list, err := memberlistconfig.Configure(of["profile"], fields)
	if err != nil {
		return theory.Model{}, err
	}
	return theory.Of(list, peers), nil
}

// Used returns the settings with which a peer runs, as testbed.Factory.Used has
// them: those of a peer, on top of an engine's defaults, and for the rest what a
// peer takes by itself. Those that are owned are left out. Of settings that a
// peer refuses it is nil.
func Used(owned, defaults, of map[string]string) map[string]string {
	config := chatapp.NewConfig("")
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(flags)
	for name, value := range OfPeer(Merge(defaults, of)) {
		if f := flags.Lookup(name); f == nil || peer.SetFlag(f, value) != nil {
			return nil
		}
	}
	list, err := memberlistconfig.Configure(config.Profile, config.Set)
	if err != nil {
		return nil
	}
	used := memberlistconfig.Values(list)
	flags.VisitAll(func(f *pflag.Flag) {
		if _, is := owned[f.Name]; !is && f.Name != "name" && f.Name != "set" {
			used[f.Name] = f.Value.String()
		}
	})
	for _, name := range []string{"broadcast-retransmit", "chat-retransmit"} {
		if used[name] == "0" {
			used[name] = used["RetransmitMult"]
		}
	}
	if _, is := owned[Phase]; !is {
		used[Phase] = cmp.Or(of[Phase], Random)
	}
	return used
}

// CheckSetting says what is wrong with one setting by itself.
func CheckSetting(owned map[string]string, key, value string) error {
	if reason, is := owned[key]; is && !staysOff(key, value) {
		return fmt.Errorf("%s cannot be set: %s", key, reason)
	}
	switch {
	case key == Phase && value != Random && value != Aligned:
		return fmt.Errorf("%s=%q: use %s or %s", Phase, value, Random, Aligned)
	case key == Phase:
		return nil
	}
	config := chatapp.NewConfig("")
	err := config.Configure(map[string]string{key: value})
	if errors.Is(err, peer.ErrNoSetting) {
		return fmt.Errorf("%w %q: %s", peer.ErrNoSetting, key, meant(key, owned))
	}
	return err
}

// CheckField says what is wrong with one field of memberlist's configuration. It
// cannot have a comma in its value, for that separates fields in the setting set.
func CheckField(field, value string) error {
	switch {
	case field == "Name":
		return fmt.Errorf("%s cannot be set: write name= into a peer line", field)
	case slices.Contains([]string{"BindAddr", "BindPort", "AdvertiseAddr", "AdvertisePort"}, field):
		return fmt.Errorf("%s cannot be set: %s", field, Owned()["bind"])
	case strings.Contains(value, ","):
		return fmt.Errorf("%s: a value with a comma cannot be set", field)
	}
	_, err := memberlistconfig.Configure("lan", []string{field + "=" + value})
	return err
}

// flags are those of peer run.
func flags() *pflag.FlagSet {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	config := chatapp.NewConfig("")
	config.AddFlags(all)
	return all
}

// staysOff reports whether a value leaves a switch off that is off anyway.
func staysOff(key, value string) bool {
	f := flags().Lookup(key)
	if f == nil || f.DefValue != "false" {
		return false
	}
	on, err := strconv.ParseBool(value)
	return err == nil && !on
}

// meant names which of the settings that are not owned was probably meant, or
// else all of them.
func meant(key string, owned map[string]string) string {
	var known []string
	if _, is := owned[Phase]; !is {
		known = append(known, Phase)
	}
	flags().VisitAll(func(f *pflag.Flag) {
		if _, is := owned[f.Name]; !is && f.Name != "set" {
			known = append(known, f.Name)
		}
	})
	slices.Sort(known)
	if near := suggest.Similar(key, known); len(near) > 0 {
		return "did you mean " + strings.Join(near, ", ") + "?"
	}
	return "there are " + strings.Join(known, ", ")
}

// CheckPeer says what a peer with these settings would refuse. It makes a peer
// that is never started. Files that settings name are the peer's own, and not
// looked at, but for those that are given to it: their content by name.
func CheckPeer(name string, settings, files map[string]string) error {
	chat := chatapp.New()
	config := peer.Config{Name: name, App: chat}
	if err := config.Configure(OfPeer(settings)); err != nil {
		return err
	}
	if secret, given := files[chat.Config.SecretFile]; given {
		chat.Config.Secret = secret
	}
	config.State, chat.Config.SecretFile = "", ""
	_, err := peer.New(config)
	return err
}
