package membership

import (
	"net"
	"net/netip"
	"sync"
)

// Shared keeps what the members of a cluster have in common for those of them
// that are in one process: their addresses and metadata as read, which each
// would otherwise read for itself. The zero value is ready to use. All methods
// may be called concurrently.
type Shared struct {
	mu    sync.Mutex
	metas map[string]Meta
	addrs map[netip.AddrPort]string
}

// maxShared bounds what is kept of each kind; beyond it everything is read
// anew.
const maxShared = 1 << 14

// meta reads metadata. The result must not be changed.
func (s *Shared) meta(b []byte) Meta {
	if len(b) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.metas[string(b)]
	if !ok {
		if s.metas == nil || len(s.metas) >= maxShared {
			s.metas = make(map[string]Meta)
		}
		m = decodeMeta(b)
		s.metas[string(b)] = m
	}
	return m
}

// addrPort returns the address of an entry, the zero one where the IP is none.
func addrPort(ip net.IP, port uint16) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), port)
}

// addr writes host:port.
func (s *Shared) addr(ip net.IP, port uint16) string {
	key := addrPort(ip, port)
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.addrs[key]
	if !ok {
		if s.addrs == nil || len(s.addrs) >= maxShared {
			s.addrs = make(map[netip.AddrPort]string)
		}
		text = key.String()
		s.addrs[key] = text
	}
	return text
}
