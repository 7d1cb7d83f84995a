package bootstrap_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"peerlab/bootstrap"
)

// golden is the example of the wire format's description.
const golden = `{
  "Config": {
    "maxpeers": 2,
    "minrefillcandidates": 2,
    "numpeers": 1
  },
  "Peers": {
    "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3": {
      "id": "71c3c0ea-e1bd-4112-97ac-1cfeeaa07bc3",
      "name": "bob",
      "ip": "127.0.0.1",
      "port": "56471",
      "protocol": "tcp",
      "status": "0",
      "timestamp": "1557509977"
    }
  }
}`

func TestEncode(t *testing.T) {
	noStatus := bob()
	noStatus.Status = ""
	tests := []struct {
		name string
		data bootstrap.Data
		want string
	}{
		{"one peer", bootstrap.Data{
			Config: bootstrap.Config{MaxPeers: 2, MinRefillCandidates: 2, NumPeers: 77},
			Peers:  map[string]bootstrap.Peer{bob().ID: bob()},
		}, golden},
		{"an empty field is left out", bootstrap.Data{
			Config: bootstrap.Config{MaxPeers: 2, MinRefillCandidates: 2},
			Peers:  map[string]bootstrap.Peer{bob().ID: noStatus},
		}, strings.Replace(golden, "      \"status\": \"0\",\n", "", 1)},
		{"nothing", bootstrap.Data{}, "{\n  \"Config\": {},\n  \"Peers\": {}\n}"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := string(test.data.Encode()); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	d, err := bootstrap.Decode([]byte(golden))
	if err != nil {
		t.Fatal(err)
	}
	if d.Config != (bootstrap.Config{MaxPeers: 2, MinRefillCandidates: 2, NumPeers: 1}) ||
		!maps.Equal(d.Peers, map[string]bootstrap.Peer{bob().ID: bob()}) {
		t.Errorf("got %+v", d)
	}
	for _, s := range []string{`{"Config":{}}`, `{"Config":{},"Peers":null}`} {
		if d, err := bootstrap.Decode([]byte(s)); err != nil || d.Peers == nil {
			t.Errorf("Decode(%s) = %+v, %v: want an empty map", s, d, err)
		}
	}
	for _, s := range []string{``, `null`, `[]`, `{}`, `{"Peers":{}}`, `{"Config":3}`, `{"Config":{},"Peers":[]}`, golden + "x"} {
		if _, err := bootstrap.Decode([]byte(s)); err == nil {
			t.Errorf("Decode(%q) succeeded", s)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"Config":{},"Peers":{"a":{"name":"<\u2028>"}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := bootstrap.Decode(b)
		if err != nil {
			return
		}
		// What was decoded survives the way to the wire and back.
		out := d.Encode()
		if !json.Valid(out) {
			t.Fatalf("Encode gave no JSON: %q", out)
		}
		again, err := bootstrap.Decode(out)
		if err != nil || !maps.Equal(again.Peers, d.Peers) || again.Config.NumPeers != len(d.Peers) {
			t.Fatalf("%+v came back as %+v, %v", d, again, err)
		}
	})
}
