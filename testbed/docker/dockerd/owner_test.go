package dockerd

import (
	"cmp"
	"strings"
	"testing"
)

func TestOwner(t *testing.T) {
	const dead = "2147483646"
	host, _, _ := strings.Cut(string(ThisProcess()), "/")
	for _, test := range []struct {
		name string
		o    Owner
		gone bool
	}{
		{"this process", ThisProcess(), false},
		{"one that had this id before", changedOwner(ownerStart, "1"), true},
		{"one that has ended", changedOwner(ownerPID, dead), true},
		{"one of another host", changedOwner(ownerPID, dead, ownerHost, "elsewhere"), false},
		// A lab in a container on the host's network has the host's name, too.
		{"one of another namespace", changedOwner(ownerPID, dead, ownerNamespace, "pid:[1]"), false},
		{"one of an earlier boot, whose id lives", changedOwner(ownerBoot, "before", ownerMachine, cmp.Or(machine(), "none")), machine() != ""},
		{"one of a machine of the same name", changedOwner(ownerPID, dead, ownerBoot, "its own", ownerMachine, "another"), false},
		{"one of a machine without an id", changedOwner(ownerPID, dead, ownerBoot, "its own", ownerMachine, ""), false},
		{"of a peerlab that did not tell the namespace", Owner(host + "/" + dead + "/1"), false},
		{"something", "something", false},
		{"nothing", "", false},
		{"no number", changedOwner(ownerPID, "x"), false},
		{"no process", changedOwner(ownerPID, "0"), false},
	} {
		if got := test.o.gone(); got != test.gone {
			t.Errorf("%s, %s: gone is %t", test.name, test.o, got)
		}
	}
}

// changedOwner is this process but for some fields.
func changedOwner(changes ...any) Owner {
	fields := strings.Split(string(ThisProcess()), "/")
	for i := 0; i < len(changes); i += 2 {
		fields[changes[i].(int)] = changes[i+1].(string)
	}
	return Owner(strings.Join(fields, "/"))
}
