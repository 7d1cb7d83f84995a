// Package cloudfunctions is the root of what is uploaded: the platform looks
// for a function there and nowhere else.
package cloudfunctions

import _ "peerlab/bootstrap/function" // registers "Bootstrap"
