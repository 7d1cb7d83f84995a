// Package nearest finds what somebody probably meant to type.
package nearest

import (
	"cmp"
	"slices"
	"strings"
)

// To returns up to three of names that look like word, nearest first:
// those that contain it, and those within a third of its length in edits
// (Levenshtein distance, upper and lower case alike).
func To(word string, names []string) []string {
	type candidate struct {
		name string
		far  int
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

// distance is the Levenshtein distance of a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
