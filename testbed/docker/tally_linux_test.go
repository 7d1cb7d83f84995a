package docker

import (
	"os"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"

	"peerlab/testbed/docker/dockerd"
	"peerlab/testbed/fabric"
)

// tally counts what leaves the bridges of this host, with rules of its own
// that know nothing of the fabric's and come after them.
type tally struct {
	conn  *nftables.Conn
	table *nftables.Table
	chain *nftables.Chain
	pairs []fabric.Pair
}

// watch counts the IPv4 packets of pairs of addresses that a bridge hands to
// their destination, from now on.
func watch(t *testing.T, pairs ...fabric.Pair) *tally {
	t.Helper()
	needRoot(t)
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyBridge, Name: "tally-" + dockerd.NewRunID()})
	chain := conn.AddChain(&nftables.Chain{
		Name: "out", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityLast,
	})
	for _, pair := range pairs {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{0x08, 0x00}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 8},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: append(pair.From.AsSlice(), pair.To.AsSlice()...)},
			&expr.Counter{},
		}})
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.DelTable(table)
		if err := conn.Flush(); err != nil {
			t.Error(err)
		}
	})
	return &tally{conn, table, chain, pairs}
}

// saw returns how many packets of each pair have come out.
func (w *tally) saw(t *testing.T) map[fabric.Pair]uint64 {
	t.Helper()
	rules, err := w.conn.GetRules(w.table, w.chain)
	if err != nil || len(rules) != len(w.pairs) {
		t.Fatalf("%d rules of %d: %v", len(rules), len(w.pairs), err)
	}
	counts := make(map[fabric.Pair]uint64)
	for i, rule := range rules {
		for _, e := range rule.Exprs {
			if counter, ok := e.(*expr.Counter); ok {
				counts[w.pairs[i]] = counter.Packets
			}
		}
	}
	return counts
}

// needRoot is for what a test itself asks the kernel: the engine needs none.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 || !local() {
		if os.Getenv("CI") == "true" {
			t.Fatal("only root of Docker's own host can look at its rules")
		}
		t.Skip("only root of Docker's own host can look at its rules")
	}
}

// local says whether the bridges are here.
func local() bool {
	_, err := netlink.LinkByName("docker0")
	return err == nil
}

// tables lists the tables of the fabric on this host.
func tables(t *testing.T) (names []string) {
	t.Helper()
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	all, err := conn.ListTablesOfFamily(nftables.TableFamilyBridge)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range all {
		names = append(names, table.Name)
	}
	return names
}
