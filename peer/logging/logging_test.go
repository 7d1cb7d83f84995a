package logging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"

	"go.uber.org/goleak"

	"peerlab/peer/files"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHandlerConformance(t *testing.T) {
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return New(&out, slog.LevelInfo).Logger().Handler()
	}, func(t *testing.T) map[string]any { return parse(t, out.String()) })
}

// parse reads one line of slog text; groups become maps.
func parse(t *testing.T, line string) map[string]any {
	top := map[string]any{}
	for field := range strings.FieldsSeq(line) {
		path, value, ok := strings.Cut(field, "=")
		if !ok {
			t.Fatalf("field %q in %q", field, line)
		}
		keys := strings.Split(path, ".")
		at := top
		for _, group := range keys[:len(keys)-1] {
			if at[group] == nil {
				at[group] = map[string]any{}
			}
			at = at[group].(map[string]any)
		}
		at[keys[len(keys)-1]] = value
	}
	return top
}

func TestLayerSelectsTheLevel(t *testing.T) {
	var out bytes.Buffer
	l := New(&out, slog.LevelWarn)
	log := l.Logger().With("peer", "alice")
	l.SetLevel("chat", slog.LevelDebug)
	for _, tc := range []struct {
		name string
		log  *slog.Logger
		want bool // info is logged
	}{
		{"no layer", log, false},
		{"the layer", log.With("layer", "chat"), true},
		{"among others", log.With("a", 1, "layer", "chat", "b", 2), true},
		{"not a string", log.With("layer", stringer{}), true},
		{"a value to resolve", log.With("layer", valuer{}), true},
		{"another layer", log.With("layer", "membership"), false},
		{"the latest counts", log.With("layer", "membership").With("layer", "chat"), true},
		{"the latest counts, none", log.With("layer", "chat").With("layer", ""), false},
		{"below", log.With("layer", "chat").With("to", "bob").WithGroup("g").With("a", 1), true},
		{"in a group", log.WithGroup("g").With("layer", "chat"), false},
		{"in an empty group", log.WithGroup("").With("layer", "chat"), true},
		{"of the record only", log.With("a", "layer"), false},
	} {
		out.Reset()
		tc.log.Info("hello", "layer", "chat")
		if got := strings.Contains(out.String(), "peer=alice"); got != tc.want {
			t.Errorf("%s: logged %v, want %v", tc.name, got, tc.want)
		}
	}
}

type stringer struct{}

func (stringer) String() string { return "chat" }

type valuer struct{}

func (valuer) LogValue() slog.Value { return slog.StringValue("chat") }

func TestSetLevel(t *testing.T) {
	l := New(io.Discard, slog.LevelInfo)
	log := l.Logger()
	chat := log.With("layer", "chat")
	steps := []struct {
		layer string
		level slog.Level
		want  map[string]slog.Level
	}{
		{"chat", slog.LevelDebug, map[string]slog.Level{"": 0, "chat": -4}},
		{"membership", slog.LevelError, map[string]slog.Level{"": 0, "chat": -4, "membership": 8}},
		{"", slog.LevelWarn, map[string]slog.Level{"": 4, "chat": 4, "membership": 4}},
		{"chat", slog.LevelInfo, map[string]slog.Level{"": 4, "chat": 0, "membership": 4}},
	}
	for _, s := range steps {
		l.SetLevel(s.layer, s.level)
		if got := l.Levels(); !maps.Equal(got, s.want) {
			t.Fatalf("after %q %v: %v, want %v", s.layer, s.level, got, s.want)
		}
		for layer, log := range map[string]*slog.Logger{"": log, "chat": chat} {
			level := s.want[layer]
			if !log.Enabled(t.Context(), level) || log.Enabled(t.Context(), level-1) {
				t.Errorf("after %q %v: layer %q is not at %v", s.layer, s.level, layer, level)
			}
		}
	}
	if log.With("layer", "new"); l.Levels()["new"] != slog.LevelWarn {
		t.Errorf("a new layer begins at %v", l.Levels()["new"])
	}
}

func TestParseLevel(t *testing.T) {
	for s, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "WARN": slog.LevelWarn, "Error": slog.LevelError,
	} {
		if got, err := ParseLevel(s); err != nil || got != want {
			t.Errorf("ParseLevel(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "warning", "info+1", " info", "4", "\x1b[2J\n", strings.Repeat("x", 1<<20)} {
		_, err := ParseLevel(s)
		if err == nil || !strings.HasSuffix(err.Error(), ": use debug, info, warn or error") ||
			len(err.Error()) > 120 || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("ParseLevel(%.20q): %.200v", s, err)
		}
	}
}

func TestRecent(t *testing.T) {
	for _, tc := range []struct {
		logged, n   int
		first, last int // of the lines returned, counted from 0
	}{
		{0, 5, 0, -1},
		{3, 5, 0, 2},
		{3, 2, 1, 2},
		{3, 0, 0, -1},
		{3, -1, 0, -1},
		{kept, kept, 0, kept - 1},
		{kept + 7, 3, kept + 4, kept + 6},
		{3*kept + 1, 1 << 62, 2*kept + 1, 3 * kept},
	} {
		l := New(io.Discard, slog.LevelInfo)
		log := l.Logger()
		for i := range tc.logged {
			log.Info("m", "i", i)
		}
		var want []string
		for i := tc.first; i <= tc.last; i++ {
			want = append(want, fmt.Sprint("i=", i))
		}
		var got []string
		for _, line := range l.Recent(tc.n) {
			got = append(got, line[strings.LastIndex(line, "i="):])
		}
		if !slices.Equal(got, want) {
			t.Errorf("Recent(%d) of %d lines: %v, want %v", tc.n, tc.logged, got, want)
		}
	}
}

func TestLongLineIsCutInMemoryOnly(t *testing.T) {
	var out bytes.Buffer
	l := New(&out, slog.LevelInfo)
	l.Logger().Info(strings.Repeat("ä", 1<<20))
	if out.Len() < 2<<20 {
		t.Errorf("the writer got %d bytes", out.Len())
	}
	line := l.Recent(1)[0]
	if len(line) > maxKept+len("…") || !strings.HasSuffix(line, "ä…") || strings.Contains(line, "\ufffd") {
		t.Errorf("kept %d bytes, to %q", len(line), line[len(line)-9:])
	}
}

// loud logs while it is formatted, as an attribute's method may.
type loud struct{ log *slog.Logger }

func (l loud) MarshalText() ([]byte, error) {
	l.log.Info("inner")
	return []byte("loud"), nil
}

func TestAttributeMayLog(t *testing.T) {
	var out bytes.Buffer
	log := New(&out, slog.LevelInfo).Logger()
	log.Info("outer", "a", loud{log})
	inner, outer := strings.Index(out.String(), "msg=inner\n"), strings.Index(out.String(), "msg=outer a=loud\n")
	if inner < 0 || outer < inner {
		t.Errorf("got %q", out.String())
	}
}

// broken is a writer that takes nothing.
type broken struct{ err error }

func (w broken) Write([]byte) (int, error) { return 0, w.err }

func TestBrokenWriterLosesNothingElse(t *testing.T) {
	gone := errors.New("gone")
	l := New(broken{gone}, slog.LevelInfo)
	r := slog.Record{Message: "hello"}
	if err := l.Logger().Handler().Handle(t.Context(), r); !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
	if got := l.Recent(2); len(got) != 1 || !strings.Contains(got[0], "msg=hello") {
		t.Errorf("kept %q", got)
	}
}

func TestConcurrently(t *testing.T) {
	const writers, each = 4, 500
	var out bytes.Buffer
	l := New(&out, slog.LevelInfo)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var logging, others sync.WaitGroup
	for w := range writers {
		logging.Go(func() {
			log := l.Logger().With("layer", fmt.Sprint("l", w))
			for i := range each {
				log.Info("m", "i", i)
				log.Debug("hidden or not")
			}
		})
	}
	others.Go(func() {
		if err := l.Follow(ctx, Filter{}, func(string) { l.Recent(3) }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	for range 2 {
		others.Go(func() {
			for ctx.Err() == nil {
				l.SetLevel("l1", slog.LevelInfo)
				l.SetLevel("", slog.LevelInfo)
				l.Levels()
				if err := l.On(files.OS{}, dir+"/log"); err != nil {
					t.Error(err)
				}
				_ = l.File()
				_ = l.Off() // the other may have been first
			}
		})
	}
	logging.Wait()
	cancel()
	others.Wait()
	for w := range writers {
		at := -1
		for i := range each {
			next := strings.Index(out.String(), fmt.Sprintf(" msg=m layer=l%d i=%d\n", w, i))
			if next <= at {
				t.Fatalf("line %d of writer %d is missing, torn or out of order", i, w)
			}
			at = next
		}
	}
	if n := strings.Count(out.String(), "\n"); n != writers*each {
		t.Errorf("%d lines, want %d", n, writers*each)
	}
}

func BenchmarkLog(b *testing.B) {
	text := slog.New(slog.NewTextHandler(io.Discard, nil))
	for _, h := range []struct {
		name string
		log  *slog.Logger
	}{{"slog", text}, {"logging", New(io.Discard, slog.LevelInfo).Logger()}} {
		log := h.log.With("layer", "chat")
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
			b.Run(fmt.Sprintf("%s/%v", h.name, level), func(b *testing.B) {
				ctx := b.Context()
				b.ReportAllocs()
				for b.Loop() {
					log.Log(ctx, level, "delivered", "from", "bob", "bytes", 12)
				}
			})
		}
	}
}
