package fabric

import (
	"encoding/binary"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The registers of nf_tables. What a rule looks up lies in the first ones, one
// after another; what it compares goes behind them.
const (
	regVerdict = 0
	regFrom    = unix.NFT_REG32_00
	regTo      = unix.NFT_REG32_01
	regPort    = unix.NFT_REG32_02
	regCompare = unix.NFT_REG32_04
)

// rule is what one rule does, one step after another.
type rule = []expr.Any

var (
	// Without it the rules would take bytes of ARP or IPv6 for addresses of
	// IPv4: all pass the same hook.
	isIPv4 = rule{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: regCompare},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regCompare, Data: []byte{0x08, 0x00}},
	}
	loadPair = rule{
		&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4, DestRegister: regFrom},
		&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4, DestRegister: regTo},
	}
	drop   = rule{&expr.Verdict{Kind: expr.VerdictDrop}}
	accept = rule{&expr.Verdict{Kind: expr.VerdictAccept}}
)

// rulesOf are those of the link's chain, in order. What they do not drop, by
// sending it to the chain cut, passes.
func rulesOf(l Link, cut *nftables.Chain, queue *nftables.Set) []rule {
	toCut := goTo(cut)
	var rules []rule
	if l.Drops(DropUDP) {
		rules = append(rules, join(isProtocol(unix.IPPROTO_UDP), toCut))
	}
	if l.Drops(DropTCP) {
		rules = append(rules, join(isProtocol(unix.IPPROTO_TCP), toCut))
	}
	if l.Over > 0 {
		length := &expr.Meta{Key: expr.MetaKeyLEN, Register: regCompare}
		rules = append(rules, join(compare(length, expr.CmpOpGt, uint32(l.Over)), toCut))
	}
	if l.Loss > 0 {
		random := &expr.Numgen{Register: regCompare, Modulus: 1_000_000, Type: unix.NFT_NG_RANDOM}
		rules = append(rules, join(compare(random, expr.CmpOpLt, perMillion(l.Loss)), toCut))
	}
	if l.Every > 0 {
		counted := &expr.Numgen{Register: regCompare, Modulus: uint32(l.Every), Type: unix.NFT_NG_INCREMENTAL}
		rules = append(rules, join(compare(counted, expr.CmpOpEq, uint32(l.Every-1)), toCut))
	}
	if l.Shape != (Shape{}) {
		rules = append(rules, join(
			loadPair,
			rule{
				&expr.Meta{Key: expr.MetaKeyOIF, Register: regPort},
				&expr.Lookup{
					SourceRegister: regFrom, SetName: queue.Name, SetID: queue.ID,
					IsDestRegSet: true, DestRegister: regCompare,
				},
				&expr.Meta{Key: expr.MetaKeyPRIORITY, SourceRegister: true, Register: regCompare},
			},
			accept,
		), toCut)
	}
	return rules
}

func goTo(chain *nftables.Chain) rule {
	return rule{&expr.Verdict{Kind: expr.VerdictGoto, Chain: chain.Name}}
}

// isIn ends the rule for a pair that is not in the set.
func isIn(set *nftables.Set) rule {
	return rule{&expr.Lookup{SourceRegister: regFrom, SetName: set.Name, SetID: set.ID}}
}

// verdictOf does what the map says of the pair.
func verdictOf(m *nftables.Set) rule {
	return rule{&expr.Lookup{
		SourceRegister: regFrom, SetName: m.Name, SetID: m.ID,
		IsDestRegSet: true, DestRegister: regVerdict,
	}}
}

// count adds one to the pair's counter in set. Where memory for a new counter
// is short the rule ends there, so a verdict belongs in the rule after it.
func count(set *nftables.Set) rule {
	return rule{&expr.Dynset{
		SrcRegKey: regFrom, SetName: set.Name, SetID: set.ID,
		Operation: uint32(unix.NFT_DYNSET_OP_ADD), Exprs: []expr.Any{&expr.Counter{}},
	}}
}

func isProtocol(number byte) rule {
	return rule{
		&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: 9, Len: 1, DestRegister: regCompare},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regCompare, Data: []byte{number}},
	}
}

// compare compares a number of the host's byte order. The kernel compares byte
// by byte, so it is turned into that of the network first.
func compare(load expr.Any, op expr.CmpOp, value uint32) rule {
	return rule{
		load,
		&expr.Byteorder{SourceRegister: regCompare, DestRegister: regCompare, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: op, Register: regCompare, Data: binary.BigEndian.AppendUint32(nil, value)},
	}
}

func join(parts ...rule) rule {
	var all rule
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}
