//go:build !unix

package host

// openFiles knows no limit of this program.
func openFiles() limit {
	return limit{name: "open files", room: -1, has: "the limit cannot be read"}
}
