package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestInEach(t *testing.T) {
	wrong := errors.New("bob: wrong")
	do := func(name string, out, errs io.Writer) error {
		fmt.Fprint(out, "one\ntwo ")
		fmt.Fprintf(out, "of %s", name)
		fmt.Fprintln(errs, "log")
		if name == "bob" {
			return wrong
		}
		return nil
	}
	var out, errs strings.Builder
	if err := inEach([]string{"alice"}, asItComes, &out, &errs, do); err != nil || out.String() != "one\ntwo of alice" || errs.String() != "log\n" {
		t.Errorf("one: %v, %q, %q", err, &out, &errs)
	}
	out.Reset()
	errs.Reset()
	err := inEach([]string{"alice", "bob"}, asItComes, &out, &errs, do)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	slices.Sort(lines)
	want := []string{"alice | one", "alice | two of alice", "bob   | one", "bob   | two of bob"}
	if !errors.Is(err, wrong) || !slices.Equal(lines, want) || strings.Count(errs.String(), " | log\n") != 2 {
		t.Errorf("two: %v, %q, %q", err, lines, &errs)
	}
}

func TestPrefixWriterBoundsALine(t *testing.T) {
	var out strings.Builder
	if err := inEach([]string{"a", "b"}, asItComes, &out, io.Discard, func(_ string, out, _ io.Writer) error {
		for range 3 {
			if _, err := out.Write(make([]byte, prefixLimit)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil || strings.Count(out.String(), " | ") != 6 {
		t.Errorf("%v, %d lines", err, strings.Count(out.String(), " | "))
	}
}

// TestAnswersInOrder has the last of three answer first.
func TestAnswersInOrder(t *testing.T) {
	for _, test := range []struct {
		name     string
		order    order
		takes    time.Duration // of the first, half of it of the second
		lines    int           // of the second
		last     string        // whose line is the last one
		together bool          // do they run at the same time
	}{
		{"soon", namesIfSoon, holdTimeout / 2, 1, "c", true},
		{"late", namesIfSoon, 10 * holdTimeout, 1, "a", true},
		{"much", namesIfSoon, holdTimeout / 2, 2 * holdLimit, "a", true},
		{"as it comes", asItComes, holdTimeout / 2, 1, "a", true},
		{"one by one", oneByOne, 10 * holdTimeout, 1, "c", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var out strings.Builder
				err := inEach([]string{"a", "b", "c"}, test.order, &out, &out, func(name string, out, _ io.Writer) error {
					lines := 1
					switch name {
					case "a":
						time.Sleep(test.takes)
					case "b":
						time.Sleep(test.takes / 2)
						lines = test.lines
					}
					_, err := io.WriteString(out, strings.Repeat("\n", lines))
					return err
				})
				lines := strings.Fields(strings.ReplaceAll(out.String(), "|", ""))
				if want := 2 + test.lines; err != nil || len(lines) != want || lines[want-1] != test.last {
					t.Errorf("%v, %d lines, the last of %s, want %d and %s", err, len(lines), lines[len(lines)-1], want, test.last)
				}
				if together := time.Since(began) == test.takes; together != test.together {
					t.Errorf("it took %s", time.Since(began))
				}
			})
		})
	}
}
