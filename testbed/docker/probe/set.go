package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
	api "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"peerlab/testbed"
	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/fabric"
)

// Set is the probes beside the peers of one cluster. They stay for as long as the set is
// used. Who calls Probers or Close sees to it that nobody else does at the time.
type Set struct {
	daemon  *dockerd.Daemon
	cluster string
	image   string
	run     string // labels the probes

	watchdog *dockerd.Watchdog // removes them, unless that of the run does

	mu     sync.Mutex
	probes map[string]*probe // by peer
}

// NewSet returns a Set without probes. The image is that of the fabric, "" for the
// daemon's. A run is the one whose watchdog removes the probes, too; "" makes the Set
// start one.
func NewSet(d *dockerd.Daemon, cluster, image, run string) *Set {
	return &Set{daemon: d, cluster: cluster, image: image, run: run, probes: make(map[string]*probe)}
}

// probe is a container in the network of a peer, for one life of the peer: the
// next has another network.
type probe struct {
	*fabric.Prober
	id   string
	life string
}

// Probers returns a prober for each of the peers that run, starting those
// there are not yet. They stay for as long as the cluster is used.
func (s *Set) Probers(ctx context.Context, peers []dockerd.Member) (map[netip.Addr]*fabric.Prober, error) {
	if err := s.watch(); err != nil {
		return nil, err
	}
	all := make([]*probe, len(peers))
	err := dockerd.Each(peers, func(i int, m dockerd.Member) (err error) {
		s.mu.Lock()
		old := s.probes[m.Name]
		s.mu.Unlock()
		life, err := s.life(ctx, m.ID)
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
			s.drop(m.Name, old)
		}
		p, err := s.start(ctx, m, life)
		if err != nil {
			if _, gone := s.life(ctx, m.ID); errors.Is(gone, testbed.ErrStopped) {
				return nil // somebody was faster
			}
			return fmt.Errorf("start a probe beside %s: %w", m.Name, err)
		}
		all[i] = p
		s.mu.Lock()
		defer s.mu.Unlock()
		s.probes[m.Name] = p
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
func (s *Set) life(ctx context.Context, id string) (string, error) {
	info, err := s.daemon.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return "", fmt.Errorf("look at a container: %w", err)
	}
	if !info.Container.State.Running { // which a paused one does, too
		return "", testbed.ErrStopped
	}
	return id + " " + info.Container.State.StartedAt, nil
}

// watch starts a watchdog, unless there is one, so that no probe outlives this
// program: a probe ends with its standard input once it runs, but not before.
func (s *Set) watch() (err error) {
	if s.run != "" {
		return nil
	}
	run := dockerd.NewRunID()
	if s.watchdog, err = dockerd.StartWatchdog(run, s.daemon.Endpoint()); err == nil {
		s.run = run
	}
	return err
}

func (s *Set) start(ctx context.Context, m dockerd.Member, life string) (_ *probe, err error) {
	labels := map[string]string{
		dockerd.ClusterLabel: s.cluster, dockerd.HelperLabel: dockerd.ProbeHelper, dockerd.RunLabel: s.run, dockerd.OwnerLabel: string(dockerd.ThisProcess()),
	}
	id, err := CreateContainer(ctx, s.daemon, "", labels, probeConfig(FabricImage(s.daemon, s.image)),
		&api.HostConfig{NetworkMode: api.NetworkMode("container:" + m.ID), LogConfig: api.LogConfig{Type: "none"}},
	)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.daemon.RemoveContainer(context.WithoutCancel(ctx), id))
		}
	}()
	prober, err := beginProbe(ctx, s.daemon, id)
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

// drop ends a probe, which then goes by itself.
func (s *Set) drop(name string, p *probe) {
	_ = p.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probes[name] == p {
		delete(s.probes, name)
	}
}

// Close removes the probes. It may be called again.
func (s *Set) Close(ctx context.Context) error {
	s.mu.Lock()
	var probes []*probe
	for name, p := range s.probes {
		probes = append(probes, p)
		delete(s.probes, name)
	}
	s.mu.Unlock()
	err := dockerd.Each(probes, func(_ int, p *probe) error {
		return errors.Join(p.Close(), s.daemon.RemoveContainer(ctx, p.id))
	})
	if s.watchdog != nil {
		if err == nil {
			s.watchdog.Dismiss()
		} else {
			s.watchdog.RemoveAndWait()
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
		said := Output{Limit: ErrorLimit}
		_, err := stdcopy.StdCopy(in, &said, attached.Reader)
		if said.Len() > 0 {
			err = errors.New(LastLine(said.String()))
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
