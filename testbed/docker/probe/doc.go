// Package probe runs containers of the fabric's image beside the peers of a cluster: it
// tries what the host can do ([Features], [TryBridge]) and measures links.
//
// A [Set] holds the probes of one cluster, each in the network of a peer, and
// [Set.Prepare] returns a [Verification], which measures whether links do what they
// should. What is measured is decided in package fabric, which has the packets; this
// package has the containers. It changes no links: package docker does, and calls it
// before and after. [CreateContainer] is for the container of the fabric's agent, too.
package probe
