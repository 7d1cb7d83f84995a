package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
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
	if err := inEach([]string{"alice"}, &out, &errs, do); err != nil || out.String() != "one\ntwo of alice" || errs.String() != "log\n" {
		t.Errorf("one: %v, %q, %q", err, &out, &errs)
	}
	out.Reset()
	errs.Reset()
	err := inEach([]string{"alice", "bob"}, &out, &errs, do)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	slices.Sort(lines)
	want := []string{"alice | one", "alice | two of alice", "bob   | one", "bob   | two of bob"}
	if !errors.Is(err, wrong) || !slices.Equal(lines, want) || strings.Count(errs.String(), " | log\n") != 2 {
		t.Errorf("two: %v, %q, %q", err, lines, &errs)
	}
}

func TestPrefixWriterBoundsALine(t *testing.T) {
	var out strings.Builder
	if err := inEach([]string{"a", "b"}, &out, io.Discard, func(_ string, out, _ io.Writer) error {
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
