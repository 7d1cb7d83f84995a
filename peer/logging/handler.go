package logging

import (
	"context"
	"errors"
	"log/slog"
)

// handler is slog's text handler with the level of a layer.
type handler struct {
	log     *Log
	text    slog.Handler
	layer   string
	level   *slog.LevelVar // shared by all handlers of the layer
	grouped bool           // a group is open: attributes no longer name the layer
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	line, err := format(ctx, h.text, r)
	if err != nil {
		return err
	}
	return h.log.write(h.layer, r.Level, line)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.text = h.text.WithAttrs(attrs)
	for _, a := range attrs {
		if a.Key == "layer" && !h.grouped {
			with.layer = a.Value.Resolve().String()
			with.level = h.log.levels.of(with.layer)
		}
	}
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.text, with.grouped = h.text.WithGroup(name), true
	return &with
}

// caught is a formatted line on its way out of slog's text handler.
type caught string

func (caught) Error() string { return "a line of the log" }

// catcher is the writer of the text handlers: it returns each line as Write's
// error, which Handle passes on. This way the line meets its record's level
// and layer again, and formatting needs no lock: an attribute's own method
// may log, or take a lock that others hold while they log.
type catcher struct{}

func (catcher) Write(p []byte) (int, error) { return 0, caught(p) }

// format returns r as one line. The handler writes to a catcher.
func format(ctx context.Context, text slog.Handler, r slog.Record) (string, error) {
	err := text.Handle(ctx, r)
	if line, ok := errors.AsType[caught](err); ok {
		return string(line), nil
	}
	return "", err
}
