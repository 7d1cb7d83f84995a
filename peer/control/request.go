package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"peerlab/internal/terminal"
	"peerlab/peer/command"
)

// MaxStdin is how much standard input a command can be given, in bytes.
// MaxFiles is how much the files that are given with it can hold together.
const (
	MaxStdin = 1 << 20
	MaxFiles = 1 << 20
)

// maxName is the longest name of a shell or a command, in bytes.
const maxName = 64

// Request is the body of exec: a line, which the peer splits, or its words.
type Request struct {
	Line  *string  `json:"line,omitempty"`
	Words []string `json:"words,omitempty"`
	Stdin *string  `json:"stdin,omitempty"` // nil is none, which is not an empty one
	// Files are what relative names mean to the command, by slash-separated
	// path. Without them relative names are as the peer's process sees them.
	Files map[string]string `json:"files,omitzero"`
	// Color says that the output goes to a terminal that takes colors.
	Color bool `json:"colour,omitempty"` //nolint:misspell // it was written so first
	// Columns is the width of that terminal; 0: there is none, or it is not known.
	Columns int `json:"columns,omitempty"`
	// Shell names the shell in which the line was typed; empty: nobody typed it.
	Shell string `json:"shell,omitempty"`
	// ID names the command for interrupt. A Client chooses it.
	ID string `json:"id,omitempty"`
	// Hold is for peer exec -, which reads a Request as the first line of its
	// standard input: the command is to be canceled when that ends.
	Hold bool `json:"hold,omitempty"`
}

// Encode returns the request as one line of JSON.
func (r Request) Encode() ([]byte, error) {
	if err := r.checkUTF8(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	if len(b) > bodyLimit { // the server would hang up on it
		return nil, errBodySize(len(b))
	}
	return append(b, '\n'), nil
}

// checkUTF8 refuses what JSON would carry as something else.
func (r Request) checkUTF8() error {
	if r.Line != nil && !utf8.ValidString(*r.Line) || !utf8.ValidString(strings.Join(r.Words, " ")) {
		return &CommandError{"line is not valid UTF-8"}
	}
	return nil
}

// caller is who runs the command.
func (r Request) caller() command.Caller {
	return command.Caller{Color: r.Color, Columns: min(max(r.Columns, 0), maxColumns), Shell: r.Shell}
}

// maxColumns is the widest terminal that a caller can have.
const maxColumns = 1000

type interruptRequest struct {
	ID string `json:"id"`
}

type completeRequest struct {
	Line string `json:"line"`
}

type completeReply struct {
	Candidates []string `json:"candidates"`
	Word       string   `json:"word"`
}

// readBody reads a request's body to its end: only then does net/http notice
// that the client has gone. It answers for itself when it returns false.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(readTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyLimit))
	// Past its deadline the connection would count as lost while the command runs.
	_ = rc.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("request of more than %d bytes: that is the limit", large.Limit))
	case err != nil:
		fail(w, http.StatusBadRequest, "read request: "+err.Error())
	}
	return body, err == nil
}

// decode reads exactly one JSON object with known fields.
func decode(body []byte, v any) error {
	if !utf8.Valid(body) {
		return errors.New("the request is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("the request is empty: it must be a JSON object")
		}
		return fmt.Errorf("the request is not as expected: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the request has more than one JSON object")
	}
	return nil
}

var errStdinSize = fmt.Errorf("standard input is over the limit of %d bytes", MaxStdin)

func errBodySize(n int) error {
	return fmt.Errorf("request of %d bytes is too long: the limit is %d", n, bodyLimit)
}

// DecodeRequest parses the body of an exec request.
func DecodeRequest(body []byte) (Request, error) {
	var req Request
	if err := decode(body, &req); err != nil {
		return Request{}, err
	}
	size := 0
	for _, w := range req.Words {
		size += len(w) + 1
		if strings.ContainsRune(w, 0) {
			return Request{}, errors.New("a word holds a NUL character")
		}
	}
	switch {
	case (req.Line == nil) == (len(req.Words) == 0):
		return Request{}, errors.New(`the request needs either "line" or "words"`)
	case size > command.MaxLine:
		return Request{}, fmt.Errorf("words of %d bytes are too long: the limit is %d", size, command.MaxLine)
	case req.Stdin != nil && len(*req.Stdin) > MaxStdin:
		return Request{}, errStdinSize
	case len(req.Shell) > maxName || terminal.Line(req.Shell) != req.Shell, len(req.ID) > maxName:
		return Request{}, fmt.Errorf("shell and id are names of at most %d bytes", maxName)
	}
	size = 0
	for name, text := range req.Files {
		size += len(name) + len(text)
	}
	if size > MaxFiles {
		return Request{}, fmt.Errorf("files of %d bytes are over the limit of %d", size, MaxFiles)
	}
	return req, nil
}
