//go:build !unix

package control

// protectSocket does nothing: here the rights to the directory protect a socket.
func protectSocket(uintptr) {}

// lockDir locks nothing, for directories have no locks here.
func lockDir(string) (unlock func()) { return func() {} }
