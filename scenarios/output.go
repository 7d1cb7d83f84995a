package scenarios

import (
	"bytes"
	"fmt"
)

// maxAnswer bounds what is kept of a peer's answer to a line, in bytes. It is more
// than any command of ours prints; what runs in a container may print without end.
const maxAnswer = 16 << 20

// boundedOutput keeps what a peer answers to a line. Writing fails when that is too
// much, and with it the line.
type boundedOutput struct{ buf bytes.Buffer }

// Write implements io.Writer.
func (o *boundedOutput) Write(b []byte) (int, error) {
	if o.buf.Len()+len(b) > maxAnswer {
		return 0, fmt.Errorf("the answer has more than %d MiB", maxAnswer>>20)
	}
	return o.buf.Write(b)
}

// Bytes returns the answer.
func (o *boundedOutput) Bytes() []byte { return o.buf.Bytes() }
