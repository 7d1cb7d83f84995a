package membership

import "sync"

// metadata is what this peer tells about itself through gossip.
type metadata struct {
	mu      sync.Mutex
	meta    Meta
	encoded []byte
}

func (d *metadata) get() Meta {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.meta.clone()
}

func (d *metadata) set(meta Meta) error {
	return d.change(func(m Meta) {
		clear(m)
		for k, v := range meta {
			m[k] = v
		}
	})
}

func (d *metadata) change(f func(Meta)) error {
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
func (d *metadata) NodeMeta(int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.encoded
}
