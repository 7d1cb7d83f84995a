// Package suggest finds what somebody probably meant to type.
package suggest

import (
	"cmp"
	"slices"
	"strings"
)

// Similar returns up to three of names that look like word, nearest first:
// those that contain it, and those within a third of its length in edits,
// upper and lower case alike. A word of more than 100 bytes resembles nothing.
func Similar(word string, names []string) []string {
	type candidate struct {
		name string
		far  int
	}
	if len(word) > 100 {
		return nil
	}
	word = strings.ToLower(word)
	var near []candidate
	for _, name := range names {
		lower := strings.ToLower(name)
		far := distance(word, lower)
		if far <= max(1, (len(word)+1)/3) || len(word) >= 3 && strings.Contains(lower, word) {
			near = append(near, candidate{name, far})
		}
	}
	slices.SortFunc(near, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.far, b.far), cmp.Compare(a.name, b.name))
	})
	var found []string
	for _, c := range near[:min(3, len(near))] {
		found = append(found, c.name)
	}
	return found
}

// distance counts the bytes to insert, delete, replace or swap with their
// neighbor to make b of a (optimal string alignment).
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			d[i][j] = min(change, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
