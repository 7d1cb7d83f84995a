package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peerlab/event"
	"peerlab/internal/terminal"
	"peerlab/internal/terminal/layout"
	"peerlab/observe"
	"peerlab/testbed"
	"peerlab/testbed/docker"
)

// peerRow is what ps tells of one peer.
type peerRow struct {
	docker.Status
	// Sees is how many members it holds alive, itself included, by what it reported;
	// absent where it does not run or has not reported its start.
	Sees *int `json:"sees,omitempty"`
	// Cut and Degraded count the links from it and to it, one way each, on which no
	// packet of some kind passes, and that have any other fault.
	Cut      int `json:"cut,omitempty"`
	Degraded int `json:"degraded,omitempty"`
}

func (l *lab) psCommand() *cobra.Command {
	var quiet, watch bool
	cmd := withFormats(&cobra.Command{
		Use: "ps", Short: "List the peers of a cluster: their state, what they see, and their faults", Args: exactly(0, "no argument"),
		Long: `List the peers of a cluster. SINCE is how long a process has been in its state. SEES
is how many members the peer considers alive, itself included, according to its
events. CPUS is the limit that throttle set. LINKS counts the faulty links from and
to the peer, one for each direction. --format wide adds the profile and the image.
--quiet prints only names, without bootstrap, which takes no commands.

--watch updates the list whenever something changes, until Ctrl-C or until the
cluster is gone. A terminal shows it in place, a file or a pipe gets only the lines
that have changed, and --format json writes the whole list as one line.`,
		Example: "  peerlab ps\n  peerlab ps -o wide\n  peerlab ps -q | xargs -n1 peerlab logs --tail 5\n  peerlab ps --watch",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if quiet && watch {
				return usageError{errors.New("--quiet and --watch cannot be used together")}
			}
			return l.on(cmd, func(c *docker.Cluster) error {
				ctx := cmd.Context()
				switch {
				case quiet:
					names, err := peerNames(ctx, c)
					for _, name := range names {
						if name == testbed.Bootstrap {
							continue
						}
						fmt.Fprintln(cmd.OutOrStdout(), terminal.Line(name))
					}
					return err
				case watch:
					return l.watchPeers(cmd, c)
				}
				events, unread := c.Reported(ctx)
				v := newClusterView()
				v.add(testbed.Sorted(events)...)
				rows, err := peerRows(ctx, c, v)
				if rows == nil {
					return err
				}
				if l.json() {
					return errors.Join(printJSON(cmd, rows), err, unread)
				}
				_, failed := io.WriteString(cmd.OutOrStdout(), l.peerTable(cmd.OutOrStdout(), rows, time.Now()))
				return errors.Join(failed, err, unread)
			})
		},
	}, formatJSON, formatWide)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "update the list whenever something changes")
	namesOnly(cmd, &quiet)
	return cmd
}

// clusterView is what the events of a cluster tell of its peers.
type clusterView struct{ *observe.View }

func newClusterView() *clusterView {
	return &clusterView{observe.NewView()}
}

// add takes the next events. It reports whether ps could look different for it.
func (v *clusterView) add(events ...event.Event) (changed bool) {
	for _, e := range events {
		v.Add(e)
		changed = changed || !e.Kind.IsPeriodic()
	}
	return changed
}

// peerRows asks for the present state of each peer. Without the rows the error
// says why there are none; with them, what they lack.
func peerRows(ctx context.Context, c *docker.Cluster, v *clusterView) ([]peerRow, error) {
	all, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]peerRow, len(all))
	at := make(map[string]*peerRow)
	for i, s := range all {
		rows[i] = peerRow{Status: s}
		at[s.Name] = &rows[i]
		if s.State != testbed.Stopped && v.Runs(s.Name) {
			n := v.Count(s.Name, observe.Alive)
			rows[i].Sees = &n
		}
	}
	links, err := c.Links(ctx)
	for pair, link := range links {
		for _, name := range []string{pair.From, pair.To} {
			switch row := at[name]; {
			case row == nil:
			case link.IsCut():
				row.Cut++
			default:
				row.Degraded++
			}
		}
	}
	return rows, err
}

// faults counts a peer's links that are not healthy, for people.
func (r peerRow) faults() string {
	var parts []string
	if r.Cut > 0 {
		parts = append(parts, fmt.Sprintf("%d cut", r.Cut))
	}
	if r.Degraded > 0 {
		parts = append(parts, fmt.Sprintf("%d degraded", r.Degraded))
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

// cpus is what a peer may use of the processors, for people.
func (r peerRow) cpus() string {
	if r.CPUs == 0 {
		return "-"
	}
	return strconv.FormatFloat(r.CPUs, 'g', -1, 64)
}

// address is where a peer is, for people.
func (r peerRow) address() string {
	if !r.Addr.IsValid() {
		return "-"
	}
	return r.Addr.String()
}

// cells are a row of the table; wide ones have two more.
func (r peerRow) cells(colors palette, wide bool, now time.Time) []string {
	since, sees := "-", "-"
	if !r.Since.IsZero() {
		since = age(now.Sub(r.Since))
	}
	if r.Sees != nil {
		sees = strconv.Itoa(*r.Sees)
	}
	state := strings.TrimPrefix(stateText(r.Peer), "killed: ") // the table is to fit 80 columns
	cells := []string{
		terminal.Line(r.Name), colors.cell(state), since, sees, r.cpus(), colors.words(r.faults(), "cut"), r.address(),
	}
	if wide {
		cells = append(cells, cmp.Or(terminal.Line(r.Profile), "-"), terminal.Line(r.Image))
	}
	return cells
}

// stateText is the state of a peer's process, for people.
func stateText(p testbed.Peer) string {
	switch {
	case p.Reason != "":
		return p.Reason
	case p.State == testbed.Stopped:
		return fmt.Sprintf("%s (%d)", p.State, p.Exit)
	}
	return string(p.State)
}

// peerTable is the list for people, for a terminal that out is.
func (l *lab) peerTable(out io.Writer, rows []peerRow, now time.Time) string {
	head := []string{"PEER", "STATE", "SINCE", "SEES", "CPUS", "LINKS", "ADDRESS"}
	wide := l.format == formatWide
	if wide {
		head = append(head, "PROFILE", "IMAGE")
	}
	colors, table := l.palette(out), layout.NewTable(head...)
	for _, r := range rows {
		table.Row(r.cells(colors, wide, now)...)
	}
	return table.String(layout.Width(out))
}
