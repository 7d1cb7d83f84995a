package host

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"path"
	"strings"

	"peerlab/testbed/fabric"
)

// feature is something of the kernel that faults on links stand on.
type feature struct {
	option  string // in the kernel's configuration
	module  string
	asked   string // what the fabric calls it, when it tries it
	gives   string
	without string
}

var features = []feature{
	{"CONFIG_BRIDGE", "bridge", "", "Docker's networks", "no cluster without it"},
	{"CONFIG_VETH", "veth", "", "Docker's networks", "no cluster without it"},
	{"CONFIG_NF_TABLES_BRIDGE", "nft_meta_bridge", "nf_tables", "partitions and cuts", "links cannot be cut here: stop, kill, pause and throttle work"},
	{"CONFIG_NFT_NUMGEN", "nft_numgen", "nft_numgen", "loss", "links cannot lose packets at random here: modprobe nft_numgen, or boot a distribution's kernel"},
	{"CONFIG_NET_SCH_NETEM", "sch_netem", "sch_netem", "delay, jitter, reordering, duplicates, corruption", "links cannot be delayed here: modprobe sch_netem, or boot a distribution's kernel (Debian: linux-image-amd64)"},
	{"CONFIG_NET_SCH_HTB", "sch_htb", "sch_htb", "a queue for each link", "links cannot be delayed or limited here: modprobe sch_htb, or boot a distribution's kernel"},
	{"CONFIG_NET_SCH_TBF", "sch_tbf", "sch_tbf", "limits of rate", "links cannot be limited in rate here: modprobe sch_tbf, or boot a distribution's kernel"},
}

// Kernel says what the kernel has: as was tried, or else as can be read.
func Kernel(root fs.FS, tried []fabric.Feature) []Check {
	k := readKernel(root)
	var checks []Check
	for _, f := range features {
		c := Check{Name: "kernel " + f.module, State: k.has(f), Found: f.gives}
		for _, t := range tried {
			if t.Name != f.asked {
				continue
			}
			if c.State = "ok"; t.Missing != "" {
				c.State = "missing"
			}
		}
		switch c.State {
		case "missing":
			c.Found, c.Mend = "no "+f.gives, f.without
		case "unknown":
			c.Mend = "the kernel's configuration and modules cannot be read here: try sudo modprobe " + f.module
		}
		checks = append(checks, c)
	}
	return checks
}

// kernel is what can be read of the running kernel without being root.
type kernel struct {
	options map[string]string // of its configuration, empty where unreadable
	modules map[string]bool   // loaded, built in or on disk
	listed  bool              // modules has all there are
}

func readKernel(root fs.FS) kernel {
	k := kernel{options: make(map[string]string), modules: make(map[string]bool)}
	release, _ := fs.ReadFile(root, "proc/sys/kernel/osrelease")
	version := strings.TrimSpace(string(release))
	config, err := fs.ReadFile(root, "proc/config.gz")
	if err == nil {
		config, err = gunzip(config)
	}
	if err != nil {
		config, _ = fs.ReadFile(root, path.Join("boot", "config-"+path.Base(version)))
	}
	eachLine(config, func(line string) {
		if option, value, set := strings.Cut(line, "="); set {
			k.options[option] = value
		}
	})
	loaded, _ := fs.ReadFile(root, "proc/modules")
	eachLine(loaded, func(line string) {
		name, _, _ := strings.Cut(line, " ")
		k.modules[name] = true
	})
	for _, list := range []string{"modules.builtin", "modules.dep"} {
		b, err := fs.ReadFile(root, path.Join("lib/modules", path.Base(version), list))
		k.listed = k.listed || err == nil && list == "modules.dep"
		eachLine(b, func(line string) {
			file, _, _ := strings.Cut(line, ":")
			name, _, _ := strings.Cut(path.Base(file), ".ko")
			k.modules[strings.ReplaceAll(name, "-", "_")] = true
		})
	}
	return k
}

// has returns ok, missing or unknown.
func (k kernel) has(f feature) string {
	switch {
	case k.modules[f.module] || k.options[f.option] == "y":
		return "ok"
	case k.listed, len(k.options) > 0 && k.options[f.option] == "":
		return "missing" // a module that is configured but on no disk too
	}
	return "unknown"
}

func eachLine(text []byte, f func(string)) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		f(lines.Text())
	}
}

func gunzip(b []byte) ([]byte, error) {
	const limit = 16 << 20
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, limit))
}
