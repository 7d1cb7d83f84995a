package membership

import (
	"fmt"
	"reflect"
	"sync"
	"time"
	"unsafe"

	"github.com/hashicorp/memberlist"
)

// memberlistVersion is the version whose private fields this file reads. A
// test fails when go.mod names another: read state.go and memberlist.go of the
// new version first.
const memberlistVersion = "v0.7.0"

// nodeState mirrors memberlist's private type of the same name: an entry of
// its node table. openTable checks that the two are laid out alike.
type nodeState struct {
	memberlist.Node
	Incarnation uint32
	State       memberlist.NodeStateType
	StateChange time.Time
}

// table reads a Memberlist's private node table, which alone tells suspect
// from alive and left from dead and knows incarnations: the public API hides
// all of it (hashicorp/memberlist#266).
type table struct {
	lock   *sync.RWMutex
	nodes  *map[string]*nodeState
	timers *map[string]unsafe.Pointer // one per suspect; only its keys are read
	queue  *memberlist.TransmitLimitedQueue
}

// openTable finds the table inside m and checks every type on the way, so
// that a change in memberlist is an error here and never a wrong read.
func openTable(m *memberlist.Memberlist) (*table, error) {
	v := reflect.ValueOf(m).Elem()
	field := func(name string) (reflect.Value, error) {
		f := v.FieldByName(name)
		if !f.IsValid() {
			return f, fmt.Errorf("memberlist has no field %s: it is not %s", name, memberlistVersion)
		}
		return f, nil
	}
	lock, err := field("nodeLock")
	if err != nil {
		return nil, err
	}
	nodes, err := field("nodeMap")
	if err != nil {
		return nil, err
	}
	timers, err := field("nodeTimers")
	if err != nil {
		return nil, err
	}
	queue, err := field("broadcasts")
	if err != nil {
		return nil, err
	}
	if queue.Type() != reflect.TypeFor[*memberlist.TransmitLimitedQueue]() {
		return nil, fmt.Errorf("memberlist's broadcasts are a %s: it is not %s", queue.Type(), memberlistVersion)
	}
	if lock.Type() != reflect.TypeFor[sync.RWMutex]() {
		return nil, fmt.Errorf("memberlist's nodeLock is a %s: it is not %s", lock.Type(), memberlistVersion)
	}
	if t := timers.Type(); t.Kind() != reflect.Map || t.Key().Kind() != reflect.String || t.Elem().Kind() != reflect.Pointer {
		return nil, fmt.Errorf("memberlist's nodeTimers is a %s: it is not %s", t, memberlistVersion)
	}
	t := nodes.Type()
	if t.Kind() != reflect.Map || t.Key().Kind() != reflect.String || t.Elem().Kind() != reflect.Pointer {
		return nil, fmt.Errorf("memberlist's nodeMap is a %s: it is not %s", t, memberlistVersion)
	}
	if err := sameLayout(t.Elem().Elem(), reflect.TypeFor[nodeState]()); err != nil {
		return nil, err
	}
	return &table{
		lock:   (*sync.RWMutex)(lock.Addr().UnsafePointer()),
		nodes:  (*map[string]*nodeState)(nodes.Addr().UnsafePointer()),
		timers: (*map[string]unsafe.Pointer)(timers.Addr().UnsafePointer()),
		queue:  *(**memberlist.TransmitLimitedQueue)(queue.Addr().UnsafePointer()),
	}, nil
}

func sameLayout(theirs, ours reflect.Type) error {
	if theirs.Kind() != reflect.Struct || theirs.NumField() != ours.NumField() || theirs.Size() != ours.Size() {
		return fmt.Errorf("memberlist's %s has changed: it is not %s", theirs, memberlistVersion)
	}
	for i := range ours.NumField() {
		a, b := theirs.Field(i), ours.Field(i)
		if a.Name != b.Name || a.Type != b.Type || a.Offset != b.Offset {
			return fmt.Errorf("memberlist's %s.%s has changed: it is not %s", theirs, a.Name, memberlistVersion)
		}
	}
	return nil
}

// each calls f for every entry. f must not keep it or call into memberlist.
func (t *table) each(f func(*nodeState)) {
	t.lock.RLock()
	defer t.lock.RUnlock()
	for _, n := range *t.nodes {
		f(n)
	}
}

// locked returns the entry for name, nil if there is none, for a caller that
// runs inside one of memberlist's callbacks: those hold the lock already.
func (t *table) locked(name string) *nodeState { return (*t.nodes)[name] }

// incarnation returns the incarnation of the entry for name, 0 if none.
func (t *table) incarnation(name string) uint32 {
	t.lock.RLock()
	defer t.lock.RUnlock()
	if n := (*t.nodes)[name]; n != nil {
		return n.Incarnation
	}
	return 0
}
