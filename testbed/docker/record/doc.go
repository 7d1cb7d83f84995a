// Package record makes events for the history of a cluster in containers, of what
// Docker has of it:
//
//   - [OutputDecoder] decodes what the container of a peer writes,
//   - [ReadLinkChanges] decodes the journal of the fabric's agent, and
//   - [ExternalEvents] decodes what Docker tells that others have done to a container.
//
// It asks Docker nothing and keeps no history: package docker opens the logs and the
// stream of events, hands them over, and adds what comes to the testbed.History.
//
// All that is decoded here was written by others, who may mean harm. What is not
// understood becomes a problem, never an event. A new action of Docker's is a case in
// ExternalEvents.Decode, and its name stands in [EventFilters]; a new kind of peer is
// an adapter.
package record
