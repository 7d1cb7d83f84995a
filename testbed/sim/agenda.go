package sim

import (
	"container/heap"
	"time"
)

// agenda holds what is to happen in the network, and does it in time. The lock
// of the network guards it and is held by what it does.
type agenda struct {
	due   queue
	seq   uint64
	timer *time.Timer // set for the first of due
	set   time.Time   // when timer ends; zero if it is not set
}

// task is one thing that is to happen. Those of one instant happen in the
// order in which they were planned.
type task struct {
	at  time.Time
	seq uint64
	do  func(now time.Time)
}

// plan has do called at the given time.
func (a *agenda) plan(at time.Time, do func(now time.Time)) {
	a.seq++
	heap.Push(&a.due, task{at, a.seq, do})
	a.reset()
}

// run does what is due.
func (a *agenda) run() {
	a.set = time.Time{}
	now := time.Now()
	for len(a.due) > 0 && !a.due[0].at.After(now) {
		heap.Pop(&a.due).(task).do(now)
	}
	a.reset()
}

func (a *agenda) reset() {
	if len(a.due) == 0 || a.timer == nil {
		return
	}
	if first := a.due[0].at; a.set.IsZero() || first.Before(a.set) {
		a.set = first
		a.timer.Reset(time.Until(first))
	}
}

// clear forgets everything, for good.
func (a *agenda) clear() {
	a.due = nil
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}

type queue []task

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	if q[i].at.Equal(q[j].at) {
		return q[i].seq < q[j].seq
	}
	return q[i].at.Before(q[j].at)
}

func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

func (q *queue) Push(x any) { *q = append(*q, x.(task)) }

func (q *queue) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last] = task{}
	*q = (*q)[:last]
	return t
}
