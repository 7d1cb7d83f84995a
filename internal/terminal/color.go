package terminal

import (
	"os"
	"regexp"
	"strings"
)

// Color is a terminal's color or weight for text, as an SGR parameter.
type Color string

// The colors Peerlab uses. Plain is none.
const (
	Plain  Color = ""
	Bold   Color = "1"
	Dim    Color = "2"
	Red    Color = "31"
	Green  Color = "32"
	Yellow Color = "33"
)

// Paint returns text, which must be safe already, in the color.
func (c Color) Paint(text string) string {
	if c == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// painted matches exactly what Paint adds.
var painted = regexp.MustCompile("\x1b\\[(?:0|1|2|31|32|33)m")

// CleanPainted is Clean for text that Paint may have colored: the colors
// stay, and nothing else that a terminal would act on.
func CleanPainted(s string) string {
	var b strings.Builder
	for at := 0; at < len(s); {
		loc := painted.FindStringIndex(s[at:])
		if loc == nil {
			b.WriteString(Clean(s[at:]))
			break
		}
		b.WriteString(Clean(s[at : at+loc[0]]))
		b.WriteString(s[at+loc[0] : at+loc[1]])
		at += loc[1]
	}
	return b.String()
}

// Unfinished returns the length of a sequence begun at the end of b that could
// still become one of Paint's, 0 if there is none.
func Unfinished(b []byte) int {
	const longest = len("\x1b[31")
	for n := min(len(b), longest); n > 0; n-- {
		tail := string(b[len(b)-n:])
		for _, c := range []string{"0", string(Bold), string(Dim), string(Red), string(Green), string(Yellow)} {
			if whole := "\x1b[" + c + "m"; len(tail) < len(whole) && strings.HasPrefix(whole, tail) {
				return n
			}
		}
	}
	return 0
}

// TakesColor says whether f is a terminal whose user has not set NO_COLOR
// (no-color.org) and that is not dumb.
func TakesColor(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
