package scenarios

import (
	"errors"

	"peerlab/testbed"
)

const arrows = "A -> B is the packets from A to B, A <-> B those of both directions; either side may be several peers, all, rest (who is not on the other side), or bootstrap."

// faults are the verbs for the links between peers.
func faults() []verb {
	return []verb{
		{
			name: "partition", args: "PEER… / PEER… [/ rest] [for=DURATION]", short: "cut every link between peers of different groups",
			detail: "On top of what is cut already. Who is in no group keeps all links. The bootstrap service is in no group unless it is named.", example: "partition alice,bob / rest",
			parse: func(sc *scene, a args) (action, error) {
				a, limit, err := sc.limited(a)
				if err != nil {
					return nil, err
				}
				words, err := sc.ranges(a.text)
				if err != nil {
					return nil, err
				}
				groups, err := testbed.ParseGroups(words, sc.spec.Peers)
				if err != nil {
					return nil, err
				}
				cut, err := testbed.Partition(groups...)
				if err != nil {
					return nil, err
				}
				return sc.setLinks(sc.links.Over(cut), limit)
			},
		},
		{
			name: "cut", args: "A -> B [for=DURATION]", short: "let no packet pass", detail: arrows, example: "cut alice -> bob",
			parse: func(sc *scene, a args) (action, error) {
				a, limit, err := sc.limited(a)
				if err != nil {
					return nil, err
				}
				pairs, options, err := sc.pairs(a.text)
				if err == nil && len(options) > 0 {
					err = errors.New("cut takes no option: link A -> B drop=udp cuts a part")
				}
				if err != nil {
					return nil, err
				}
				return sc.setLinks(sc.links.Over(alike(pairs, testbed.Link{Drop: testbed.DropAll})), limit)
			},
		},
		{
			name: "link", args: "A -> B key=value… [for=DURATION]", short: "degrade links",
			detail: arrows + " Keys: drop=udp|tcp|all, over=BYTES (an MTU black hole), loss=20%, delay=50ms or delay=50ms±10ms, reorder=5%, duplicate=5%, corrupt=1%, rate=1mbit. " +
				"What is set already and not named stays.",
			example: "link alice <-> rest loss=20% delay=50ms±10ms",
			parse: func(sc *scene, a args) (action, error) {
				a, limit, err := sc.limited(a)
				if err != nil {
					return nil, err
				}
				pairs, options, err := sc.pairs(a.text)
				if err != nil {
					return nil, err
				}
				link, err := testbed.ParseLink(options)
				if err != nil {
					return nil, err
				}
				return sc.setLinks(sc.links.Over(alike(pairs, link)), limit)
			},
		},
		{
			name: "heal", args: "[A -> B]", short: "heal all links, or those named", detail: arrows, example: "heal",
			parse: func(sc *scene, a args) (action, error) {
				if len(a.text) == 0 {
					return sc.setLinks(testbed.Links{}, 0)
				}
				pairs, options, err := sc.pairs(a.text)
				if err == nil && len(options) > 0 {
					err = errors.New("heal takes no option: it heals a link altogether")
				}
				if err != nil {
					return nil, err
				}
				return sc.setLinks(sc.links.Without(pairs...), 0)
			},
		},
	}
}

// alike gives all pairs one link.
func alike(pairs []testbed.Pair, link testbed.Link) testbed.Links {
	links := make(testbed.Links, len(pairs))
	for _, p := range pairs {
		links[p] = link
	}
	return links
}
