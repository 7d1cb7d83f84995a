package control

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"peerlab/event"
)

// maxBatch is how many bytes of events are gathered for one write.
const maxBatch = 64 << 10

func (s *server) events(w http.ResponseWriter, r *http.Request) {
	after, follow := uint64(0), false
	var err error
	query := r.URL.Query()
	if v := query.Get("after"); v != "" {
		if after, err = strconv.ParseUint(v, 10, 64); err != nil {
			fail(w, http.StatusBadRequest, fmt.Sprintf("after=%q is not the number of an event", v))
			return
		}
	}
	if v := query.Get("follow"); v != "" {
		if follow, err = strconv.ParseBool(v); err != nil {
			fail(w, http.StatusBadRequest, fmt.Sprintf("follow=%q is neither true nor false", v))
			return
		}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	rc := http.NewResponseController(w)
	_ = rc.Flush() // a follower may wait long for its first event

	events, _ := s.log.Since(after)
	for {
		for len(events) > 0 {
			var n int
			if n, err = s.sendBatch(w, rc, events); err != nil {
				return
			}
			after = events[n-1].Seq
			events = events[n:]
		}
		if !follow {
			return
		}
		// Ends when the client goes away or the log is closed.
		if events, err = s.log.Read(r.Context(), after); err != nil {
			return
		}
	}
}

// sendBatch writes as many of events as fit one batch, and returns how many.
func (s *server) sendBatch(w http.ResponseWriter, rc *http.ResponseController, events []event.Event) (int, error) {
	var b bytes.Buffer
	n := 0
	for n < len(events) && (n == 0 || b.Len() < maxBatch) {
		b.Write(events[n].Encode())
		n++
	}
	_ = rc.SetWriteDeadline(time.Now().Add(s.writeTimeout))
	if _, err := w.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return n, rc.Flush()
}
