package scenarios

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"peerlab/internal/suggest"
	"peerlab/observe/theory"
	"peerlab/testbed"
	"peerlab/testbed/settings"
)

// scene is what is known at one line of a scenario before anything runs: the
// cluster, the variables, the links. Compiling walks through it once.
type scene struct {
	verbs    map[string]verb
	possible func(testbed.Links) error // what the engine can do; nil when none is chosen
	owned    map[string]string         // settings that the engine chooses, with the reason
	arm      arm

	given map[string]string // what --set says
	vars  map[string]string

	spec    testbed.Spec
	defined bool // by a cluster line
	// asksTests says that a line asks a peer how its testfilters stand.
	asksTests bool
	begun     bool            // something runs: the cluster is what it is
	stopped   map[string]bool // peers that certainly do not run
	// inactive says that the line is left out here: it is checked as such, but not
	// whether it can come true.
	inactive bool
	marks    []string        // the texts of the marks so far
	ends     map[string]bool // peers that may end by themselves, for the scenario says so
	links    testbed.Links

	mistakes mistakes // of the lines so far

	beside  *beside           // nil: it is not looked at
	files   map[string]string // that lines name
	secrets secrets           // in lines for peers; shared with what runs

	uses  map[string]bool // verbs, and forms of conditions
	least time.Duration   // that the lines so far take if all comes true at once
}

// arm is one way to run a scenario: its name, and what it sets.
type arm struct {
	name string
	vars map[string]string
}

// newScene begins a scenario for an engine, or for whichever there is.
func newScene(f testbed.Factory, arm arm, given map[string]string) *scene {
	owned := settings.Owned()
	if f != nil {
		owned = f.Owned()
	}
	sc := &scene{verbs: verbTable(), owned: owned, arm: arm, given: given, vars: map[string]string{}, ends: map[string]bool{}, stopped: map[string]bool{}, links: testbed.Links{}, files: map[string]string{}, uses: map[string]bool{}, secrets: secrets{}}
	maps.Copy(sc.vars, arm.vars)
	maps.Copy(sc.vars, given)
	return sc
}

// clone copies what verbs change.
func (sc *scene) clone() *scene {
	c := *sc
	c.vars, c.links, c.ends, c.uses = maps.Clone(sc.vars), maps.Clone(sc.links), maps.Clone(sc.ends), maps.Clone(sc.uses)
	c.mistakes, c.stopped = sc.mistakes.clone(), maps.Clone(sc.stopped)
	c.marks = slices.Clip(sc.marks)
	c.spec.Own = maps.Clone(sc.spec.Own)
	for name, own := range c.spec.Own {
		c.spec.Own[name] = maps.Clone(own)
	}
	return &c
}

// define gives the cluster the settings of its line.
func (sc *scene) define(of map[string]string) error {
	if of["profile"] == "" {
		of["profile"] = "local"
	}
	sc.spec.Settings = of
	if err := settings.CheckPeer("peer", of, sc.spec.Files); err != nil {
		return err
	}
	m, err := sc.model()
	if err != nil {
		return err
	}
	for _, c := range computed() {
		sc.vars[c.name] = c.value(m).String()
	}
	sc.vars["N"] = strconv.Itoa(len(sc.spec.Peers))
	return nil
}

// model is the cluster as theory knows it.
func (sc *scene) model() (theory.Model, error) {
	return settings.Model(sc.spec.Settings, len(sc.spec.Peers))
}

// parseSettings reads key=value words: flags of peer run in lower case, fields
// of memberlist's configuration with their capital letter.
func (sc *scene) parseSettings(words []word, text []string) (map[string]string, error) {
	parsed := map[string]string{}
	var set []string
	var wrong Problems
	seen := map[string]bool{}
	for i, pair := range text {
		key, value, ok := strings.Cut(pair, "=")
		switch {
		case !ok || key == "":
			wrong = append(wrong, at(words[i], fmt.Errorf("%q: want key=value, such as profile=lan or SuspicionMult=2", pair)))
			continue
		case seen[key]:
			wrong = append(wrong, at(words[i], fmt.Errorf("%s is given twice", key)))
			continue
		}
		seen[key] = true
		if err := sc.checkSetting(key, value); err != nil {
			wrong = append(wrong, at(words[i], err))
			continue
		}
		if unicode.IsUpper(rune(key[0])) {
			set = append(set, pair)
			continue
		}
		parsed[key] = value
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	if len(set) > 0 {
		parsed["set"] = strings.Join(set, ",")
	}
	return parsed, nil
}

// checkSetting says what is wrong with one setting of a cluster or a peer. It
// reads the file of secrets that one names.
func (sc *scene) checkSetting(key, value string) error {
	switch {
	case unicode.IsUpper(rune(key[0])):
		return settings.CheckField(key, value)
	case key == "set":
		return errors.New("write fields of memberlist as they are: SuspicionMult=2, without set=")
	}
	if err := settings.CheckSetting(sc.owned, key, value); err != nil {
		return err
	}
	if key == "chat-secret-file" {
		return sc.giveSecrets(value)
	}
	return nil
}

// giveSecrets reads a file of secrets that is beside the scenario.
func (sc *scene) giveSecrets(name string) error {
	switch {
	case filepath.IsAbs(name) || sc.beside == nil: // in the peer's image
		return nil
	case !filepath.IsLocal(name):
		return fmt.Errorf("%s: want a file beside the scenario", name)
	}
	text, err := sc.beside.file(filepath.ToSlash(filepath.Clean(name)))
	if err != nil {
		return &fileError{name, err}
	}
	if sc.spec.Files == nil {
		sc.spec.Files = map[string]string{}
	}
	sc.spec.Files[name] = text
	return nil
}

// meant names what was probably meant, or else what there is.
func meant(word string, names []string) string {
	if near := suggest.Similar(word, names); len(near) > 0 {
		return "did you mean " + strings.Join(near, ", ") + "?"
	}
	return "there are " + strings.Join(names, ", ")
}
