package shell

import (
	"io"
	"slices"

	"github.com/abiosoft/readline"

	"peerlab/peer/shell/keyboard"
)

// onChange is told of every change of the line being typed, and may change it:
// by readline's goroutine, and where a line begins by the one that reads it.
func (e *editor) onChange(line []rune, pos int, key rune) ([]rune, int, bool) {
	e.change.Lock()
	defer e.change.Unlock()
	before, at := e.line, e.pos
	changed := false
	if !e.rl.Operation.IsSearchMode() {
		line, pos, changed = wholeCharacters(before, at, line, pos, key)
	}
	e.line, e.pos = slices.Clone(line), pos
	e.typed.Store(int64(len(line)))
	return line, pos, changed
}

// tabRepeated reports whether the latest two keys were TABs.
func (e *editor) tabRepeated() bool { return e.tabs > 1 }

// above shows text above the line being typed, in readline's goroutine.
func (e *editor) above(text string) { _, _ = io.WriteString(e.rl.Stdout(), text) }

// filter sees every key before readline does, in readline's goroutine. False
// means that readline ignores it but for drawing the line again, which would
// wipe what is under it in a search: so it is muted until the next key.
func (e *editor) filter(r rune) (rune, bool) {
	e.screen.mute(false)
	switch r {
	case keyboard.Wake:
	case readline.CharTab:
		e.tabs++
	default:
		e.tabs = 0
	}
	switch r {
	case keyboard.Wake:
		resized := e.resized.Swap(false)
		if resized {
			e.resize()
		}
		if text := e.notices.take(); text != "" || resized {
			e.above(text)
		}
	case keyboard.DeleteNext:
		e.delete = true
	case readline.CharDelete:
		atEnd := e.delete && e.typed.Load() == 0
		e.delete = false
		if !atEnd {
			return r, true
		}
		e.rl.Terminal.KickRead() // readline waits after this key for what it thinks is its end
	case readline.CharBckSearch, readline.CharFwdSearch:
		if len(e.history.lines) > 0 {
			return r, true
		}
		// readline cannot leave the search of an empty history without a panic.
	default:
		return r, true
	}
	e.screen.mute(true)
	return r, false
}
