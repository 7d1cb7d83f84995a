package docker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
)

// TestHistoryOfOthers has one engine do things and another one, and later a
// third, tell of them.
func TestHistoryOfOthers(t *testing.T) {
	c := create(t, options("alice", "bob"))
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c.History()
	must(c.Start(ctx, testbed.Bootstrap, "alice", "bob"))
	watching, err := Find(ctx, daemon, c.Name())
	must(err)
	defer watching.Close(ctx)
	await(t, watching, 0, "the start of bob, which was before", about(testbed.Lab, testbed.LabStart, "bob"))

	must(c.Pause(ctx, "bob"))
	must(c.Resume(ctx, "bob"))
	must(c.Throttle(ctx, 0.5, "bob"))
	cut := links(t, "alice -> bob drop=udp")
	must(c.SetLinks(ctx, cut))
	must(c.SetLinks(ctx, nil))
	must(c.Kill(ctx, "bob"))
	must(c.Start(ctx, "bob"))
	// Not through any engine at all.
	members, err := c.pick(ctx, []string{"alice"})
	must(err)
	_, err = daemon.API.ContainerKill(ctx, members[0].ID, client.ContainerKillOptions{Signal: "KILL"})
	must(err)

	want := []string{
		"lab.start bootstrap", "lab.start alice", "lab.start bob", "lab.pause bob", "lab.resume bob", "lab.throttle bob 0.5",
		"lab.cut alice -> bob drop=udp", "lab.heal", "lab.kill bob", "lab.start bob", "lab.kill alice",
	}
	told := func(all []event.Event) (lines []string) {
		for _, e := range testbed.Sorted(all) {
			switch {
			case e.Peer != testbed.Lab || e.Kind == testbed.LabProbe:
			case e.Kind == testbed.LabError:
				t.Errorf("%s: %s", e.Member, e.Error)
			default:
				lines = append(lines, strings.Join(strings.Fields(fmt.Sprint(e.Kind, " ", e.Member, " ", e.Text)), " "))
			}
		}
		return lines
	}
	check := func(who string, lines []string, exact bool) {
		t.Helper()
		for _, lines := range [][]string{lines[:min(3, len(lines))], want[:3]} {
			slices.Sort(lines) // they were started together
		}
		if !exact { // what the processors were is not remembered
			for i, line := range want {
				want[i] = strings.TrimSuffix(line, " 0.5")
			}
		}
		if !slices.Equal(lines, want) {
			t.Errorf("%s tells\n%s\nwant\n%s", who, strings.Join(lines, "\n"), strings.Join(want, "\n"))
		}
	}
	for who, engine := range map[string]*Cluster{"the engine that did it": c, "another": watching} {
		await(t, engine, 0, who+" tells of the kill", about(testbed.Lab, testbed.LabKill, "alice"))
		// The links come by another way.
		await(t, engine, 0, who+" tells of the heal", of(testbed.LabHeal))
		check(who, told(engine.since(0)), true)
	}
	later, err := Find(ctx, daemon, c.Name())
	must(err)
	defer later.Close(ctx)
	reported, err := later.Reported(ctx)
	must(err)
	check("one that comes later", told(reported), false)
}
