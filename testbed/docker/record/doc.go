// Package record fills the history of a cluster in containers. A [Recorder] follows one
// cluster and records
//
//   - what the peers report: an outputDecoder for each container,
//   - what others do to containers: externalEvents, of what Docker tells,
//   - changes of links: decodeLinkChanges, of the journal of the fabric's agent, and
//   - what was done before anybody looked, as far as Docker remembers (past.go).
//
// [Recorder.Reported] returns the same for a cluster that nobody followed. Recorder
// changes nothing in a cluster: its caller, package docker, does, and says so before
// ([Recorder.Expect]), so that its own actions are not recorded as somebody else's.
//
// All that is decoded here was written by others, who may mean harm. What is not
// understood becomes a problem, never an event. A new action of Docker's is a case in
// externalEvents.Decode, and its name stands in eventFilters; a new kind of peer is
// an adapter.
package record
