package main

import "testing"

func TestProfileOfUp(t *testing.T) {
	for _, test := range []struct {
		asked string
		peers int
		want  string
	}{{"", 5, "local"}, {"", 10, "local"}, {"", 11, "lan"}, {"local", 50, "local"}, {"wan", 5, "wan"}} {
		var f upFlags
		f.Profile = test.asked
		o, err := f.options("", test.peers)
		if err != nil || o.Settings["profile"] != test.want {
			t.Errorf("%d peers, asked for %q: %q, %v, want %q", test.peers, test.asked, o.Settings["profile"], err, test.want)
		}
	}
}
