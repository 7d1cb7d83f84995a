package chat

// Flaw is a way to break the protocol on purpose: for tests of what finds that
// out.
type Flaw int

// The flaws.
const (
	NoDedupe   Flaw = iota // what arrives twice is shown twice
	NoHoldback             // shown as it arrives, before its causes
	NoSync                 // what was missed is not asked for
	NoPersist              // a state directory keeps neither sequence nor incarnation
)

// Break gives the chat flaws.
func (o *Options) Break(flaws ...Flaw) {
	for _, f := range flaws {
		switch f {
		case NoDedupe:
			o.flaws.noDedupe = true
		case NoHoldback:
			o.flaws.noHoldback = true
		case NoSync:
			o.flaws.noSync = true
		case NoPersist:
			o.flaws.noPersist = true
		}
	}
}
