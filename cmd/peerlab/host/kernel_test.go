package host

import (
	"slices"
	"testing"
	"testing/fstest"

	"peerlab/testbed/fabric"
)

func TestKernel(t *testing.T) {
	netem := features[slices.IndexFunc(features, func(f feature) bool { return f.module == "sch_netem" })]
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	release := file("6.1.0-x\n")
	for _, test := range []struct {
		name, want string
		root       fstest.MapFS
	}{
		{"nothing can be read", "unknown", fstest.MapFS{}},
		{"loaded", "ok", fstest.MapFS{"proc/modules": file("sch_netem 16384 0 - Live 0x0\n")}},
		{"on disk", "ok", fstest.MapFS{"proc/sys/kernel/osrelease": release, "lib/modules/6.1.0-x/modules.dep": file("kernel/net/sched/sch_netem.ko.xz:\n")}},
		{"on no disk", "missing", fstest.MapFS{"proc/sys/kernel/osrelease": release, "boot/config-6.1.0-x": file("CONFIG_NET_SCH_NETEM=m\n"), "lib/modules/6.1.0-x/modules.dep": file("a.ko:\n")}},
		{"built in", "ok", fstest.MapFS{"proc/sys/kernel/osrelease": release, "boot/config-6.1.0-x": file("CONFIG_NET_SCH_NETEM=y\n")}},
		{"a module of unknown whereabouts", "unknown", fstest.MapFS{"proc/sys/kernel/osrelease": release, "boot/config-6.1.0-x": file("CONFIG_NET_SCH_NETEM=m\n")}},
		{"not configured", "missing", fstest.MapFS{"proc/sys/kernel/osrelease": release, "boot/config-6.1.0-x": file("# CONFIG_NET_SCH_NETEM is not set\nCONFIG_NET=y\n")}},
		{"a damaged configuration", "unknown", fstest.MapFS{"proc/config.gz": file("no gzip")}},
	} {
		if got := readKernel(test.root).has(netem); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestKernelTried(t *testing.T) {
	tried := []fabric.Feature{{Name: "nf_tables"}, {Name: "sch_netem", Missing: "it is not there"}}
	got := make(map[string]string)
	for _, c := range Kernel(fstest.MapFS{}, tried) {
		got[c.Name] = c.State
	}
	if got["kernel nft_meta_bridge"] != "ok" || got["kernel sch_netem"] != "missing" || got["kernel sch_tbf"] != "unknown" {
		t.Errorf("%v", got)
	}
}
