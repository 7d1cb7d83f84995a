package commands

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerlab/peer/command"
	"peerlab/peer/membership"
)

// membersOrErr returns the membership layer or what is missing.
func (b *Builtins) membersOrErr() (*membership.Membership, error) {
	s, err := b.peer.Layers.Created()
	if err != nil {
		return nil, err
	}
	if s.Down {
		return nil, s.Unusable
	}
	return s.Members, nil
}

// names returns the names of all members, for completion.
func (b *Builtins) names([]string, string) []string {
	members, err := b.membersOrErr()
	if err != nil {
		return nil
	}
	var names []string
	for _, m := range members.Members() {
		names = append(names, m.Name)
	}
	return names
}

func (b *Builtins) membershipCommands() []command.Command {
	return []command.Command{
		{
			Name: "members", Aliases: []string{"memberlist", "membership members"}, Group: "membership", Usage: "[NAME...]", MaxArgs: -1, Data: true,
			Short: "list all known members and their state",
			Long: "States are alive, suspect, dead and left, as this peer sees them: others may\n" +
				"see something else. Dead and left members are forgotten after GossipToTheDeadTime;\n" +
				"with -all, or -status gone, this peer's own memory of them is shown as well, and FOR\n" +
				"counts from their death or their leave.",
			Example: "members -status alive -format json", Values: map[string][]string{"status": memberStates}, Flags: b.showMembers, Complete: b.names,
		},
		{
			Name: "localnode", Group: "membership", Data: true,
			Short:   "this peer's name, addresses and incarnation",
			Example: "localnode", Run: b.showLocal,
		},
		{
			Name: "health", Aliases: []string{"memberlisthealthscore", "membership health"}, Group: "membership", Data: true,
			Short: "memberlist's health score of this peer, 0 is best",
			Long: "The score rises when this peer misses acks or has to refute suspicions about\n" +
				"itself, and slows its own probes by score+1, so that a peer with troubles of its\n" +
				"own accuses fewer others (Lifeguard).",
			Example: "health", Run: b.showHealth,
		},
		{
			Name: "membership show", Aliases: []string{"showmemberlist"}, Group: "membership", Data: true,
			Short: "memberlist's inner state", Example: "membership show", Run: b.showMemberlist,
			Long: "Also what was not believed: members beyond --max-members or with impossible names,\n" +
				"metadata or addresses; records of the broadcast map whose clock no cluster can have\n" +
				"come to; messages that are malformed. The log has the first of each.",
		},
		{
			Name: "rtt", Group: "membership", Usage: "[A [B]]", MaxArgs: 2, Data: true,
			Short: "round trips: measured to everyone or to A, or estimated between A and B",
			Long: "Between two other members the time is estimated from network coordinates, which\n" +
				"members learn from each other's probes (Vivaldi, as in Serf): off at first, within\n" +
				"some ten percent after a few dozen probes.",
			Example: "rtt alice bob", Complete: b.names, Run: b.showRTT,
		},
		{
			Name: "reachability", Group: "membership", Usage: "[NAME...]", MaxArgs: -1, Data: true,
			Short: "who answers this peer now, over UDP and over TCP", Example: "reachability",
			Complete: b.names, Run: b.showReachability,
		},
		{
			Name: "tags", Group: "membership", Usage: "[NAME=VALUE...]", MaxArgs: -1, Data: true,
			Short: "what this peer tells the others about itself; NAME= takes a tag back",
			Long:  "Tags travel in the node metadata, of which memberlist carries 512 bytes.", Example: "tags role=db zone=a",
			Run: b.runTags,
		},
	}
}

// memberGone stands, in what members shows, for the state of a member that is
// forgotten.
const memberGone membership.State = "gone"

var memberStates = []string{"alive", "suspect", "dead", "left", string(memberGone)}

// memberRow is a line of members.
type memberRow struct {
	membership.Member
	Was       membership.State `json:"was,omitempty"`       // of one that is gone
	Forgotten *time.Time       `json:"forgotten,omitempty"` // of one that is gone
}

// unknownMember says that a name is nobody's, or of whom it was.
func unknownMember(members *membership.Membership, name string) error {
	for _, g := range members.Gone() {
		if g.Name == name {
			return fmt.Errorf("this peer knows no %q any more: it was %s and is forgotten since %s: members -all shows it", name, g.State, age(g.Forgotten))
		}
	}
	return fmt.Errorf("this peer knows no %q", name)
}

func (b *Builtins) showMembers(fs *flag.FlagSet) command.Func {
	status := fs.String("status", "", "only those in a `state`: alive, suspect, dead, left or gone")
	gone := fs.Bool("all", false, "also those that are forgotten")
	return func(_ context.Context, c *command.Call) error {
		members, err := b.membersOrErr()
		if err != nil {
			return err
		}
		if *status != "" && !slices.Contains(memberStates, *status) {
			return errors.New("members: unknown state " + strconv.Quote(*status) + ": use " + strings.Join(memberStates, ", "))
		}
		table := []memberRow{}
		for _, m := range members.Members() {
			table = append(table, memberRow{Member: m})
		}
		if *gone || *status == string(memberGone) {
			for _, g := range members.Gone() {
				row := memberRow{g.Member, g.State, &g.Forgotten}
				row.State = memberGone
				table = append(table, row)
			}
			slices.SortStableFunc(table, func(a, b memberRow) int { return strings.Compare(a.Name, b.Name) })
		}
		for _, name := range c.Args {
			if !slices.ContainsFunc(table, func(m memberRow) bool { return m.Name == name }) {
				return fmt.Errorf("members: %w", unknownMember(members, name))
			}
		}
		table = slices.DeleteFunc(table, func(m memberRow) bool {
			return *status != "" && string(m.State) != *status || len(c.Args) > 0 && !slices.Contains(c.Args, m.Name)
		})
		return c.Show(table, func() {
			b.showTable(c, table, time.Now())
		})
	}
}

// showTable shows members, with a column of the app if it has one.
func (b *Builtins) showTable(c *command.Call, table []memberRow, now time.Time) {
	header := b.withColumn([]string{"NAME", "ADDRESS", "STATE", "INCARNATION", "FOR", "RTT"})
	rows := make([][]string, len(table))
	for i, m := range table {
		state := string(m.State)
		if m.Was != "" {
			state += ", was " + string(m.Was)
		}
		rows[i] = b.withCell([]string{
			m.Name, m.Addr, state, strconv.FormatUint(uint64(m.Incarnation), 10), ageAt(m.Since, now), rtt(m.RTT),
		}, m.Member)
	}
	c.Table(header, rows)
}

// withColumn appends the app's column to the header of a table of members, and
// withCell to a row.
func (b *Builtins) withColumn(header []string) []string {
	if b.peer.App.Describe != nil {
		return append(header, strings.ToUpper(b.peer.App.Name))
	}
	return header
}

func (b *Builtins) withCell(row []string, m membership.Member) []string {
	if b.peer.App.Describe != nil {
		return append(row, dashIfEmpty(b.peer.App.Describe(m)))
	}
	return row
}

// age returns how long ago t was, to the second. Nothing is younger than now,
// whatever the clock of the host that tells it.
func age(t time.Time) string { return ageAt(t, time.Now()) }

// ageAt is age at another time than now.
func ageAt(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return max(now.Sub(t), 0).Truncate(time.Second).String()
}

func rtt(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(10 * time.Microsecond).String()
}

func dashIfEmpty(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (b *Builtins) showLocal(_ context.Context, c *command.Call) error {
	members, err := b.membersOrErr()
	if err != nil {
		return err
	}
	var local membership.Member
	for _, m := range members.Members() {
		if m.Name == b.peer.Name {
			local = m
		}
	}
	return c.Show(local, func() {
		c.Table(b.withColumn([]string{"NAME", "ADDRESS", "STATE", "INCARNATION"}), [][]string{b.withCell([]string{
			local.Name, local.Addr, string(local.State), strconv.FormatUint(uint64(local.Incarnation), 10),
		}, local)})
	})
}

func (b *Builtins) showHealth(_ context.Context, c *command.Call) error {
	members, err := b.membersOrErr()
	if err != nil {
		return err
	}
	health := struct {
		Score  int  `json:"score"`
		Max    int  `json:"max"`
		Online int  `json:"online"`
		Ready  bool `json:"ready"`
		// Reason is why the peer is not ready.
		Reason string `json:"reason,omitempty"`
	}{Score: members.Health(), Max: members.Config().AwarenessMaxMultiplier - 1, Online: members.Online(), Ready: true}
	if err := b.peer.Layers.InCluster(); err != nil {
		health.Ready, health.Reason = false, err.Error()
	}
	return c.Show(health, func() {
		c.Printf("score %d of %d (0 is best), %d online\n", health.Score, health.Max, health.Online)
		if !health.Ready {
			c.Printf("not ready: %s\n", health.Reason)
		}
	})
}

func (b *Builtins) showMemberlist(_ context.Context, c *command.Call) error {
	s, err := b.peer.Layers.Created()
	if err != nil {
		return err
	}
	down, started := s.Down, s.Gossiping
	type broadcastCounts struct {
		Malformed uint64 `json:"malformed"`
		Refused   uint64 `json:"refused"`
	}
	state := struct {
		Addr       string              `json:"addr"`
		Down       bool                `json:"down"`
		Left       bool                `json:"left"`
		Started    bool                `json:"started"`
		Health     int                 `json:"health"`
		Online     int                 `json:"online"`
		Dropped    uint64              `json:"dropped"`
		Refused    uint64              `json:"refused"`
		Broadcasts broadcastCounts     `json:"broadcasts"`
		Members    []membership.Member `json:"members"`
		Missing    []string            `json:"missing"`
		Encryption []membership.Key    `json:"encryption"`
	}{
		s.Members.Addr(), down, s.Members.HasLeft(), started, s.Members.Health(), s.Members.Online(),
		s.Members.Dropped(), s.Members.Refused(),
		broadcastCounts{s.Values.Dropped(), s.Values.Refused()},
		s.Members.Members(), s.Members.Missing(), s.Members.Keys(),
	}
	return c.Show(state, func() {
		c.Printf("address %s, health %d, %d online, broadcasts started %t, left %t, shut down %t, dropped messages %d\n",
			state.Addr, state.Health, state.Online, started, state.Left, down, state.Dropped)
		c.Printf("claims of members refused %d; broadcast map: records refused %d, malformed messages %d\n",
			state.Refused, state.Broadcasts.Refused, state.Broadcasts.Malformed)
		if len(state.Missing) > 0 {
			c.Printf("former members that a rejoin contacts: %s\n", strings.Join(state.Missing, ", "))
		}
		if down {
			c.Printf("membership is shut down: this is how it saw its members at the end\n")
		}
		rows := make([]memberRow, len(state.Members))
		for i, m := range state.Members {
			rows[i].Member = m
		}
		b.showTable(c, rows, s.UpToDate)
	})
}

// find returns the named members, all but this peer without names.
func (b *Builtins) find(members *membership.Membership, names []string) ([]membership.Member, error) {
	table := members.Members()
	for _, name := range names {
		if !slices.ContainsFunc(table, func(m membership.Member) bool { return m.Name == name }) {
			return nil, unknownMember(members, name)
		}
	}
	return slices.DeleteFunc(table, func(m membership.Member) bool {
		if len(names) > 0 {
			return !slices.Contains(names, m.Name)
		}
		return m.Name == b.peer.Name || !m.Online()
	}), nil
}

func (b *Builtins) showRTT(_ context.Context, c *command.Call) error {
	members, err := b.membersOrErr()
	if err != nil {
		return err
	}
	if len(c.Args) == 2 {
		if _, err := b.find(members, c.Args); err != nil {
			return err
		}
		a, b := c.Args[0], c.Args[1]
		estimate, ok := members.RTT(a, b)
		if !ok {
			return fmt.Errorf("rtt: this peer has not learnt the coordinates of %s and %s yet: try again in a minute", a, b)
		}
		return c.Show(map[string]any{"a": a, "b": b, "estimate_ns": estimate}, func() {
			c.Printf("%s ↔ %s: about %s, estimated\n", a, b, rtt(estimate))
		})
	}
	found, err := b.find(members, c.Args)
	if err != nil {
		return err
	}
	type measured struct {
		Name     string        `json:"name"`
		RTT      time.Duration `json:"rtt_ns"`
		Estimate time.Duration `json:"estimate_ns"`
	}
	all := []measured{}
	for _, m := range found {
		estimate, _ := members.RTT(b.peer.Name, m.Name)
		all = append(all, measured{m.Name, m.RTT, estimate})
	}
	return c.Show(all, func() {
		var rows [][]string
		for _, m := range all {
			rows = append(rows, []string{m.Name, rtt(m.RTT), rtt(m.Estimate)})
		}
		c.Table([]string{"NAME", "LAST PROBE", "ESTIMATE"}, rows)
	})
}

func (b *Builtins) showReachability(ctx context.Context, c *command.Call) error {
	s, err := b.peer.Layers.Running()
	if err != nil {
		return err
	}
	found, err := b.find(s.Members, c.Args)
	if err != nil {
		return err
	}
	type reach struct {
		Name string `json:"name"`
		UDP  string `json:"udp"`
		TCP  string `json:"tcp"`
	}
	all := make([]reach, len(found))
	done := make(chan struct{})
	for i, m := range found {
		go func() {
			defer func() { done <- struct{}{} }()
			all[i] = reach{m.Name, outcome(s.Members.Ping(ctx, m.Name)), outcome(s.Members.Dial(ctx, m.Name))}
		}()
	}
	for range found {
		<-done
	}
	slices.SortFunc(all, func(a, b reach) int { return cmp.Compare(a.Name, b.Name) })
	return c.Show(all, func() {
		rows := make([][]string, len(all))
		for i, r := range all {
			rows[i] = []string{r.Name, r.UDP, r.TCP}
		}
		c.Table([]string{"NAME", "UDP", "TCP"}, rows)
	})
}

// outcome says how long something took, or why it did not.
func outcome(took time.Duration, err error) string {
	var timeout net.Error
	switch {
	case err == nil:
		return rtt(took)
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, membership.ErrNoAnswer):
		return "no answer"
	}
	return err.Error()
}

func (b *Builtins) runTags(ctx context.Context, c *command.Call) error {
	s, err := b.peer.Layers.Running()
	if err != nil {
		return err
	}
	changes := map[string]string{}
	for _, arg := range c.Args {
		name, value, ok := strings.Cut(arg, "=")
		switch {
		case !ok || name == "":
			return fmt.Errorf("tags: %q: write NAME=VALUE, or NAME= to take a tag back", arg)
		case name == b.peer.App.Name:
			return fmt.Errorf("tags: %s is where the %s is announced: choose another name", name, name)
		}
		changes[name] = value
	}
	if len(changes) > 0 {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return s.Members.SetMeta(ctx, func(m membership.Meta) {
			for name, value := range changes {
				if value == "" {
					delete(m, name)
				} else {
					m[name] = value
				}
			}
		})
	}
	tags := s.Members.Meta()
	return c.Show(tags, func() {
		var rows [][]string
		for _, name := range slices.Sorted(maps.Keys(tags)) {
			rows = append(rows, []string{name, tags[name]})
		}
		c.Table([]string{"TAG", "VALUE"}, rows)
	})
}
