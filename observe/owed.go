package observe

import "time"

// Acquaintances are the members that one life of a peer has seen join the chat,
// and the order of that and of what it sent: a message is owed to those whose
// present life its author had seen join the chat when it sent the message. The
// zero value has met nobody.
type Acquaintances struct {
	seen map[string][]sighted
	sent int
}

// sighted is a member seen to join.
type sighted struct {
	at   time.Time
	sent int // how many messages had been sent before
}

// Joined notes that the member was seen to join.
func (a *Acquaintances) Joined(member string, at time.Time) {
	if a.seen == nil {
		a.seen = make(map[string][]sighted)
	}
	a.seen[member] = append(a.seen[member], sighted{at, a.sent})
}

// Left notes that the member was seen to leave by itself: nothing is owed to
// it until it joins again.
func (a *Acquaintances) Left(member string) { delete(a.seen, member) }

// Sent counts a message and returns which it is, from 0.
func (a *Acquaintances) Sent() int {
	a.sent++
	return a.sent - 1
}

// Knew says whether the life of member that began then had been seen to join
// before the nth message. A member seen to join before it began is an earlier
// life of it.
func (a *Acquaintances) Knew(member string, began time.Time, nth int) bool {
	for _, s := range a.seen[member] {
		if !s.at.Before(began) {
			return s.sent <= nth
		}
	}
	return false
}
