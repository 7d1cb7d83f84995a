package chat

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxFrame bounds a frame on the wire: a text in which every byte takes six
// in JSON still fits.
const maxFrame = 6*MaxText + 1<<10

// frame is one unit on a connection: four bytes of length, big-endian, then
// JSON. A connection carries hello, then messages one way and acks the other.
type frame struct {
	Kind        kind   `json:"kind"`
	From        string `json:"from,omitempty"`        // hello: who calls
	To          string `json:"to,omitempty"`          // hello: who is meant to answer
	Incarnation uint64 `json:"incarnation,omitempty"` // hello: of the caller's chat
	Seq         uint64 `json:"seq,omitempty"`         // message, ack
	Text        string `json:"text,omitempty"`        // message
}

type kind string

const (
	hello   kind = "hello"
	message kind = "message"
	ack     kind = "ack"
	ping    kind = "ping"
	pong    kind = "pong"
)

func writeFrame(w io.Writer, f frame) error {
	body, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode chat frame: %w", err)
	}
	if len(body) > maxFrame {
		return fmt.Errorf("chat frame of %d bytes is too long: the limit is %d", len(body), maxFrame)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

func readFrame(r io.Reader) (frame, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFrame {
		return frame{}, fmt.Errorf("chat frame of %d bytes: the limit is %d", n, maxFrame)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	var f frame
	if err := json.Unmarshal(body, &f); err != nil {
		return frame{}, fmt.Errorf("parse chat frame: %w", err)
	}
	switch f.Kind {
	case hello:
		if f.From == "" || f.To == "" || f.Incarnation == 0 {
			return frame{}, errors.New("chat hello without from, to or incarnation")
		}
	case message:
		if f.Seq == 0 {
			return frame{}, errors.New("chat message without sequence number")
		}
		if len(f.Text) > MaxText || !utf8.ValidString(f.Text) {
			return frame{}, errors.New("chat message with a text that is too long or no UTF-8")
		}
	case ack:
		if f.Seq == 0 {
			return frame{}, errors.New("chat ack without sequence number")
		}
	case ping, pong:
	default:
		return frame{}, fmt.Errorf("chat frame of unknown kind %q", f.Kind)
	}
	return f, nil
}
