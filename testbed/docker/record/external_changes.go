package record

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"peerlab/event"
	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
)

// recordExternal records what Docker tells that others have done to one of the members.
func (rec *Recorder) recordExternal(msg events.Message, members map[string]dockerd.Member) {
	if msg.Type == events.NetworkEventType || msg.Action == events.ActionStart {
		rec.checkNetwork(msg, members)
	}
	m, ours := members[msg.Actor.ID]
	if !ours {
		return
	}
	e, isExternal := rec.external.Decode(msg, m.Peer)
	if !isExternal {
		return
	}
	if e.Kind == testbed.LabThrottle {
		var changed bool
		if e.Text, changed = rec.newThrottle(m.ID); !changed {
			return
		}
	}
	rec.history.Record(e)
}

// newThrottle returns how many processors a container may use, as Throttle was
// given it, and whether that is news: Docker tells of a change of whatever limit
// in the same words.
func (rec *Recorder) newThrottle(id string) (cpus string, changed bool) {
	cpus, err := rec.processorsOf(rec.ctx, id)
	if err != nil {
		return "", false // it is gone
	}
	return cpus, rec.NoteThrottle(id, cpus)
}

// NoteThrottle notes how many processors a container may use, and reports
// whether it was another number. At first a container may use all.
func (rec *Recorder) NoteThrottle(id, cpus string) (changed bool) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	before, known := rec.throttles[id]
	rec.throttles[id] = cpus
	return known && cpus != before || !known && cpus != unthrottled
}

// unthrottled is how many processors a container may use that may use all.
const unthrottled = "0"

// processors returns how many processors a container may use.
func (rec *Recorder) processorsOf(ctx context.Context, id string) (string, error) {
	info, err := rec.daemon.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return "", fmt.Errorf("look at a container: %w", err)
	}
	return Processors(resourcesOf(info)), nil
}

func resourcesOf(info client.ContainerInspectResult) api.Resources {
	if info.Container.HostConfig == nil {
		return api.Resources{}
	}
	return info.Container.HostConfig.Resources
}

// Processors is what limits allow: docker update --cpus sets another one of them
// than Throttle.
func Processors(r api.Resources) string {
	switch {
	case r.NanoCPUs > 0:
		return strconv.FormatFloat(float64(r.NanoCPUs)/1e9, 'g', -1, 64)
	case r.CPUQuota > 0 && r.CPUPeriod > 0:
		return strconv.FormatFloat(float64(r.CPUQuota)/float64(r.CPUPeriod), 'g', -1, 64)
	}
	return unthrottled
}

// checkNetwork records whether members that run have left the network of their
// cluster, or have come back to it, if Docker tells of something that may be that:
// it tells of the end of a container in the same words. Members has all that it
// told of before.
func (rec *Recorder) checkNetwork(msg events.Message, members map[string]dockerd.Member) {
	id := msg.Actor.ID
	if msg.Type == events.NetworkEventType {
		id = msg.Actor.Attributes["container"]
	}
	before, ours := members[id]
	if !ours {
		if msg.Action == events.ActionConnect {
			rec.checkStranger(msg.Actor.Attributes["name"], members)
		}
		return
	}
	if before.Network == "" || msg.Type == events.NetworkEventType && msg.Actor.Attributes["name"] != before.Network {
		return // another network
	}
	rec.mu.Lock()
	_, wasOff := rec.off[id]
	rec.mu.Unlock()
	if msg.Action != events.ActionDisconnect && !before.OffNetwork && !wasOff {
		return // each container that starts is connected
	}
	// Docker tells of it before its list of containers has it: an answer about the
	// container itself waits for that.
	info, err := rec.daemon.API.ContainerInspect(rec.ctx, id, client.ContainerInspectOptions{})
	if err != nil || info.Container.State == nil {
		if err != nil && rec.ctx.Err() == nil && !errdefs.IsNotFound(err) {
			rec.Problem("", err)
		}
		return
	}
	now := before
	now.State = dockerd.StateOf(info.Container.State.Status)
	var on *network.EndpointSettings
	if info.Container.NetworkSettings != nil {
		on = info.Container.NetworkSettings.Networks[before.Network]
	}
	if now.OffNetwork = on == nil; !now.OffNetwork {
		now.Addr = dockerd.AddrOf(on)
	}
	members[id] = now
	rec.noteNetwork(now, time.Unix(0, msg.TimeNano))
}

// noteNetwork records that a member is off its network, or on it again, if that
// is news.
func (rec *Recorder) noteNetwork(m dockerd.Member, at time.Time) {
	isOff := m.OffNetwork && m.State != testbed.Stopped
	rec.mu.Lock()
	_, wasOff := rec.off[m.ID]
	network := cmp.Or(rec.off[m.ID], m.Network)
	if isOff {
		rec.off[m.ID] = network
	} else if !m.OffNetwork {
		delete(rec.off, m.ID)
	}
	rec.mu.Unlock()
	switch {
	case isOff && !wasOff:
		rec.history.Record(event.Event{Time: at, Kind: testbed.LabDisconnect, Member: m.Name, Text: network})
	case wasOff && !m.OffNetwork:
		rec.history.Record(event.Event{Time: at, Kind: testbed.LabConnect, Member: m.Name, Addr: m.Addr.String(), Text: network})
	}
}

// checkStranger looks at who came to a network that may be the cluster's: with
// the address of a member, links would be those of the two.
func (rec *Recorder) checkStranger(name string, members map[string]dockerd.Member) {
	all := slices.Collect(maps.Values(members))
	if name == "" || dockerd.NetworkOf(all) != name {
		return
	}
	info, err := rec.daemon.API.NetworkInspect(rec.ctx, name, client.NetworkInspectOptions{})
	if err == nil {
		err = CheckAddresses(all, info.Network)
	}
	if err != nil && rec.ctx.Err() == nil && !errdefs.IsNotFound(err) {
		rec.Problem("", err)
	}
}

// CheckAddresses returns an error if somebody who is no member has the address of a
// member, as of one that does not run.
func CheckAddresses(members []dockerd.Member, n network.Inspect) error {
	for id, e := range n.Containers {
		for _, m := range members {
			if m.Addr.IsValid() && m.Addr == e.IPv4Address.Addr() && m.ID != id {
				return fmt.Errorf("links %w: the container %s has the address of %s, %s: what is done to links would be done to it; disconnect it from the network %s", testbed.ErrUnable, clip(e.Name), m.Name, m.Addr, n.Name)
			}
		}
	}
	return nil
}
