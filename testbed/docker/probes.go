package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/fabric"
)

// probe is a container in the network of a peer, for one life of the peer: the
// next has another network.
type probe struct {
	*fabric.Prober
	id   string
	life string
}

// probers returns a prober for each of the peers that run, starting those
// there are not yet. They stay for as long as the cluster is used.
func (c *Cluster) probers(ctx context.Context, peers []dockerd.Member) (map[netip.Addr]*fabric.Prober, error) {
	if err := c.watchProbes(); err != nil {
		return nil, err
	}
	all := make([]*probe, len(peers))
	err := dockerd.Each(peers, func(i int, m dockerd.Member) (err error) {
		c.mu.Lock()
		old := c.wires.probes[m.Name]
		c.mu.Unlock()
		life, err := c.life(ctx, m.ID)
		if errors.Is(err, testbed.ErrStopped) {
			return nil
		}
		if err != nil {
			return err
		}
		if old != nil {
			if old.life == life && !old.Ended() {
				all[i] = old
				return nil
			}
			c.dropProbe(m.Name, old)
		}
		p, err := c.startProbe(ctx, m, life)
		if err != nil {
			if _, gone := c.life(ctx, m.ID); errors.Is(gone, testbed.ErrStopped) {
				return nil // somebody was faster
			}
			return fmt.Errorf("start a probe beside %s: %w", m.Name, err)
		}
		all[i] = p
		c.mu.Lock()
		defer c.mu.Unlock()
		c.wires.probes[m.Name] = p
		return nil
	})
	if err != nil {
		return nil, err
	}
	probers := make(map[netip.Addr]*fabric.Prober, len(peers))
	for i, m := range peers {
		if all[i] != nil {
			probers[m.Addr] = all[i].Prober
		}
	}
	return probers, nil
}

// life names the time from a start of a container to its end, at which it is
// an ErrStopped.
func (c *Cluster) life(ctx context.Context, id string) (string, error) {
	info, err := c.daemon.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return "", fmt.Errorf("look at a container: %w", err)
	}
	if !info.Container.State.Running { // which a paused one does, too
		return "", testbed.ErrStopped
	}
	return id + " " + info.Container.State.StartedAt, nil
}

// watchProbes sees to it that no probe outlives this program: one that runs
// ends with its standard input, but not one that is only about to.
func (c *Cluster) watchProbes() (err error) {
	w := &c.wires
	if w.run != "" {
		return nil
	}
	if c.made != nil {
		w.run = c.made.run
		return nil
	}
	run := dockerd.NewRunID()
	if w.watchdog, err = dockerd.StartWatchdog(run, c.daemon.Endpoint()); err == nil {
		w.run = run
	}
	return err
}

func (c *Cluster) startProbe(ctx context.Context, m dockerd.Member, life string) (_ *probe, err error) {
	labels := map[string]string{
		dockerd.ClusterLabel: c.name, dockerd.HelperLabel: dockerd.ProbeHelper, dockerd.RunLabel: c.wires.run, dockerd.OwnerLabel: string(dockerd.ThisProcess()),
	}
	id, err := createHelper(ctx, c.daemon, "", labels, probeConfig(c.fabricImage()),
		&api.HostConfig{NetworkMode: api.NetworkMode("container:" + m.ID), LogConfig: api.LogConfig{Type: "none"}},
	)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.daemon.RemoveContainer(context.WithoutCancel(ctx), id))
		}
	}()
	prober, err := beginProbe(ctx, c.daemon, id)
	if err != nil {
		return nil, err
	}
	return &probe{Prober: prober, id: id, life: life}, nil
}

// probeConfig is the container of a probe: it ends with its standard input.
func probeConfig(image string) *api.Config {
	return &api.Config{
		Image: image, Cmd: []string{"probe"}, User: "65532:65532",
		AttachStdin: true, AttachStdout: true, AttachStderr: true, OpenStdin: true, StdinOnce: true,
	}
}

// beginProbe starts the container of a probe and returns when that answers.
func beginProbe(ctx context.Context, d *dockerd.Daemon, id string) (*fabric.Prober, error) {
	attached, err := d.API.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, err
	}
	prober := fabric.NewProber(newProbeStream(attached.HijackedResponse))
	if _, err = d.API.ContainerStart(ctx, id, client.ContainerStartOptions{}); err == nil {
		err = prober.Wait(ctx)
	}
	if err != nil {
		_ = prober.Close()
		return nil, err
	}
	return prober, nil
}

// Measure sends packets from one peer to another and says what became of them,
// whatever is in force on their link. It leaves the history alone.
func (c *Cluster) Measure(ctx context.Context, from, to string) (fabric.Measurement, error) {
	if err := c.wires.take(ctx); err != nil {
		return fabric.Measurement{}, err
	}
	defer c.wires.give()
	ends, err := c.pick(ctx, []string{from, to})
	if err != nil {
		return fabric.Measurement{}, err
	}
	for _, m := range ends {
		if m.OffNetwork {
			return fabric.Measurement{}, offNetwork(m)
		}
	}
	probers, err := c.probers(ctx, ends)
	if err != nil {
		return fabric.Measurement{}, err
	}
	if len(ends) != 2 || len(probers) != 2 {
		return fabric.Measurement{}, fmt.Errorf("measure %s to %s: it takes two peers that run", from, to)
	}
	results, err := fabric.Matrix{}.Measure(ctx, probers, []fabric.Pair{{From: ends[0].Addr, To: ends[1].Addr}})
	if err != nil {
		return fabric.Measurement{}, err
	}
	return results[0], nil
}

// dropProbe ends a probe, which then goes by itself.
func (c *Cluster) dropProbe(name string, p *probe) {
	_ = p.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wires.probes[name] == p {
		delete(c.wires.probes, name)
	}
}

// close ends the looking after links and removes the probes. It may be called
// again.
func (w *wires) close(ctx context.Context, d *dockerd.Daemon) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	w.turn <- struct{}{}
	defer w.give()
	w.let()
	var probes []*probe
	for name, p := range w.probes {
		probes = append(probes, p)
		delete(w.probes, name)
	}
	err := dockerd.Each(probes, func(_ int, p *probe) error {
		return errors.Join(p.Close(), d.RemoveContainer(ctx, p.id))
	})
	if w.client != nil {
		w.client.Close()
	}
	if w.watchdog != nil {
		if err == nil {
			w.watchdog.Dismiss()
		} else {
			w.watchdog.RemoveAndWait()
		}
	}
	return err
}

// probeStream is the standard input and output of a probe.
type probeStream struct {
	attached client.HijackedResponse
	out      *io.PipeReader
	copied   chan struct{}
}

func newProbeStream(attached client.HijackedResponse) *probeStream {
	out, in := io.Pipe()
	s := &probeStream{attached: attached, out: out, copied: make(chan struct{})}
	go func() {
		defer close(s.copied)
		said := bounded{limit: errorLimit}
		_, err := stdcopy.StdCopy(in, &said, attached.Reader)
		if said.Len() > 0 {
			err = errors.New(lastLine(said.String()))
		}
		_ = in.CloseWithError(err) // nil is the end
	}()
	return s
}

// Read implements io.Reader.
func (s *probeStream) Read(b []byte) (int, error) { return s.out.Read(b) }

// Write implements io.Writer.
func (s *probeStream) Write(b []byte) (int, error) { return s.attached.Conn.Write(b) }

// Close implements io.Closer.
func (s *probeStream) Close() error {
	_ = s.out.Close()
	s.attached.Close()
	<-s.copied
	return nil
}

// running picks those that run, paused or not: their network answers.
func running(members []dockerd.Member) (up []dockerd.Member) {
	for _, m := range members {
		if m.State != testbed.Stopped && m.Addr.Is4() {
			up = append(up, m)
		}
	}
	return up
}
