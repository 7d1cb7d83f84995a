package commands

import (
	"context"
	"errors"
	"flag"
	"fmt"
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
			Short: "everyone this peer knows and what it holds them to be",
			Long: "States are alive, suspect, dead and left, as this peer holds them: others may\n" +
				"hold something else. Dead and left members are forgotten after GossipToTheDeadTime;\n" +
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
