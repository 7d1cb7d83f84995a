// Package commandtest has what every way to a peer's commands is tested with.
package commandtest

// Text is a line, and the text that the command of that line is given.
type Text struct{ Line, Want string }

// Texts are lines for msg. Whichever way a line takes to a peer, the text
// arrives byte by byte.
func Texts() []Text {
	return []Text{
		{"msg issue #1 is done", "issue #1 is done"},
		{"msg #1", "#1"},
		{"msg it's fine", "it's fine"},
		{`msg C:\dir\new`, `C:\dir\new`},
		{"msg a   b", "a   b"},
		{"msg -1 is a number", "-1 is a number"},
		{"msg it costs $5", "it costs $5"},
		{"msg it costs $unset ${unset}", "it costs $unset ${unset}"},
		{"msg a & b", "a & b"},
		{"msg 'before the split'", "before the split"},
		{`msg "it's"`, "it's"},
		{"msg 'a' and 'b'", "'a' and 'b'"},
		{`msg say "hi" \n`, `say "hi" \n`},
		{"msg 'a &'", "a &"},
		{"msg 'three  blanks   '", "three  blanks   "},
		{"msg -- -wait", "-wait"},
		{"msg hello -format json", "hello -format json"},
		{"/msg slash", "slash"},
		{"msg -format json ü € 'x", "ü € 'x"},
	}
}
