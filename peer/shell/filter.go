package shell

import (
	"io"

	"github.com/abiosoft/readline"
)

// onChange is told of every change of the line being typed.
func (e *editor) onChange(line []rune, _ int, _ rune) ([]rune, int, bool) {
	e.typed.Store(int64(len(line)))
	return nil, 0, false
}

// above shows text above the line being typed, in readline's goroutine.
func (e *editor) above(text string) { _, _ = io.WriteString(e.rl.Stdout(), text) }

// filter sees every key before readline does, in readline's goroutine. False
// means that readline ignores it but for drawing the line again, which would
// wipe what is under it in a search: so it is muted until the next key.
func (e *editor) filter(r rune) (rune, bool) {
	e.screen.mute(false)
	switch r {
	case wake:
		resized := e.resized.Swap(false)
		if resized {
			e.resize()
		}
		if text := e.notices.take(); text != "" || resized {
			e.above(text)
		}
	case deleteNext:
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
