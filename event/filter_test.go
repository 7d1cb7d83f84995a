package event_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"peerlab/event"
)

func TestFilter(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	kinds := func(kinds ...event.Kind) event.Filter { return event.Filter{Kinds: kinds} }
	for _, tc := range []struct {
		name string
		f    event.Filter
		kind event.Kind
		want bool
	}{
		{"all", event.Filter{}, event.MemberDead, true},
		{"no traffic unless named", event.Filter{}, event.PeerTraffic, false},
		{"no queues unless named", event.Filter{}, event.PeerQueues, false},
		{"traffic by its kind", kinds(event.PeerTraffic), event.PeerTraffic, true},
		{"traffic by all", kinds(event.All), event.PeerTraffic, true},
		{"no traffic by its layer", kinds("peer"), event.PeerTraffic, false},
		{"no queues by their layer", kinds("peer"), event.PeerQueues, false},
		{"a layer", kinds("member"), event.MemberDead, true},
		{"another layer", kinds("chat"), event.MemberDead, false},
		{"a kind", kinds(event.MemberLeft, event.MemberDead), event.MemberDead, true},
		{"since then", event.Filter{Since: now}, event.MemberDead, true},
		{"before", event.Filter{Since: now.Add(time.Second)}, event.MemberDead, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.f.Shows(event.Event{Time: now, Kind: tc.kind}); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestParseKinds(t *testing.T) {
	for words, want := range map[string]string{
		"member.dead": "", "member chat.sent": "", "all": "", "ping.sent": "", // an application's own
		"member.daed": "did you mean member.dead", "memeber": "did you mean member", "nonsense": "use all, a layer",
	} {
		_, err := event.ParseKinds(strings.Fields(words), event.Kinds())
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", words, err, want)
		}
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"5m": now.Add(-5 * time.Minute), "0s": now, "15:04": now.Add(-5 * time.Second), "15:04:05": now,
		"23:00":                time.Date(2026, 1, 1, 23, 0, 0, 0, time.UTC), // yesterday
		"2025-12-31T23:00:00Z": time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC),
	} {
		if got, err := event.ParseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "-5m", "25:00", "5"} {
		if got, err := event.ParseSince(text, now); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func FuzzParseSince(f *testing.F) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for _, text := range []string{"5m", "15:04", "2025-12-31T23:00:00Z", "1e9h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := event.ParseSince(text, now); err == nil && got.IsZero() && !strings.HasPrefix(text, "0001-") {
			t.Errorf("%q: %s", text, got)
		}
	})
}

// People see every field of an event, also one that is new.
func TestLineHasEveryField(t *testing.T) {
	e := event.Event{Time: time.Date(2026, 1, 2, 15, 4, 5, 0, time.Local)}
	v := reflect.ValueOf(&e).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Kind() == reflect.String:
			f.SetString(fmt.Sprintf("field%02d", i))
		case f.CanUint():
			f.SetUint(uint64(900 + i))
		case f.CanInt():
			f.SetInt(int64(900 + i))
		}
	}
	line := event.Line(e)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name == "Time" || name == "Seq" {
			continue
		}
		if value := fmt.Sprint(v.Field(i).Interface()); !strings.Contains(line, value) {
			t.Errorf("%s, %s, is not in %q", name, value, line)
		}
	}
	if !strings.HasPrefix(line, "15:04:05.000  ") {
		t.Errorf("%q does not begin with the time", line)
	}
	if line := event.Line(event.Event{Kind: event.PeerHealth}); !strings.HasSuffix(line, "health 0") {
		t.Errorf("a health of 0: %q", line)
	}
}
