package scenarios

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"peerlab/nearest"
	"peerlab/observe/theory"
	"peerlab/peer"
	"peerlab/peer/membership"
	"peerlab/testbed"
)

// scene is what is known at one line of a scenario before anything runs: the
// cluster, the variables, the links. Lint walks through it, and a run does
// again, so that both understand a line in the same way.
type scene struct {
	possible func(testbed.Links) error // what the engine can do; nil when none is chosen
	arm      arm

	given map[string]string // what --set says
	vars  map[string]string

	spec    testbed.Spec
	defined bool            // by a cluster line
	begun   bool            // something runs: the cluster is what it is
	ends    map[string]bool // peers that may end by themselves, for the scenario says so
	links   testbed.Links

	secrets secrets // in lines for peers; shared with what runs

	uses  map[string]bool // verbs, and forms of conditions
	least time.Duration   // that the lines so far take if all comes true at once
}

// arm is one way to run a scenario: its name, and what it sets.
type arm struct {
	name string
	vars map[string]string
}

func newScene(arm arm, given map[string]string) *scene {
	sc := &scene{arm: arm, given: given, vars: map[string]string{}, ends: map[string]bool{}, links: testbed.Links{}, uses: map[string]bool{}, secrets: secrets{}}
	maps.Copy(sc.vars, arm.vars)
	maps.Copy(sc.vars, given)
	return sc
}

// clone copies what verbs change.
func (sc *scene) clone() *scene {
	c := *sc
	c.vars, c.links, c.ends, c.uses = maps.Clone(sc.vars), maps.Clone(sc.links), maps.Clone(sc.ends), maps.Clone(sc.uses)
	c.spec.Own = maps.Clone(sc.spec.Own)
	for name, own := range c.spec.Own {
		c.spec.Own[name] = maps.Clone(own)
	}
	return &c
}

// define makes the cluster what a cluster line says.
func (sc *scene) define(peers []string, settings map[string]string) error {
	if settings["profile"] == "" {
		settings["profile"] = "local"
	}
	sc.spec = testbed.Spec{Peers: peers, Settings: settings, Own: map[string]map[string]string{}}
	sc.defined = true
	if err := checkPeer(settings); err != nil {
		return err
	}
	m, err := sc.model()
	if err != nil {
		return err
	}
	for _, c := range computed() {
		sc.vars[c.name] = c.value(m).String()
	}
	sc.vars["N"] = strconv.Itoa(len(peers))
	return nil
}

// model is the cluster as theory knows it.
func (sc *scene) model() (theory.Model, error) {
	conf, err := membership.Configure(sc.spec.Settings["profile"], fields(sc.spec.Settings))
	if err != nil {
		return theory.Model{}, err
	}
	return theory.Of(conf, len(sc.spec.Peers)), nil
}

// fields are the settings of memberlist among a peer's.
func fields(settings map[string]string) []string {
	if settings["set"] == "" {
		return nil
	}
	return strings.Split(settings["set"], ",")
}

// parseSettings reads key=value words: flags of peer run in lower case, fields
// of memberlist's configuration with their capital letter.
func parseSettings(words []word, text []string) (map[string]string, error) {
	settings := map[string]string{}
	var set []string
	seen := map[string]bool{}
	for i, pair := range text {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, at(words[i], fmt.Errorf("%q: want key=value, such as profile=lan or SuspicionMult=2", pair))
		}
		if seen[key] {
			return nil, at(words[i], fmt.Errorf("%s is given twice", key))
		}
		seen[key] = true
		if unicode.IsUpper(rune(key[0])) {
			// As the engine hands them on: separated by commas.
			if strings.Contains(value, ",") {
				return nil, at(words[i], fmt.Errorf("%s: a value with a comma cannot be set", key))
			}
			if _, err := membership.Configure("lan", []string{pair}); err != nil {
				return nil, at(words[i], err)
			}
			set = append(set, pair)
			continue
		}
		if key == "set" {
			return nil, at(words[i], errors.New("write fields of memberlist as they are: SuspicionMult=2, without set="))
		}
		if err := checkSetting(key, value); err != nil {
			return nil, at(words[i], err)
		}
		settings[key] = value
	}
	if len(set) > 0 {
		settings["set"] = strings.Join(set, ",")
	}
	return settings, nil
}

// theirs are settings that an engine makes itself.
var theirs = []string{"bind", "chat-bind", "advertise", "bootstrap"}

// checkSetting says what is wrong with a flag of peer run.
func checkSetting(key, value string) error {
	if slices.Contains(theirs, key) {
		return fmt.Errorf("%s is set by the engine", key)
	}
	return new(peer.Config).Configure(map[string]string{key: value})
}

// checkPeer says what a peer with these settings would refuse.
func checkPeer(settings map[string]string) error {
	conf := peer.Config{Name: "peer"}
	if err := conf.Configure(settings); err != nil {
		return err
	}
	conf.State = "" // of which New would make a directory
	_, err := peer.New(conf)
	return err
}

// meant names what was probably meant, or else what there is.
func meant(word string, names []string) string {
	if near := nearest.To(word, names); len(near) > 0 {
		return "did you mean " + strings.Join(near, ", ") + "?"
	}
	return "there are " + strings.Join(names, ", ")
}
