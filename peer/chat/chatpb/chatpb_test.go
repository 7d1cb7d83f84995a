package chatpb

import (
	"os/exec"
	"testing"
)

func TestGeneratedCodeIsCurrent(t *testing.T) {
	if out, err := exec.Command("go", "run", "./generate", "-check").CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
}
