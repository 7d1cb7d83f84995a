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
	life uint64
	sent int // how many messages had been sent before
}

// Joined notes that a life of the member's chat was seen to join; 0 is one that
// was not told.
func (a *Acquaintances) Joined(member string, life uint64, at time.Time) {
	if a.seen == nil {
		a.seen = make(map[string][]sighted)
	}
	a.seen[member] = append(a.seen[member], sighted{at, life, a.sent})
}

// Left notes that the member was seen to leave by itself: nothing is owed to
// it until it joins again.
func (a *Acquaintances) Left(member string) { delete(a.seen, member) }

// Sent counts a message and returns which it is, from 0.
func (a *Acquaintances) Sent() int {
	a.sent++
	return a.sent - 1
}

// Knew says whether this life of member's chat, in a process that began then,
// had been seen to join before the nth message. Who learns of a member from one
// that has long been cut off may see an earlier life join after that: only where
// the life is not told on both sides is it taken to be the one that ran then.
func (a *Acquaintances) Knew(member string, life uint64, began time.Time, nth int) bool {
	for _, s := range a.seen[member] {
		same := s.life == life
		if s.life == 0 || life == 0 {
			same = !s.at.Before(began)
		}
		if same {
			return s.sent <= nth
		}
	}
	return false
}
