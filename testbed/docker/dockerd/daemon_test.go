package dockerd

import (
	"testing"
	"time"
)

func TestStamp(t *testing.T) {
	if got := Stamp(time.Unix(5, 7)); got != "5.000000007" {
		t.Error(got)
	}
}
