package dockerd

import (
	"context"
	"time"

	"peerlab/testbed"
)

// Origin is what started a cluster.
type Origin string

// The origins of a cluster.
const (
	ByPeerlab Origin = "peerlab" // peerlab up, or another program, which left it
	ByRun     Origin = "run"     // a run or a test, at whose end it goes
	ByCompose Origin = "compose"
	ByHand    Origin = "hand" // docker run
)

// Summary is one cluster among all there are.
type Summary struct {
	Name string `json:"name"`
	// Peers is how many there are without the bootstrap service, Running how many
	// of them run, and Paused how many do but are frozen.
	Peers   int `json:"peers"`
	Running int `json:"running"`
	Paused  int `json:"paused"`
	// Created is when its first container was made.
	Created time.Time `json:"created"`
	Origin  Origin    `json:"origin"`
}

// Summaries returns all clusters there are, by name.
func (d *Daemon) Summaries(ctx context.Context) ([]Summary, error) {
	members, err := d.List(ctx, "")
	if err != nil {
		return nil, err
	}
	return summarize(members), nil
}

// summarize counts the members of each cluster; those of one stand together.
func summarize(members []Member) (all []Summary) {
	for _, m := range members {
		if len(all) == 0 || all[len(all)-1].Name != m.Cluster {
			all = append(all, Summary{Name: m.Cluster, Created: time.Unix(m.Created, 0), Origin: m.Origin})
		}
		s := &all[len(all)-1]
		if created := time.Unix(m.Created, 0); created.Before(s.Created) {
			s.Created = created
		}
		if m.Name == testbed.Bootstrap {
			continue
		}
		s.Peers++
		switch m.State {
		case testbed.Running:
			s.Running++
		case testbed.Paused:
			s.Paused++
		}
	}
	return all
}
