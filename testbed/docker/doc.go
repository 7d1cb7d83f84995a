// Package docker is the engine on containers: the bootstrap service and each peer run
// in a container of their own, on a network of their own. A peer keeps its container,
// and with it its address and everything it reported, through all its lives.
//
//   - [Create] makes a cluster and [Find] finds one. Both return a [Cluster], which is a
//     testbed.Engine. [NewFactory] is for package scenarios.
//   - Package dockerd has the connection to the daemon, which both take, the list of
//     containers, and the watchdog that cleans up.
//   - Package record fills the history: with what the peers report and what anybody does
//     to them.
//   - Package probe measures links, from containers beside the peers.
//   - Package adapter knows how to talk to the program in a container; package fabric
//     changes links.
//
// The callers are cmd/peerlab and tests. A new kind of peer is an adapter; a new
// command for peers is a method of Cluster.
package docker
