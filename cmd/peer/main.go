// Command peer runs one peer of a cluster and talks to running ones.
package main

import "peerlab/peer/program"

// version is set by the build: -ldflags "-X main.version=…".
var version = ""

func main() { program.Program{Version: version}.Main() }
