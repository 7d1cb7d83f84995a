package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

func sinceFlag(flags *pflag.FlagSet, since *string) {
	flags.StringVar(since, "since", "", "only from `WHEN` on: 5m ago, at 15:04:05 today, or a time such as 2026-01-02T15:04:05Z")
}

// parseSince reads a --since: how long ago, a time of today or of yesterday if
// that is yet to come, or a time of RFC 3339. "" is the zero time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		clock, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		year, month, day := now.Date()
		t := time.Date(year, month, day, clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(), now.Location())
		if t.After(now) {
			t = time.Date(year, month, day-1, clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(), now.Location())
		}
		return t, nil
	}
	return time.Time{}, fmt.Errorf("--since %q: want how long ago, such as 5m, or a time such as 15:04:05 or 2026-01-02T15:04:05Z", text)
}
