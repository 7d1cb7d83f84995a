package logging

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// ParseLevel returns the level named debug, info, warn or error, in upper or
// lower case.
func ParseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log level %.40q: use debug, info, warn or error", s)
}

// SetLevel makes a layer log what is at level or above, from its next record
// on; the layer need not have logged yet. The layer "" stands for all: those
// set one by one, those still to come, and records of no layer.
func (l *Log) SetLevel(layer string, level slog.Level) { l.levels.set(layer, level) }

// Levels returns the level of each layer that has a logger or was set, and
// under "" that of records of no layer and of layers still to come.
func (l *Log) Levels() map[string]slog.Level { return l.levels.all() }

// levels keeps one variable for each layer, which its handlers share, so that
// a record below its level costs one atomic load.
type levels struct {
	mu   sync.Mutex
	vars map[string]*slog.LevelVar
}

func (l *levels) set(layer string, level slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.get(layer).Set(level)
	if layer == "" {
		for _, v := range l.vars {
			v.Set(level)
		}
	}
}

func (l *levels) of(layer string) *slog.LevelVar {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.get(layer)
}

// get returns the layer's variable; a new one starts with the level of "".
// The caller holds mu.
func (l *levels) get(layer string) *slog.LevelVar {
	if v, ok := l.vars[layer]; ok {
		return v
	}
	v := new(slog.LevelVar)
	if l.vars == nil {
		l.vars = map[string]*slog.LevelVar{}
	} else {
		v.Set(l.vars[""].Level())
	}
	l.vars[layer] = v
	return v
}

func (l *levels) all() map[string]slog.Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]slog.Level, len(l.vars))
	for layer, v := range l.vars {
		all[layer] = v.Level()
	}
	return all
}
