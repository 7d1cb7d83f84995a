package event

import "fmt"

// ChatLine returns how a shell shows an event of the chat: what was said, who
// came and who went; nothing for an event of another kind.
func ChatLine(e Event) string {
	switch e.Kind {
	case ChatSent:
		return "<" + e.Peer + "> " + e.Text
	case ChatDelivered:
		return "<" + e.Member + "> " + e.Text
	case ChatSkipped:
		return fmt.Sprintf("<skipped> %d messages of %s, which nobody keeps any more", e.Messages, e.Member)
	case ChatJoin:
		return "<joined> " + e.Member + " has joined"
	case ChatLeave:
		switch e.Reason {
		case "leave":
			return "<left> " + e.Member + " is leaving"
		case MembershipEnded:
			return "* " + e.Member + " is out of reach: this peer's own membership has ended"
		}
		return "<left> " + e.Member + " has left"
	}
	return ""
}
