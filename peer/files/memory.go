package files

import (
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// RunDir is the one directory in which a peer in a container may write.
const RunDir = "/run/peer"

// memoryLimit is how much all files of a Memory may hold, in bytes.
const memoryLimit = 16 << 20

// Limits of Linux for the name of a file and for a path, in bytes.
const (
	maxName = 255
	maxPath = 4095
)

// Memory is a file system in memory that answers as that of a peer's container
// does: its directory of work is the root, it can be written in RunDir alone,
// and of the rest there are the directories. The user's files are not in it.
type Memory struct {
	mu        sync.Mutex
	nodes     map[string]*node // by absolute path
	volumes   []string         // directories that Restart keeps
	size      int              // of all files, in bytes
	databases string           // a directory of the host, made when one is opened
}

// node is a file or a directory.
type node struct {
	dir  bool
	mode fs.FileMode
	time time.Time
	data []byte
	real string // of a database: the file of the host
}

var _ System = (*Memory)(nil)

// NewMemory returns one in which no file is.
func NewMemory() *Memory {
	m := &Memory{nodes: make(map[string]*node)}
	for _, dir := range []string{"/", "/dev", "/etc", "/proc", "/run", RunDir, "/sys"} {
		m.nodes[dir] = &node{dir: true, mode: fs.ModeDir | 0o755}
	}
	m.nodes[RunDir].mode = fs.ModeDir | 0o700
	return m
}

// AddVolume adds a directory that can be written and that Restart keeps.
func (m *Memory) AddVolume(dir string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir = clean(dir)
	m.volumes = append(m.volumes, dir)
	for ; m.nodes[dir] == nil; dir = path.Dir(dir) {
		m.nodes[dir] = &node{dir: true, mode: fs.ModeDir | 0o700}
	}
}

// Restart removes the files that are in no volume, as the restart of a
// container does.
func (m *Memory) Restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, n := range m.nodes {
		if strings.HasPrefix(name, RunDir+"/") && !slices.ContainsFunc(m.volumes, func(v string) bool { return within(v, name) || within(name, v) }) {
			m.size -= len(n.data)
			delete(m.nodes, name)
		}
	}
}

// Close removes what it has on the host.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.databases == "" {
		return nil
	}
	return os.RemoveAll(m.databases)
}

func clean(name string) string { return path.Clean("/" + name) }

// within reports whether name is dir or below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

func (m *Memory) writable(name string) bool {
	return name != RunDir && within(name, RunDir) || slices.ContainsFunc(m.volumes, func(v string) bool { return within(name, v) })
}

// find returns the absolute path of name and its node, nil if there is none in
// a directory that exists. The caller holds mu.
func (m *Memory) find(name string) (string, *node, error) {
	switch {
	case name == "":
		return "", nil, syscall.ENOENT
	case len(name) > maxPath:
		return "", nil, syscall.ENAMETOOLONG
	case strings.ContainsRune(name, 0):
		return "", nil, syscall.EINVAL
	}
	full := clean(name)
	at := ""
	for part := range strings.SplitSeq(strings.TrimPrefix(path.Dir(full), "/"), "/") {
		if part == "" {
			continue
		}
		at += "/" + part
		switch n := m.nodes[at]; {
		case len(part) > maxName:
			return "", nil, syscall.ENAMETOOLONG
		case n == nil:
			return "", nil, syscall.ENOENT
		case !n.dir:
			return "", nil, syscall.ENOTDIR
		}
	}
	if len(path.Base(full)) > maxName {
		return "", nil, syscall.ENAMETOOLONG
	}
	n := m.nodes[full]
	if n != nil && !n.dir && strings.HasSuffix(name, "/") {
		return "", nil, syscall.ENOTDIR
	}
	return full, n, nil
}

// open finds a file and creates it if flag says so. The caller holds mu.
func (m *Memory) open(name string, flag int, perm fs.FileMode) (*node, error) {
	full, n, err := m.find(name)
	writes := flag&(os.O_WRONLY|os.O_RDWR|os.O_CREATE|os.O_TRUNC) != 0
	switch {
	case err != nil:
		return nil, err
	case n == nil && flag&os.O_CREATE == 0:
		return nil, syscall.ENOENT
	case n != nil && flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, syscall.EEXIST
	case writes && (n != nil && n.dir || strings.HasSuffix(name, "/")):
		return nil, syscall.EISDIR
	case writes && (within(full, "/dev") || within(full, "/proc")):
		return nil, syscall.EACCES
	case writes && !m.writable(full):
		return nil, syscall.EROFS
	case n == nil:
		n = &node{mode: perm.Perm(), time: time.Now()}
		m.nodes[full] = n
	case flag&os.O_TRUNC != 0:
		m.size -= len(n.data)
		n.data, n.time = nil, time.Now()
	}
	return n, nil
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// OpenFile implements System.
func (m *Memory) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, n, err := m.find(name); err == nil && n != nil && n.real != "" {
		return nil, pathError("open", name, syscall.EBUSY)
	}
	n, err := m.open(name, flag, perm)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &handle{memory: m, name: name, node: n, flag: flag}, nil
}

// OpenDatabase implements System. The file is in a temporary directory of the
// host, which Close removes.
func (m *Memory) OpenDatabase(name string, flag int, perm fs.FileMode) (*os.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.open(name, flag&^os.O_TRUNC, perm)
	if err == nil && n.dir {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	if n.real != "" {
		return os.OpenFile(n.real, flag, perm)
	}
	if m.databases == "" {
		if m.databases, err = os.MkdirTemp("", "peerlab-sim-"); err != nil {
			return nil, err
		}
	}
	f, err := os.CreateTemp(m.databases, "")
	if err == nil {
		n.real = f.Name()
	}
	return f, err
}

// ReadDir implements System.
func (m *Memory) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	full, n, err := m.find(name)
	switch {
	case err == nil && n == nil:
		err = syscall.ENOENT
	case err == nil && !n.dir:
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	var entries []fs.DirEntry
	for at, n := range m.nodes {
		if at != "/" && path.Dir(at) == full {
			entries = append(entries, fs.FileInfoToDirEntry(info{path.Base(at), *n}))
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// MkdirAll implements System.
func (m *Memory) MkdirAll(name string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := ""
	for part := range strings.SplitSeq(strings.TrimPrefix(clean(name), "/"), "/") {
		at += "/" + part
		n := m.nodes[clean(at)]
		switch {
		case n != nil && n.dir:
		case n != nil:
			return pathError("mkdir", at, syscall.ENOTDIR)
		case len(part) > maxName || len(at) > maxPath:
			return pathError("mkdir", at, syscall.ENAMETOOLONG)
		case !m.writable(at):
			return pathError("mkdir", at, syscall.EROFS)
		default:
			m.nodes[at] = &node{dir: true, mode: fs.ModeDir | perm.Perm(), time: time.Now()}
		}
	}
	return nil
}

// Replace implements System.
func (m *Memory) Replace(name string, data []byte) error { return Write(m, name, data, 0o600) }

// Abs implements System.
func (m *Memory) Abs(name string) (string, error) {
	if name == "" {
		return "/", nil
	}
	return clean(name), nil
}

// handle is an open file of a Memory.
type handle struct {
	memory *Memory
	name   string
	node   *node
	flag   int

	at     int // guarded by the memory's mu, as is closed
	closed bool
}

func (h *handle) Name() string { return h.name }

// begin locks the memory for one operation.
func (h *handle) begin(op string, allowed bool) (end func(), err error) {
	h.memory.mu.Lock()
	switch {
	case h.closed:
		err = fs.ErrClosed
	case h.node.dir && op != "stat":
		err = syscall.EISDIR
	case !allowed:
		err = syscall.EBADF
	}
	if err != nil {
		h.memory.mu.Unlock()
		return nil, pathError(op, h.name, err)
	}
	return h.memory.mu.Unlock, nil
}

func (h *handle) Read(p []byte) (int, error) {
	end, err := h.begin("read", h.flag&os.O_WRONLY == 0)
	if err != nil {
		return 0, err
	}
	defer end()
	if h.at >= len(h.node.data) {
		return 0, io.EOF
	}
	n := copy(p, h.node.data[h.at:])
	h.at += n
	return n, nil
}

func (h *handle) Write(p []byte) (int, error) {
	end, err := h.begin("write", h.flag&(os.O_WRONLY|os.O_RDWR) != 0)
	if err != nil {
		return 0, err
	}
	defer end()
	if h.flag&os.O_APPEND != 0 {
		h.at = len(h.node.data)
	}
	grows := max(0, h.at+len(p)-len(h.node.data))
	if h.memory.size+grows > memoryLimit {
		return 0, pathError("write", h.name, syscall.ENOSPC)
	}
	h.memory.size += grows
	h.node.data = append(h.node.data, make([]byte, grows)...)
	copy(h.node.data[h.at:], p)
	h.at += len(p)
	h.node.time = time.Now()
	return len(p), nil
}

func (h *handle) Stat() (fs.FileInfo, error) {
	end, err := h.begin("stat", true)
	if err != nil {
		return nil, err
	}
	defer end()
	return info{path.Base(clean(h.name)), *h.node}, nil
}

func (h *handle) Sync() error { return nil }

func (h *handle) Close() error {
	h.memory.mu.Lock()
	defer h.memory.mu.Unlock()
	if h.closed {
		return pathError("close", h.name, fs.ErrClosed)
	}
	h.closed = true
	return nil
}

// info is what Stat tells of a node.
type info struct {
	name string
	node
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return int64(len(i.data)) }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.time }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }
