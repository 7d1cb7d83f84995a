package host

import (
	"context"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"peerlab/testbed/docker/dockerd"
)

// bridgeSetting is the switch by which packets between containers of one network
// pass through the host's firewall.
const bridgeSetting = "net.bridge.bridge-nf-call-iptables"

// Bridge tries whether packets pass between containers of a daemon, and if none
// does looks for what drops them.
func Bridge(ctx context.Context, where dockerd.Endpoint, try func(context.Context) (passes bool, err error), root fs.FS) Check {
	c := Check{Name: "bridge", State: "ok", Found: "packets get from one container to another on the same network"}
	before := savedFirewall(ctx)
	passes, err := try(ctx)
	switch {
	case err != nil:
		c.State, c.Found = "unknown", err.Error()
	case !passes:
		c.State, c.Need = "missing", true
		if !where.IsLocal() {
			c.Found, c.Mend = nonePasses+": from here nobody can see what drops them on Docker's host", "run peerlab doctor on that machine"
			break
		}
		c.Found, c.Mend = whatDrops(before, savedFirewall(ctx), readNumber(root, "proc/sys/net/bridge/bridge-nf-call-iptables") == 1)
	}
	return c
}

const nonePasses = "no packet gets from one container to another on the same network"

// savedFirewall returns the rules of iptables with what they have counted, of both
// its kinds, "" where they cannot be read.
func savedFirewall(ctx context.Context) string {
	var all strings.Builder
	for _, program := range []string{"iptables-save", "iptables-legacy-save"} {
		out, err := exec.CommandContext(ctx, program, "-c").Output()
		if err == nil {
			all.Write(out)
		}
	}
	return all.String()
}

// whatDrops says which rules have dropped packets between two looks at the
// firewall, and what helps. filtered is whether the switch is on.
func whatDrops(before, after string, filtered bool) (found, mend string) {
	found = nonePasses
	if filtered {
		found += ": " + bridgeSetting + " is 1, so the host's firewall sees them"
	}
	mend = "sudo nft list ruleset shows what else may drop them; "
	rule := firewallRule{table: "filter", chain: "DOCKER-USER"}
	if rules := dropping(before, after); len(rules) > 0 {
		rule, mend = rules[0], ""
		found += fmt.Sprintf(", and the chain %s of the table %s drops them (%s)", rule.chain, rule.table, rule.text)
	} else if after == "" {
		mend = "sudo peerlab doctor names the chain; "
	}
	if filtered {
		mend += fmt.Sprintf("sudo sysctl -w %s=0 keeps the firewall out of it, or ", bridgeSetting)
	}
	match := "--physdev-is-bridged"
	if rule.table == "raw" || rule.chain == "PREROUTING" {
		match = "--physdev-is-in" // before it is known that they are bridged
	}
	return found, mend + fmt.Sprintf("sudo iptables %s-I %s -m physdev %s -j ACCEPT lets them pass", rule.inTable(), rule.chain, match)
}

// firewallRule is a rule, or the policy of a chain.
type firewallRule struct {
	table, chain, text string
	packets            uint64
}

// inTable is what iptables needs before the name of a chain that is not in its
// default table.
func (r firewallRule) inTable() string {
	if r.table == "filter" {
		return ""
	}
	return "-t " + r.table + " "
}

// dropping returns the rules that drop or refuse and have counted more packets
// after than before, those that counted most first.
func dropping(before, after string) []firewallRule {
	had := make(map[firewallRule]uint64)
	for _, r := range dropRules(before) {
		packets := r.packets
		r.packets = 0
		had[r] = packets
	}
	rules := dropRules(after)
	for i, r := range rules {
		r.packets = 0
		rules[i].packets -= min(rules[i].packets, had[r])
	}
	rules = slices.DeleteFunc(rules, func(r firewallRule) bool { return r.packets == 0 })
	slices.SortStableFunc(rules, func(a, b firewallRule) int {
		return int(min(b.packets, 1<<30)) - int(min(a.packets, 1<<30))
	})
	return rules
}

// dropRules parses what iptables-save -c writes.
func dropRules(saved string) (rules []firewallRule) {
	table := "filter"
	for line := range strings.Lines(saved) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 1 && strings.HasPrefix(fields[0], "*"): // *filter
			table = fields[0][1:]
		case len(fields) == 3 && strings.HasPrefix(fields[0], ":") && fields[1] == "DROP": // :FORWARD DROP [1:60]
			rules = append(rules, firewallRule{table, fields[0][1:], "-P " + fields[0][1:] + " DROP", countOf(fields[2])})
		case len(fields) > 3 && fields[1] == "-A" && (slices.Contains(fields, "DROP") || slices.Contains(fields, "REJECT")):
			rules = append(rules, firewallRule{table, fields[2], strings.Join(fields[1:], " "), countOf(fields[0])})
		}
	}
	return rules
}

// countOf parses the packets of "[packets:bytes]".
func countOf(text string) uint64 {
	packets, _, _ := strings.Cut(strings.Trim(text, "[]"), ":")
	n, _ := strconv.ParseUint(packets, 10, 63)
	return n
}
