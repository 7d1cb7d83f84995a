package record

import (
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"peerlab/testbed/docker/dockerd"
)

// reader puts what one peer reports into the history, through all its lives.
// The daemon keeps what a container wrote, so that nothing is lost at a
// SIGKILL, nor what was written before there was a reader.
type reader struct {
	recorder *Recorder
	name     string
	id       string
	output   *outputDecoder
	wake     chan struct{}      // there may be more: the peer was started
	drains   chan chan struct{} // to be closed once all there is has been read
}

// look has a reader look for more.
func (r *reader) look() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run reads whenever there may be something. Between two lives it waits.
func (r *reader) run() {
	for {
		var drained chan struct{}
		select {
		case <-r.wake:
		case drained = <-r.drains:
		case <-r.recorder.ctx.Done():
			return
		}
		err := r.read()
		if drained != nil {
			close(drained)
		}
		switch {
		case r.recorder.ctx.Err() != nil:
			return
		case errdefs.IsNotFound(err), errdefs.IsConflict(err):
			continue // removed, or about to be: it will not be started again
		case err != nil:
			r.recorder.Problem(r.name, err)
			if !dockerd.WaitToRetry(r.recorder.ctx) {
				return
			}
			r.look()
		}
	}
}

// read adds all that has been written since the last read, until the peer's
// process ends.
func (r *reader) read() error {
	o := client.ContainerLogsOptions{ShowStdout: true, Follow: true, Timestamps: r.output.stamped}
	if since := r.output.resume(); !since.IsZero() {
		// An event is stamped before it is written: the daemon's stamp of the
		// line is not earlier.
		o.Since = dockerd.Stamp(since)
	}
	log, err := r.recorder.daemon.API.ContainerLogs(r.recorder.ctx, r.id, o)
	if err == nil {
		defer log.Close()
		err = r.output.read(log, true)
	}
	if err != nil {
		return fmt.Errorf("read what %s reports: %w", r.name, err)
	}
	return nil
}
