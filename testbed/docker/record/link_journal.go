package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"

	"peerlab/event"
	"peerlab/testbed"
)

// maxChange is the longest line of an agent's journal, in bytes: one that has a
// link of its own for each pair of 1,000 peers fits.
const maxChange = 64 << 20

// decodeLinkChanges reads the changes of links from what an agent wrote, with names in
// place of addresses, and calls add with each. What changes nothing, such as a lease
// or the address of a peer that moved, is left out. Of what else the agent wrote, the
// first line is a problem, and so are changes that are missing.
func decodeLinkChanges(log io.Reader, names func() map[netip.Addr]string, add func(testbed.Links, time.Time), problem func(error)) error {
	bad := false
	refuse := func(err error) {
		if !bad {
			problem(fmt.Errorf("what the fabric's agent tells: %s", clip(err.Error())))
		}
		bad = true
	}
	last := uint64(0)
	var before testbed.Links
	w := lineWriter{
		limit: maxChange,
		line: func(line []byte) {
			e, links, err := parseChange(line)
			if err != nil {
				refuse(err)
				return
			}
			links = byName(links, names())
			changes := before.Changed(links) > 0
			if e.Seq != last+1 {
				problem(fmt.Errorf("change %d of links came after %d: what was between is lost, as by a rotation of Docker's log", e.Seq, last))
				changes = true
			}
			if last, before = e.Seq, links; changes {
				add(links, e.Time)
			}
		},
		long: func() { refuse(fmt.Errorf("a change of more than %d MiB was dropped", maxChange>>20)) },
	}
	if _, err := stdcopy.StdCopy(&w, io.Discard, log); err != nil {
		return fmt.Errorf("read what was done to links: %w", err)
	}
	return nil
}

// parseChange parses a line of an agent's journal.
func parseChange(line []byte) (e event.Event, links testbed.Links, err error) {
	if err = json.Unmarshal(line, &e); err == nil {
		links, err = testbed.ParseLinks(e.Text)
	}
	switch {
	case err != nil:
	case e.Kind != links.Kind():
		err = fmt.Errorf("%q is no change of links", clip(string(e.Kind)))
	case e.Time.IsZero():
		err = errors.New("a change of links without a time")
	}
	return e, links, err
}

// byName puts names in place of addresses. Where nobody is now, the address
// stays.
func byName(links testbed.Links, names map[netip.Addr]string) testbed.Links {
	name := func(addr string) string {
		if parsed, err := netip.ParseAddr(addr); err == nil && names[parsed] != "" {
			return names[parsed]
		}
		return addr
	}
	named := make(testbed.Links, len(links))
	for pair, link := range links {
		named[testbed.Pair{From: name(pair.From), To: name(pair.To)}] = link
	}
	return named
}
