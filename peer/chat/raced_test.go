//go:build race

package chat

// raced has tests of random schedules try fewer: the race detector makes them ten
// times slower.
const raced = true
