// Package neighbours looks at the table in which a Linux host keeps the neighbours
// of all its network namespaces together: an entry of ARP for each pair of
// containers that talk to each other. When it is full, packets are dropped that
// nobody asked to drop.
package neighbours

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Thresholds are limits of the table: the kernel keeps no more than Most entries,
// and from Soft on it removes those that were not used for five seconds.
type Thresholds struct{ Soft, Most int }

// Table is what the kernel tells of the table.
type Table struct {
	Thresholds
	Entries   int    // now, of all containers and the host
	Overflows uint64 // how often there was no room for one, since the host started
}

// Where the kernel tells, and is told: in the host's own network namespace only.
const (
	statistics = "proc/net/stat/arp_cache"
	settings   = "proc/sys/net/ipv4/neigh/default"
	most, soft = "gc_thresh3", "gc_thresh2"
)

// Read reads the table in the /proc of root.
func Read(root fs.FS) (Table, error) {
	var t Table
	var err error
	if t.Thresholds, err = ReadThresholds(root); err != nil {
		return Table{}, err
	}
	text, err := fs.ReadFile(root, statistics)
	if err == nil {
		err = t.parse(string(text))
	}
	if err != nil {
		return Table{}, fmt.Errorf("read the host's neighbours: %w", err)
	}
	return t, nil
}

// parse takes in the statistics: a header, and a line of hexadecimal numbers for
// each processor, of which each has all entries.
func (t *Table) parse(text string) error {
	header, rest, _ := strings.Cut(text, "\n")
	entries, overflows := -1, -1
	for i, name := range strings.Fields(header) {
		switch name {
		case "entries":
			entries = i
		case "table_fulls":
			overflows = i
		}
	}
	if entries < 0 || overflows < 0 {
		return errors.New("the kernel does not count overflows (Linux 4.1 and later do)")
	}
	for line := range strings.Lines(rest) {
		fields := strings.Fields(line)
		if len(fields) <= max(entries, overflows) {
			continue
		}
		n, err := strconv.ParseUint(fields[entries], 16, 31)
		if err != nil {
			return err
		}
		more, err := strconv.ParseUint(fields[overflows], 16, 63)
		if err != nil {
			return err
		}
		t.Entries = int(n)
		t.Overflows += more
	}
	return nil
}

// ReadThresholds reads the limits in the /proc of root.
func ReadThresholds(root fs.FS) (t Thresholds, err error) {
	for name, value := range map[string]*int{most: &t.Most, soft: &t.Soft} {
		text, err := fs.ReadFile(root, path.Join(settings, name))
		if err == nil {
			*value, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if err != nil {
			return Thresholds{}, fmt.Errorf("read the limits of the host's neighbours: %w", err)
		}
	}
	return t, nil
}

// Needed is how many entries a cluster of so many peers takes that all talk to
// each other and to their bootstrap service.
func Needed(peers int) int { return peers * (peers + 1) }

// Peers is how many peers a table that is empty has room for.
func (t Thresholds) Peers() int {
	peers := 0
	for Needed(peers+1) < t.Most {
		peers++
	}
	return peers
}

// Room is how many entries more there are before the table is full.
func (t Table) Room() int { return max(t.Most-1-t.Entries, 0) }

// For returns thresholds, not below t, with which so many entries more than used
// fit twice.
func (t Thresholds) For(used, more int) Thresholds {
	return Thresholds{Soft: max(t.Soft, used+more), Most: max(t.Most, 2*(used+more))}
}

// Command is what sets the thresholds in a shell.
func (t Thresholds) Command() string {
	return fmt.Sprintf("sudo sysctl -w net.ipv4.neigh.default.%s=%d net.ipv4.neigh.default.%s=%d", most, t.Most, soft, t.Soft)
}

// Change is a change of the thresholds.
type Change struct{ Before, After Thresholds }

// String writes c as ParseChange reads it, "" for none.
func (c Change) String() string {
	if c == (Change{}) {
		return ""
	}
	return fmt.Sprintf("%d %d %d %d", c.Before.Soft, c.Before.Most, c.After.Soft, c.After.Most)
}

// ParseChange parses what String returns.
func ParseChange(text string) (c Change, err error) {
	if text == "" {
		return Change{}, nil
	}
	fields := strings.Fields(text)
	values := []*int{&c.Before.Soft, &c.Before.Most, &c.After.Soft, &c.After.Most}
	if len(fields) != len(values) {
		return Change{}, fmt.Errorf("a change of the neighbours' limits: %q", text)
	}
	for i, field := range fields {
		n, err := strconv.ParseUint(field, 10, 31)
		if err != nil || n == 0 {
			return Change{}, fmt.Errorf("a change of the neighbours' limits: %q", text)
		}
		*values[i] = int(n)
	}
	return c, nil
}

// Host is the /proc of a host, in a directory: "/" is this one's.
type Host string

// Set puts thresholds in force, which takes root, and returns the change.
func (h Host) Set(after Thresholds) (Change, error) {
	before, err := ReadThresholds(os.DirFS(string(h)))
	if err != nil {
		return Change{}, err
	}
	if err := h.write(after, before); err != nil {
		return Change{}, fmt.Errorf("set the limits of the host's neighbours: %w", err)
	}
	return Change{before, after}, nil
}

// Undo puts back what was before the changes, the last one first, whatever their
// order. Where somebody has set other thresholds since then, those stay.
func (h Host) Undo(changes ...Change) error {
	changes = slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return c == (Change{}) })
	for len(changes) > 0 {
		now, err := ReadThresholds(os.DirFS(string(h)))
		if err != nil {
			return err
		}
		last := slices.IndexFunc(changes, func(c Change) bool { return c.After == now })
		if last < 0 {
			return nil
		}
		before := changes[last].Before
		if err := h.write(before, now); err != nil {
			return fmt.Errorf("the limits of the host's neighbours stay: %w: %s puts back what was", err, before.Command())
		}
		changes = slices.Delete(changes, last, last+1)
	}
	return nil
}

// write writes the thresholds, such that one is at no time above the other.
func (h Host) write(t, before Thresholds) error {
	order := []struct {
		name  string
		value int
	}{{most, t.Most}, {soft, t.Soft}}
	if t.Most < before.Most {
		order[0], order[1] = order[1], order[0]
	}
	for _, one := range order {
		file := path.Join(string(h), settings, one.name)
		if err := os.WriteFile(file, []byte(strconv.Itoa(one.value)), 0o644); err != nil {
			return err
		}
	}
	return nil
}
