package sim

import (
	"testing"
	"time"

	"peerlab/testbed"
)

func TestFivePeers(t *testing.T) {
	simulate(t, 5, map[string]string{"profile": "local"}, func(l *lab) {
		l.up()
		victim, others := l.names[4], l.names[:4]
		l.must(l.Kill(l.ctx, victim))
		took := l.await(time.Minute, "the killed is dead", func(v view) bool { return v.all(others, "dead", []string{victim}) })
		t.Logf("killed and found dead by all after %s", took)
		l.must(l.Start(l.ctx, victim))
		l.await(time.Minute, "back", func(v view) bool { return v.all(l.names, "alive", l.names) })
		links, err := testbed.Partition(l.names[:2], l.names[2:])
		l.must(err)
		l.must(l.SetLinks(l.ctx, links))
		l.await(2*time.Minute, "both sides hold each other dead", func(v view) bool {
			return v.all(l.names[:2], "dead", l.names[2:]) && v.all(l.names[2:], "dead", l.names[:2])
		})
		l.must(l.SetLinks(l.ctx, nil))
		took = l.await(time.Minute, "healed", func(v view) bool { return v.all(l.names, "alive", l.names) })
		t.Logf("healed after %s", took)
		l.must(l.Stop(l.ctx, victim))
		l.await(time.Minute, "the stopped has left", func(v view) bool { return v.all(others, "left", []string{victim}) })
	})
}
