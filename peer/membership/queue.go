package membership

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/google/btree"
	"github.com/hashicorp/memberlist"
)

// queued mirrors memberlist's private limitedBroadcast: a message in a
// TransmitLimitedQueue.
type queued struct {
	transmits int
	msgLen    int64
	id        int64
	b         memberlist.Broadcast
	name      string
}

// queue reads the messages that wait in a TransmitLimitedQueue, which tells no
// more than their number. It is the only place that knows how that type is
// laid out in memberlistVersion.
type queue struct {
	lock *sync.Mutex
	tree **btree.BTree // of *queued; nil before the first message
}

// openQueue finds the messages of q and checks every type on the way, so that a
// change in memberlist is an error here and never a wrong read.
func openQueue(q *memberlist.TransmitLimitedQueue) (queue, error) {
	v := reflect.ValueOf(q).Elem()
	lock, tree, names := v.FieldByName("mu"), v.FieldByName("tq"), v.FieldByName("tm")
	if !lock.IsValid() || lock.Type() != reflect.TypeFor[sync.Mutex]() ||
		!tree.IsValid() || tree.Type() != reflect.TypeFor[*btree.BTree]() ||
		!names.IsValid() || names.Kind() != reflect.Map || names.Type().Elem().Kind() != reflect.Pointer {
		return queue{}, fmt.Errorf("memberlist's %s has changed: it is not %s", v.Type(), memberlistVersion)
	}
	if err := sameLayout(names.Type().Elem().Elem(), reflect.TypeFor[queued]()); err != nil {
		return queue{}, err
	}
	return queue{
		lock: (*sync.Mutex)(lock.Addr().UnsafePointer()),
		tree: (**btree.BTree)(tree.Addr().UnsafePointer()),
	}, nil
}

// each calls f for every message that waits. f must not use the queue; the
// pointer is good for comparing after each has returned, too.
func (q queue) each(f func(*queued)) {
	q.lock.Lock()
	defer q.lock.Unlock()
	if *q.tree == nil || (*q.tree).Len() == 0 {
		return
	}
	(*q.tree).Ascend(func(item btree.Item) bool {
		f((*queued)(reflect.ValueOf(item).UnsafePointer()))
		return true
	})
}

// kindOf returns the kind of a message in memberlist's own queue, by its first
// byte.
func kindOf(m *queued) string {
	if b := m.b.Message(); len(b) > 0 {
		switch b[0] {
		case 3:
			return "suspect"
		case 4:
			return "alive"
		case 5:
			return "dead"
		}
	}
	return "other"
}
