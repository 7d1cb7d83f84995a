// Package fabric cuts and degrades the links between peers for real: with
// rules in the kernel of the host that carries them, on the bridge they share.
//
// A [Matrix] says what happens to the packets of each ordered pair of
// addresses. An [Agent], a small program with the host's network and the
// capability NET_ADMIN, keeps one matrix in force; a [Client] tells it which.
// Peers take no part and need no privilege.
//
//	lab ── Client ── @socket ── Agent ──┬─ nftables, family bridge: drop, loss, size, which queue
//	                                    └─ htb, netem, tbf on the bridge's ports: delay, jitter, rate …
//
// # What passes
//
// A rule sees IPv4 packets that the bridge forwards from one port to another.
// ARP always passes. It carries nothing of a peer's, a link cut in one
// direction could not work in the other without it, a sender that gets no
// answer to ARP sees "no route to host" where a real partition is silent, and
// a cache that went stale during a cut would delay the heal by up to a second.
// Packets between a peer and the host itself are no link between peers.
//
// # Rules and time
//
// A matrix is replaced whole, in one transaction of nftables: there is no
// instant with half of it, or with none. Rules go by address, so they are in
// force before a peer starts and still there when it comes back. A link that
// is to be shaped passes nothing until the port of its destination has the
// queues for it. Rules live as long as their lease, see [Client.Apply]; where
// the kernel can (Linux 5.12), they belong to the agent's socket, so that even
// an agent killed leaves none.
//
// # Measuring
//
// [Probe] is what runs beside a peer to send and count packets, [Measure]
// drives one at each end of every pair in question, and [Matrix.Check]
// compares what was measured with what was declared.
package fabric
