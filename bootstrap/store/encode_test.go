package store

import (
	"strings"
	"testing"
	"time"
)

func TestDecodeRefuses(t *testing.T) {
	good := string(Encode(state(2, "alice@1557509977")))
	if _, err := Decode([]byte(good)); err != nil {
		t.Fatal(err)
	}
	other := state(2, "alice@1")
	e := other.Peers["alice"]
	delete(other.Peers, "alice")
	other.Peers["bob"] = e
	invalid := state(2, "alice@x")
	for name, b := range map[string]string{
		"nothing":          "",
		"other JSON":       `{"a":1}`,
		"half":             good[:len(good)/2],
		"a changed digit":  strings.Replace(good, "1557509977", "1557509978", 1),
		"another version":  strings.Replace(good, `"version":1`, `"version":2`, 1),
		"a wrong key":      string(Encode(other)),
		"an invalid peer":  string(Encode(invalid)),
		"a wrong maximum":  string(Encode(State{MaxPeers: -1})),
		"more than enough": good + strings.Repeat(" ", MaxEncoded),
	} {
		if s, err := Decode([]byte(b)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode(state(2, "alice@1557509977 bob/view@2")))
	f.Add(Encode(State{}))
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(Encode(s))
		if err != nil || !again.Equal(s) {
			t.Fatalf("%+v came back as %+v, %v", s, again, err)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add("alice", EncodeEntry(peer("alice", "1")))
	f.Fuzz(func(t *testing.T, id string, b []byte) {
		e, err := DecodeEntry(id, b)
		if err != nil {
			return
		}
		if again, err := DecodeEntry(id, EncodeEntry(e)); err != nil || again != e {
			t.Fatalf("%+v came back as %+v, %v", e, again, err)
		}
		e.Expired(time.Now())
	})
}
