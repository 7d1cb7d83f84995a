package logging

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(io.Discard, slog.LevelDebug)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		loggers := map[string]*slog.Logger{
			"": l.Logger(), "chat": l.Logger().With("layer", "chat"), "membership": l.Logger().With("layer", "membership"),
		}
		loggers["chat"].Error("before")
		filters := []struct {
			filter Filter
			want   string
			got    []string
		}{
			{filter: Filter{}, want: "[INFO ERROR chat:INFO chat:ERROR membership:INFO membership:ERROR]"},
			{filter: Filter{Level: slog.LevelError}, want: "[ERROR chat:ERROR membership:ERROR]"},
			{filter: Filter{Layer: "chat", Level: slog.LevelDebug}, want: "[chat:DEBUG chat:INFO chat:ERROR]"},
			{filter: Filter{Layer: "membership", Level: slog.LevelWarn}, want: "[membership:ERROR]"},
			{filter: Filter{Layer: "none", Level: slog.LevelDebug}, want: "[]"},
		}
		for i := range filters {
			f := &filters[i]
			go func() {
				err := l.Follow(ctx, f.filter, func(line string) {
					_, what, _ := strings.Cut(line, "what=")
					f.got = append(f.got, what)
				})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%+v: error %v", f.filter, err)
				}
			}()
		}
		synctest.Wait()
		for _, layer := range []string{"", "chat", "membership"} {
			for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelError} {
				loggers[layer].Log(ctx, level, "m", "what", strings.TrimPrefix(layer+":"+level.String(), ":"))
			}
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		loggers["chat"].Error("after")
		for _, f := range filters {
			if got := fmt.Sprint(f.got); got != f.want {
				t.Errorf("%+v: %s, want %s", f.filter, got, f.want)
			}
		}
		if len(l.followers) != 0 {
			t.Errorf("%d followers left", len(l.followers))
		}
	})
}

func TestSlowFollowerIsToldWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(io.Discard, slog.LevelInfo)
		log := l.Logger()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		resume := make(chan struct{})
		var got []string
		go func() {
			_ = l.Follow(ctx, Filter{}, func(line string) {
				if len(got) == 0 {
					<-resume
				}
				got = append(got, line[strings.LastIndex(line, " ")+1:])
			})
		}()
		synctest.Wait()
		var want []string
		say := func(n int) {
			for range n {
				line := fmt.Sprint("msg=", len(want))
				want = append(want, line)
				log.Info(strings.TrimPrefix(line, "msg="))
			}
		}
		say(1)
		synctest.Wait() // it has taken that line, and holds on to it
		say(queued + 7)
		want = append(want[:1+queued], "7)")
		close(resume)
		synctest.Wait()
		say(2)
		synctest.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}

func TestFollowEndsBetweenLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(io.Discard, slog.LevelInfo)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		calls := 0
		go func() {
			_ = l.Follow(ctx, Filter{}, func(string) {
				calls++
				if calls == 1 { // two lines are left of this batch
					l.Logger().Info("2")
					l.Logger().Info("3")
				}
				if calls == 2 {
					cancel()
				}
			})
		}()
		synctest.Wait()
		l.Logger().Info("1")
		synctest.Wait()
		if calls != 2 {
			t.Errorf("%d calls", calls)
		}
	})
}
