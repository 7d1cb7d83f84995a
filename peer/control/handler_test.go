package control

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"peerlab/event"
	"peerlab/peer/command"
)

func handler(t *testing.T, ready func() error) http.Handler {
	t.Helper()
	l := newLab(t)
	l.log.Emit(event.Event{Kind: event.PeerStarted})
	return NewHandler(Info{Name: "alice", Ready: ready}, l.registry(t), l.log)
}

func TestBadRequests(t *testing.T) {
	h := handler(t, nil)
	long := strings.Repeat("x", bodyLimit)
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		want                     string // in the error
	}{
		{"unknown route", "GET", "/v2/exec", "", 404, "no such route /v2/exec"},
		{"escape in the route", "GET", "/%1b[2J", "", 404, "\ufffd[2J"},
		{"root", "GET", "/", "", 404, "/v1/healthz"},
		{"method", "GET", "/v1/exec", "", 405, "POST"},
		{"method of a read", "DELETE", "/v1/info", "", 405, "GET"},
		{"empty", "POST", "/v1/exec", "", 400, "empty"},
		{"no JSON", "POST", "/v1/exec", "echo hi", 400, "not as expected"},
		{"half", "POST", "/v1/exec", `{"line":"echo`, 400, "not as expected"},
		{"array", "POST", "/v1/exec", `["echo"]`, 400, "not as expected"},
		{"wrong type", "POST", "/v1/exec", `{"line":7}`, 400, "not as expected"},
		{"unknown field", "POST", "/v1/exec", `{"line":"echo","stdout":1}`, 400, "stdout"},
		{"two objects", "POST", "/v1/exec", `{"line":"echo"}{"line":"echo"}`, 400, "more than one"},
		{"neither", "POST", "/v1/exec", `{}`, 400, `either "line" or "words"`},
		{"both", "POST", "/v1/exec", `{"line":"echo","words":["echo"]}`, 400, `either "line" or "words"`},
		{"no words", "POST", "/v1/exec", `{"words":[]}`, 400, `either "line" or "words"`},
		{"NUL in a word", "POST", "/v1/exec", `{"words":["echo","\u0000"]}`, 400, "NUL"},
		{"long words", "POST", "/v1/exec", `{"words":["echo","` + long[:command.MaxLine] + `"]}`, 400, "the limit is 65536"},
		{"not UTF-8", "POST", "/v1/exec", "{\"line\":\"\xff\"}", 400, "not UTF-8"},
		{"too large", "POST", "/v1/exec", `{"line":"` + long + `"}`, 413, "5242880"},
		{"large stdin", "POST", "/v1/exec", `{"line":"cat","stdin":"` + long[:MaxStdin+1] + `"}`, 413, "1048576"},
		{"complete: no JSON", "POST", "/v1/complete", "x", 400, "not as expected"},
		{"complete: too large", "POST", "/v1/complete", `{"line":"` + long + `"}`, 413, "limit"},
		{"events: after", "GET", "/v1/events?after=-1", "", 400, `after="-1"`},
		{"events: follow", "GET", "/v1/events?follow=perhaps", "", 400, `follow="perhaps"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, strings.NewReader(tc.body)))
			if w.Code != tc.status {
				t.Errorf("status %d, want %d", w.Code, tc.status)
			}
			var f failure
			if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil {
				t.Fatalf("%q is no JSON: %v", w.Body, err)
			}
			if !strings.Contains(f.Error, tc.want) {
				t.Errorf("error %q does not say %q", f.Error, tc.want)
			}
			if strings.ContainsAny(f.Error, "\n\x1b") {
				t.Errorf("error %q is not one clean line", f.Error)
			}
		})
	}
}

func TestExecFrames(t *testing.T) {
	h := handler(t, nil)
	for _, tc := range []struct{ name, body, want string }{
		{"line", `{"line":"echo a 'b c'"}`, `{"out":"a 'b c'\n"}` + "\n" + `{"done":true}` + "\n"},
		{"words", `{"words":["echo","a b"]}`, `{"out":"'a b'\n"}` + "\n" + `{"done":true}` + "\n"},
		{"files", `{"line":"cat","files":{"a":"b"}}`, `{"done":true}` + "\n"},
		{"stdin", `{"line":"cat","stdin":"in <&>"}`, `{"out":"in <&>"}` + "\n" + `{"done":true}` + "\n"},
		{"empty line", `{"line":""}`, `{"done":true}` + "\n"},
		{"unknown", `{"line":"ecko"}`, `{"done":true,"error":"unknown command \"ecko\": did you mean echo?"}` + "\n"},
		{"failure", `{"line":"fail"}`, `{"done":true,"error":"it failed; in two lines ` + "\ufffd" + `[2J"}` + "\n"},
		{"panic", `{"line":"panic"}`, `{"done":true,"error":"internal error: by intent"}` + "\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("POST", "/v1/exec", strings.NewReader(tc.body)))
			if w.Code != 200 || w.Body.String() != tc.want {
				t.Errorf("status %d\n got %q\nwant %q", w.Code, w.Body, tc.want)
			}
		})
	}
}

func TestHealthz(t *testing.T) {
	for _, tc := range []struct {
		name   string
		ready  func() error
		status int
		want   string
	}{
		{"no check", nil, 200, "ok\n"},
		{"ready", func() error { return nil }, 200, "ok\n"},
		{"not ready", func() error { return errors.New("no member yet\x1b[2J\nreally") }, 503, "no member yet\ufffd[2J; really\n"},
		{"panic", func() error { panic("by intent") }, 500, "{\"error\":\"internal error: the peer's log has it\"}\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			handler(t, tc.ready).ServeHTTP(w, httptest.NewRequest("GET", "/v1/healthz", http.NoBody))
			if w.Code != tc.status || w.Body.String() != tc.want {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tc.status, tc.want)
			}
		})
	}
}

func TestWhole(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want int
	}{
		{"", 0},
		{"abc", 3},
		{"a€", 4},
		{"a€"[:3], 1},
		{"a€"[:2], 1},
		{"😀"[:3], 0},
		{"a\xff", 2},        // never becomes a character: no use waiting
		{"\x80\x80\x80", 3}, // the same
	} {
		if got := whole([]byte(tc.in)); got != tc.want {
			t.Errorf("whole(%q) = %d, want %d", tc.in, got, tc.want)
		}
	}
}

// A character cut in two by the command's writes arrives whole.
func TestFramesKeepCharactersWhole(t *testing.T) {
	w := httptest.NewRecorder()
	f := newFrameWriter(w, writeTimeout, func() {})
	text := strings.Repeat("€", maxFrame)
	for i := range len(text) / 7 {
		_, _ = io.WriteString(f, text[7*i:7*i+7])
	}
	_, _ = io.WriteString(f, text[len(text)/7*7:])
	f.end(nil)
	var out strings.Builder
	if err := readFrames(w.Body, &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != text {
		t.Errorf("%d bytes came back changed", out.Len())
	}
	if _, err := f.Write([]byte("late")); !errors.Is(err, errEnded) {
		t.Errorf("write after the end: %v", err)
	}
}

func FuzzDecodeExec(f *testing.F) {
	for _, s := range []string{`{"line":"echo"}`, `{"words":["echo","a b"],"stdin":"x"}`, `{"line":"execute a","files":{"a":"b"},"hold":true}`, `{}`, `[`, "\xff", `{"words":["\u0000"]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := DecodeRequest(body)
		if err != nil {
			return
		}
		if (req.Line == nil) == (len(req.Words) == 0) {
			t.Errorf("accepted %q: neither or both of line and words", body)
		}
		again, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeRequest(again); err != nil {
			t.Errorf("refused its own %q: %v", again, err)
		}
	})
}

func FuzzReadFrames(f *testing.F) {
	f.Add([]byte("{\"out\":\"a\"}\n{\"done\":true}\n"))
	f.Add([]byte("{\"done\":true,\"error\":\"e\\n\"}"))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		var out strings.Builder
		err := readFrames(strings.NewReader(string(answer)), &out)
		var failed *CommandError
		if errors.As(err, &failed) && strings.ContainsAny(failed.Error(), "\n\x1b") {
			t.Errorf("error %q is not one clean line", failed.Error())
		}
	})
}
