package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"peerlab/testbed"
	"peerlab/testbed/settings"
)

// nothing is what a line does that only says how things are to be.
func nothing(context.Context, *run, io.Writer) error { return nil }

// setting are the verbs that say what the scenario is about.
func setting() []verb {
	return []verb{
		{
			name: "arm", early: true, args: "NAME [VAR=value…]",
			short: "run the scenario once for each arm, with these variables",
			detail: "Arms compare a cluster with and without something. Each is a run of its own with a clean start. " +
				"[arm:NAME] before a command limits it to one.",
			example: "arm alone REJOIN=0",
			parse: func(sc *scene, a args) (action, error) {
				_, err := parseArm(a)
				return nothing, err
			},
		},
		{
			name: "set", early: true, args: "VAR=value…", short: "set variables, unless --set or the arm has",
			detail: "$VAR or ${VAR} later in the file is replaced by the value, outside single quotes.", example: "set LOSS=20%",
			parse: func(sc *scene, a args) (action, error) {
				if len(a.text) == 0 {
					return nil, errors.New("want VAR=value")
				}
				for i, w := range a.text {
					set, err := ParseSet([]string{w})
					if err != nil {
						return nil, at(a.words[i], err)
					}
					for name, value := range set {
						_, given := sc.given[name]
						_, armed := sc.arm.vars[name]
						if !given && !armed {
							sc.vars[name] = value
						}
					}
				}
				return nothing, nil
			},
		},
		{
			name: "cluster", early: true, args: "N|NAME… [key=value…]", short: "the peers and their settings",
			detail: "A number takes as many of the usual names: alice, bob, charly, …. Keys in lower case are flags of peer run, such as rejoin=0 or broadcast-retransmit=1; " +
				"those with a capital letter are fields of memberlist's configuration, such as SuspicionMult=2. The profile is local unless profile= says lan or wan. " +
				"What the cluster line leaves open is in result.json, under used. " +
				"With local gossip now and then misses somebody who then learns of another from a push/pull, up to 45 s later: await that with $PUSHPULL*3, or say RetransmitMult=4. " +
				"In virtual time each peer begins within a second of its start, when the seed says, and so probes at a moment of its own; phase=aligned has it begin at once, in step with the others. " +
				"Nothing runs before start, but for the bootstrap service.",
			example: "cluster 5 profile=lan rejoin=0 SuspicionMult=2",
			parse:   parseCluster,
		},
		{
			name: "peer", args: "NAME key=value…", short: "settings of one peer, on top of the cluster's",
			detail: "name= has a peer call itself something else: two peers can claim one name.", example: "peer dave name=charly",
			parse: parsePeer,
		},
		{
			name: "skip", early: true, args: "REASON…", rest: isText, short: "end the scenario here: it cannot be told (verdict inconclusive)",
			detail: "Makes sense after a condition in brackets.", example: "[!netem] skip 'this needs delays'",
			parse: func(_ *scene, a args) (action, error) {
				if strings.TrimSpace(strings.Join(a.text, " ")) == "" {
					return nil, errors.New("want a reason")
				}
				return func(context.Context, *run, io.Writer) error { return &skipped{strings.Join(a.text, " ")} }, nil
			},
		},
	}
}

func parseArm(a args) (arm, error) {
	if len(a.text) == 0 {
		return arm{}, errors.New("want a name, and what it sets")
	}
	if err := testbed.CheckName(a.text[0]); err != nil {
		return arm{}, at(a.words[0], err)
	}
	made := arm{name: a.text[0], vars: map[string]string{}}
	for i, w := range a.text[1:] {
		set, err := ParseSet([]string{w})
		if err != nil {
			return arm{}, at(a.words[i+1], err)
		}
		for name, value := range set {
			made.vars[name] = value
		}
	}
	return made, nil
}

// numberWords are what somebody writes who means a number of peers.
var numberWords = []string{"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twenty", "hundred"}

func parseCluster(sc *scene, a args) (action, error) {
	if sc.defined {
		return nil, errors.New("there is one cluster already: a scenario has one cluster line")
	}
	n := slices.IndexFunc(a.text, func(w string) bool { return strings.Contains(w, "=") })
	if n < 0 {
		n = len(a.text)
	}
	if n == 0 {
		return nil, errors.New("want a number of peers, or their names")
	}
	peers := a.text[:n]
	if n == 1 && slices.Contains(numberWords, peers[0]) {
		return nil, at(a.words[0], fmt.Errorf("%q: want a number in digits, such as 5, or the names of several peers", peers[0]))
	}
	if count, err := strconv.Atoi(peers[0]); err == nil && n == 1 {
		if count < 1 || count > testbed.MaxPeers {
			return nil, at(a.words[0], fmt.Errorf("%d peers: want 1 to %d", count, testbed.MaxPeers))
		}
		peers = testbed.Names(count)
	} else {
		for i, name := range peers {
			if name != "" && name[0] >= '0' && name[0] <= '9' {
				return nil, at(a.words[i], fmt.Errorf("%q: want one number of peers, or names that begin with a letter", name))
			}
			if err := sc.checkPeerName(name, peers[:i]); err != nil {
				return nil, at(a.words[i], err)
			}
		}
	}
	// Whatever is wrong with the settings, the lines after this one can be checked.
	sc.spec.Peers, sc.spec.Own, sc.defined = slices.Clone(peers), map[string]map[string]string{}, true
	sc.stop(peers)
	of, err := sc.parseSettings(a.words[n:], a.text[n:])
	if err != nil {
		return nil, err
	}
	if of["name"] != "" {
		return nil, errors.New("name= would give all peers one name: write it into a peer line")
	}
	if err := sc.define(of); err != nil {
		for i, w := range a.text[n:] { // it may be about one of them
			if key, _, _ := strings.Cut(w, "="); strings.Contains(err.Error(), key) {
				return nil, at(a.words[n+i], err)
			}
		}
		return nil, err
	}
	return nothing, nil
}

// checkPeerName says why a peer cannot have a name.
func (sc *scene) checkPeerName(name string, others []string) error {
	if err := testbed.CheckName(name); err != nil {
		return err
	}
	_, isVerb := sc.verbs[name]
	switch {
	case isVerb:
		return fmt.Errorf("a peer cannot be called %s: that is a verb", name)
	case slices.Contains([]string{testbed.Bootstrap, testbed.Lab, testbed.Rest, all, "nobody"}, name):
		return fmt.Errorf("a peer cannot be called %s: the word has a meaning of its own", name)
	case slices.Contains(others, name):
		return fmt.Errorf("%s is there twice", name)
	}
	return nil
}

func parsePeer(sc *scene, a args) (action, error) {
	if len(a.text) < 2 {
		return nil, errors.New("want the name of a peer, and its settings as key=value")
	}
	if sc.begun {
		return nil, errors.New("peers have been started: settings come before that")
	}
	names, err := sc.peers(a.text[:1])
	if err != nil {
		return nil, at(a.words[0], err)
	}
	own, err := sc.parseSettings(a.words[1:], a.text[1:])
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		all := sc.spec.Own[name]
		if all == nil {
			all = map[string]string{}
			sc.spec.Own[name] = all
		}
		for key, value := range own {
			// The cluster's fields stay, for this setting is all of them.
			if key == "set" {
				value = strings.TrimPrefix(sc.spec.Of(name)["set"]+","+value, ",")
			}
			all[key] = value
		}
		if sc.mistakes.cluster { // the settings below these are not known
			continue
		}
		if err := settings.CheckPeer(name, sc.spec.Of(name), sc.spec.Files); err != nil {
			return nil, err
		}
	}
	return nothing, nil
}
