package membership

import (
	"sync"

	"github.com/hashicorp/memberlist"
)

// metaDelegate hands this peer's metadata to memberlist.
type metaDelegate struct {
	mu      sync.Mutex
	meta    Meta
	encoded []byte
}

var _ memberlist.Delegate = (*metaDelegate)(nil)

func (d *metaDelegate) get() Meta {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.meta.clone()
}

func (d *metaDelegate) set(meta Meta) error {
	return d.change(func(m Meta) {
		clear(m)
		for k, v := range meta {
			m[k] = v
		}
	})
}

func (d *metaDelegate) change(f func(Meta)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	meta := d.meta.clone()
	f(meta)
	encoded, err := meta.encode()
	if err != nil {
		return err
	}
	d.meta, d.encoded = meta, encoded
	return nil
}

// NodeMeta implements memberlist.Delegate; change has checked the limit.
func (d *metaDelegate) NodeMeta(int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.encoded
}

// NotifyMsg implements memberlist.Delegate.
func (d *metaDelegate) NotifyMsg([]byte) {}

// GetBroadcasts implements memberlist.Delegate.
func (d *metaDelegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (d *metaDelegate) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (d *metaDelegate) MergeRemoteState([]byte, bool) {}
