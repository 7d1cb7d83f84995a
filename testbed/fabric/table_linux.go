package fabric

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// table is one matrix in the kernel, as nft shows it:
//
//	table bridge peerlab-LAB {
//	    set pairs7   { ipv4_addr . ipv4_addr; elements = { A . B } }
//	    map links7   { ipv4_addr . ipv4_addr : verdict; elements = { A . C : goto link7-0 } }
//	    map queue7   { ipv4_addr . ipv4_addr . iface_index : classid
//	                   elements = { A . C . 12 : 7ab:3 } }
//	    set came7    { ipv4_addr . ipv4_addr; flags dynamic }
//	    set dropped7 { ipv4_addr . ipv4_addr; flags dynamic }
//	    chain forward7 {
//	        type filter hook forward priority -1073741817; policy accept
//	        meta protocol ip ip saddr . ip daddr @pairs7 goto cut7
//	        meta protocol ip ip saddr . ip daddr vmap @links7
//	    }
//	    chain cut7 {
//	        add @dropped7 { ip saddr . ip daddr counter }
//	        drop
//	    }
//	    chain link7-0 {                  # one for each kind of link, or for each pair where packets are counted
//	        add @came7 { ip saddr . ip daddr counter }
//	        ip protocol udp goto cut7
//	        meta length > 1300 goto cut7
//	        numgen random mod 1000000 < 300000 goto cut7
//	        numgen inc mod 3 == 2 goto cut7
//	        meta priority set ip saddr . ip daddr . oif map @queue7 accept
//	        goto cut7                    # shaped, but its port is not ready
//	    }
//	}
//
// A packet costs two look-ups, and the rules of its link if that has any,
// however many peers there are. What is cut altogether has a set of its own,
// which the kernel takes in half the time. The packets themselves add the
// counters: made beforehand, those of 2,500 pairs would take longer than all
// the rest.
//
// The number is the matrix's generation. A new matrix gets chains and maps of
// its own and the old ones go in the same transaction. A packet that is under
// way at that moment can find the old rules gone after it passed by the new
// ones that were not there yet: one in some 300,000 did. So each generation's
// hook comes after the one before, see [priority].
type table struct {
	conn       *nftables.Conn
	table      *nftables.Table
	generation int
	links      Matrix
	chains     []*nftables.Chain
	sets       []*nftables.Set
	// Of the sets; queue is nil where no link is shaped.
	queue, came, dropped *nftables.Set
}

// chunk is how many elements go into one message: their list must not exceed
// 64 KiB.
const chunk = 800

// priorityKey is a look-up key of queue, its value what goes into the packet.
type priorityKey struct {
	pair Pair
	port int
}

// close deletes the table.
func (t *table) close() error {
	t.conn.DelTable(t.table)
	return errors.Join(t.conn.Flush(), t.conn.CloseLasting())
}

// replace puts m in force instead of what was, in one transaction. Either all
// of it is done, or nothing and an error is returned.
func (t *table) replace(m Matrix, ready map[priorityKey]uint32) error {
	next := &table{conn: t.conn, table: t.table, generation: t.generation + 1, links: m}
	if len(t.chains) > 0 {
		// Rules first: they hold the sets, the sets hold the chains.
		t.conn.FlushTable(t.table)
		for _, set := range t.sets {
			t.conn.DelSet(set)
		}
		for _, chain := range t.chains {
			t.conn.DelChain(chain)
		}
	}
	if len(m) > 0 {
		if err := next.build(ready); err != nil {
			return fmt.Errorf("build the rules: %w", err)
		}
	}
	if err := t.conn.Flush(); err != nil {
		return fmt.Errorf("apply the rules: %w", explain(err))
	}
	*t = *next
	return nil
}

// build queues what makes up the table.
func (t *table) build(ready map[priorityKey]uint32) error {
	forward, cut := t.chain("forward", ""), t.chain("cut", "")
	forward.Type, forward.Hooknum, forward.Priority = nftables.ChainTypeFilter, nftables.ChainHookForward, priority(t.generation)

	// kind is what has a chain to itself.
	type kind struct {
		link Link
		pair Pair // zero unless packets are counted
	}
	kinds := make(map[kind]*nftables.Chain)
	var pairs, links []nftables.SetElement
	shaped := false
	for pair, link := range t.links {
		if link.IsCut() {
			pairs = append(pairs, nftables.SetElement{Key: pairKey(pair)})
			continue
		}
		if link.Shape != (Shape{}) {
			link.Shape, shaped = Shape{Delay: 1}, true // how it is shaped is the queue's business
		}
		is := kind{link: link}
		if link.Every > 0 {
			is.pair = pair
		}
		chain, ok := kinds[is]
		if !ok {
			chain = t.chain("link", "-"+strconv.Itoa(len(kinds)))
			kinds[is] = chain
		}
		links = append(links, nftables.SetElement{
			Key:         pairKey(pair),
			VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain.Name},
		})
	}

	pairSet, linkMap := t.set("pairs"), t.set("links")
	linkMap.IsMap, linkMap.DataType = true, nftables.TypeVerdict
	// With a size that is known it is the fastest kind of hash.
	pairSet.Size, linkMap.Size = uint32(max(len(pairs), 1)), uint32(max(len(links), 1))
	t.came, t.dropped = t.set("came"), t.set("dropped")
	t.came.Dynamic, t.came.Size = true, uint32(len(t.links))
	t.dropped.Dynamic, t.dropped.Size = true, uint32(len(t.links))
	if shaped {
		t.queue = t.set("queue")
		t.queue.KeyType = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr, nftables.TypeIFIndex)
		t.queue.IsMap, t.queue.DataType = true, nftables.TypeClassID
	}

	for _, chain := range t.chains {
		t.conn.AddChain(chain)
	}
	for _, set := range t.sets {
		if err := t.conn.AddSet(set, nil); err != nil {
			return err
		}
	}
	if err := errors.Join(t.fill(pairSet, pairs), t.fill(linkMap, links), t.fill(t.queue, queueElements(ready))); err != nil {
		return err
	}
	add := func(chain *nftables.Chain, r rule) {
		t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: chain, Exprs: r})
	}
	add(cut, join(loadPair, count(t.dropped)))
	add(cut, drop)
	for kind, chain := range kinds {
		add(chain, join(loadPair, count(t.came)))
		for _, r := range rulesOf(kind.link, cut, t.queue) {
			add(chain, r)
		}
	}
	add(forward, join(isIPv4, loadPair, isIn(pairSet), goTo(cut)))
	add(forward, join(isIPv4, loadPair, verdictOf(linkMap)))
	return nil
}

// priority is that of a generation's hook: after those of all generations
// before, and below 0, where packets leave for iptables if the host has them
// pass there (br_netfilter), to come back behind 0.
func priority(generation int) *nftables.ChainPriority {
	return nftables.ChainPriorityRef(nftables.ChainPriority(-1<<30 + generation%(1<<30)))
}

// queueUp lets shaped links pass whose ports have become ready.
func (t *table) queueUp(ready map[priorityKey]uint32) error {
	if t.queue == nil || len(ready) == 0 {
		return nil
	}
	if err := t.fill(t.queue, queueElements(ready)); err != nil {
		return err
	}
	if err := t.conn.Flush(); err != nil {
		return fmt.Errorf("let shaped links pass: %w", explain(err))
	}
	return nil
}

// counters reads what was counted. A link that saw no packet is not in it.
func (t *table) counters() (map[Pair]Count, error) {
	counts := make(map[Pair]Count)
	if t.dropped == nil {
		return counts, nil
	}
	// A packet counts as one that came before it counts as dropped: read the
	// other way round, so as not to find more dropped than came.
	for _, set := range [...]*nftables.Set{t.dropped, t.came} {
		elements, err := t.conn.GetSetElements(set)
		if err != nil {
			return nil, fmt.Errorf("read the counters: %w", err)
		}
		for _, e := range elements {
			pair, ok := keyPair(e.Key)
			if !ok || e.Counter == nil {
				continue
			}
			count := counts[pair]
			if set == t.dropped {
				count.Dropped = e.Counter.Packets
			}
			if set == t.came || t.links[pair].IsCut() {
				count.Packets, count.Bytes = e.Counter.Packets, e.Counter.Bytes
			}
			counts[pair] = count
		}
	}
	return counts, nil
}

// set makes a set of pairs of this generation, known to the table.
func (t *table) set(name string) *nftables.Set {
	set := &nftables.Set{
		Table: t.table, Name: name + strconv.Itoa(t.generation), Concatenation: true,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr),
		// The library numbers sets in a global variable without a lock.
		ID: uint32(len(t.sets) + 1),
	}
	t.sets = append(t.sets, set)
	return set
}

// chain makes a chain of this generation, known to the table.
func (t *table) chain(name, suffix string) *nftables.Chain {
	chain := &nftables.Chain{Table: t.table, Name: name + strconv.Itoa(t.generation) + suffix}
	t.chains = append(t.chains, chain)
	return chain
}

func (t *table) fill(set *nftables.Set, elements []nftables.SetElement) error {
	for len(elements) > 0 {
		n := min(len(elements), chunk)
		if err := t.conn.SetAddElements(set, elements[:n]); err != nil {
			return err
		}
		elements = elements[n:]
	}
	return nil
}

func pairKey(p Pair) []byte {
	from, to := p.From.As4(), p.To.As4()
	return append(from[:], to[:]...)
}

func keyPair(key []byte) (Pair, bool) {
	if len(key) != 8 {
		return Pair{}, false
	}
	return Pair{From: netip.AddrFrom4([4]byte(key[:4])), To: netip.AddrFrom4([4]byte(key[4:]))}, true
}

func queueElements(ready map[priorityKey]uint32) []nftables.SetElement {
	var elements []nftables.SetElement
	for key, class := range ready {
		elements = append(elements, nftables.SetElement{
			Key: binary.NativeEndian.AppendUint32(pairKey(key.pair), uint32(key.port)),
			Val: binary.NativeEndian.AppendUint32(nil, class),
		})
	}
	return elements
}
