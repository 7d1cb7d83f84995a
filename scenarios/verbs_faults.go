package scenarios

import (
	"strings"
	"time"

	"peerlab/testbed"
)

const arrows = "A -> B is the packets from A to B, A <-> B those of both directions; either side may be several peers, all, rest (those not on the other side), or bootstrap."

// faults are the verbs for the links between peers.
func faults() []verb {
	return []verb{
		{
			name: "partition", args: "PEER… / PEER… [/ rest] [for=DURATION]", short: "cut every link between peers of different groups",
			detail: "It states the whole division and replaces the partition before it; cuts and degraded links stay. A peer in no group can reach everyone. " +
				"The bootstrap service is in no group unless it is named.",
			example: "partition alice,bob / rest",
			parse:   parseLinks("partition"),
		},
		{
			name: "cut", args: "A -> B [drop=udp|tcp] [for=DURATION]", short: "let no packet pass, or none of one protocol", detail: "It adds to what is cut or degraded already. " + arrows, example: "cut alice -> bob",
			parse: parseLinks("cut"),
		},
		{
			name: "link", args: "A -> B key=value… [for=DURATION]", short: "degrade links",
			detail:  arrows + " Keys: " + linkKeys() + ". Each replaces the value that its key had, and loss=0 takes a loss away; keys that are not named stay.",
			example: "link alice <-> rest loss=20% delay=50ms±10ms",
			parse:   parseLinks("link"),
		},
		{
			name: "heal", args: "[PEER…|A -> B]", short: "heal all links, those of some peers, or those named", detail: arrows, example: "heal",
			parse: parseLinks("heal"),
		},
	}
}

// linkKeys lists the keys of a link, each with what it does.
func linkKeys() string {
	var texts []string
	for _, key := range testbed.LinkKeys() {
		texts = append(texts, key.Example+" ("+key.Text+")")
	}
	return strings.Join(texts, ", ")
}

// parseLinks makes the parser of a verb that changes links.
func parseLinks(verb string) func(sc *scene, a args) (action, error) {
	return func(sc *scene, a args) (action, error) {
		limit := time.Duration(0)
		if verb != "heal" { // which nothing undoes
			var err error
			if a, limit, err = sc.limited(a); err != nil {
				return nil, err
			}
		}
		change, err := testbed.ParseLinksChange(verb, a.text, sc.roster(testbed.Bootstrap), false)
		if err != nil {
			return nil, err
		}
		links, err := change(sc.links)
		if err != nil {
			return nil, err
		}
		return sc.setLinks(links, limit)
	}
}
