// Package chat is the example application of a peer: everyone who joined sees
// what everyone says. Peers talk directly over TCP; membership tells who is
// there and at which address.
package chat

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxText is the longest text of one message, in bytes.
const MaxText = 32 << 10

// ID names one message: the author, the author's incarnation and the place
// among what that incarnation sent, from 1. An incarnation is one life of the
// author's chat, so that ids stay unique over restarts.
type ID struct {
	Author      string
	Incarnation uint64
	Seq         uint64
}

// String returns author/incarnation/sequence.
func (id ID) String() string { return string(id.append(make([]byte, 0, 64))) }

func (id ID) append(b []byte) []byte {
	b = append(append(b, id.Author...), '/')
	b = append(strconv.AppendUint(b, id.Incarnation, 10), '/')
	return strconv.AppendUint(b, id.Seq, 10)
}

// CheckText says why text cannot be sent.
func CheckText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New("nothing to send: the message is empty")
	case len(text) > MaxText:
		return fmt.Errorf("message of %d bytes is too long: the limit is %d", len(text), MaxText)
	case !utf8.ValidString(text):
		return errors.New("message is not valid UTF-8")
	}
	return nil
}

// Presence is what membership knows of one member.
type Presence struct {
	Name string
	// Addr and Incarnation are those of the member's chat; an empty Addr
	// means it is not in the chat.
	Addr        string
	Incarnation uint64
	// Graceful says that a member not in the chat left it by itself, rather
	// than being found dead.
	Graceful bool
}

// Announce returns what a member tells the others through membership, from
// which Announced reads its address and incarnation.
func Announce(addr string, incarnation uint64) string {
	return addr + "/" + strconv.FormatUint(incarnation, 10)
}

// Announced reads what Announce wrote; ok is false for anything else.
func Announced(s string) (addr string, incarnation uint64, ok bool) {
	addr, inc, found := strings.Cut(s, "/")
	if !found || addr == "" {
		return "", 0, false
	}
	incarnation, err := strconv.ParseUint(inc, 10, 64)
	return addr, incarnation, err == nil && incarnation != 0
}
