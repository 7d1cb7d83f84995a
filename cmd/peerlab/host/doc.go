// Package host examines the machine that peerlab and Docker run on: the kernel,
// its limits, ports, proxies and the firewall. It only looks; what a user can do
// about a finding is part of it.
//
// Each function returns one Check or several, in the order in which "peerlab
// doctor" shows them. A new check is a function that returns a Check, and a line in
// doctor.go.
package host

// Check is one finding about this machine.
type Check struct {
	Name  string `json:"name"`
	State string `json:"state"` // ok, missing or unknown
	Found string `json:"found"`
	Mend  string `json:"mend,omitempty"` // what the user can do about it
	Need  bool   `json:"-"`              // without it no cluster can be started
}
