// Package sim runs clusters of real peers in one process and in virtual time.
// Its peers are those of package peer; the network between them, and between
// them and the bootstrap service, is in memory and follows testbed.Links.
//
// Run makes the time: within it, in a bubble of testing/synctest, time.Now and
// timers are virtual and time jumps ahead whenever every goroutine waits, so
// that an idle hour takes as long as computing it. docs/engines.md says what of
// a real network and a real host is modeled, and what is not.
package sim
