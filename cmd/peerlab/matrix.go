package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/internal/terminal"
	"peerlab/internal/terminal/layout"
	"peerlab/observe"
	"peerlab/testbed"
)

// inForce is what links tells as JSON.
type inForce struct {
	Links []linkInForce `json:"links"`
	// Text is all of them on one line.
	Text string `json:"text"`
	// Until is when they end by themselves, absent if they do not.
	Until time.Time `json:"until,omitzero"`
	// Measured is what a change was found to do.
	Measured []probe `json:"measured,omitempty"`
}

type linkInForce struct {
	From string `json:"from"`
	To   string `json:"to"`
	Link string `json:"link"` // as peerlab link takes it
	// Keys are the same as an object, such as {"drop":"udp","loss":10}.
	Keys testbed.Link `json:"keys"`
}

func newInForce(links testbed.Links, until time.Time, measured []probe) inForce {
	told := inForce{Links: []linkInForce{}, Text: links.String(), Until: until, Measured: measured}
	for _, pair := range links.Pairs() {
		told.Links = append(told.Links, linkInForce{pair.From, pair.To, links[pair].String(), links[pair]})
	}
	return told
}

// probe is what was measured on one link.
type probe struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Text  string `json:"text"`
	Error string `json:"error,omitempty"`
}

func probes(events []event.Event) (measured []probe) {
	for _, e := range events {
		if e.Kind == testbed.LabProbe {
			measured = append(measured, probe{e.Member, e.Addr, e.Text, e.Error})
		}
	}
	return measured
}

// ending says until when links are as they are; heal is the command that ends it
// before.
func ending(until, now time.Time, heal string) string {
	if until.IsZero() {
		return "until " + heal
	}
	return fmt.Sprintf("until %s, in %s", until.Local().Format("15:04:05"), max(until.Sub(now), 0).Round(time.Second))
}

// printProbes shows what was measured; of many links that do as they should, a
// few.
func printProbes(out io.Writer, measured []probe) error {
	const shown = 4
	table := layout.NewTable()
	// What went wrong comes first.
	slices.SortStableFunc(measured, func(a, b probe) int {
		switch {
		case a.Error != "" && b.Error == "":
			return -1
		case a.Error == "" && b.Error != "":
			return 1
		}
		return 0
	})
	for i, p := range measured {
		if i >= shown && p.Error == "" && len(measured) > i+1 {
			table.Row("measured", fmt.Sprintf("%d more links behave as declared", len(measured)-i))
			break
		}
		table.Row("measured", terminal.Line(p.From)+" -> "+terminal.Line(p.To), terminal.Join(p.Text+" "+p.Error))
	}
	return table.Write(out)
}

// widest is how wide the matrix may be where no terminal says.
const widest = 100

// printLinks prints a matrix if it is not too wide, and one line for each kind
// of link otherwise.
func printLinks(out io.Writer, colors palette, links testbed.Links, peers []string) error {
	width := cmp.Or(layout.Width(out), widest)
	if text := matrix(links, peers, colors, width); text != "" {
		_, err := io.WriteString(out, text)
		return err
	}
	for part := range strings.SplitSeq(links.String(), "; ") {
		if _, err := fmt.Fprintln(out, layout.Wrap(part, layout.Width(out), 4)); err != nil {
			return err
		}
	}
	return nil
}

// matrix is a table of what happens to packets from the peer of the row to the
// peer of the column, or "" if it would be too wide. Cuts are spelt out, any
// other kind of link gets a letter that is explained below.
func matrix(links testbed.Links, peers []string, colors palette, width int) string {
	peers = slices.DeleteFunc(slices.Clone(peers), func(name string) bool { // unless somebody is cut off from it
		return name == testbed.Bootstrap && !slices.ContainsFunc(links.Pairs(), func(p testbed.Pair) bool { return p.From == name || p.To == name })
	})
	table := layout.NewTable(append([]string{`FROM \ TO`}, peers...)...)
	var kinds []string
	for _, from := range peers {
		row := []string{from}
		for _, to := range peers {
			link := links[testbed.Pair{From: from, To: to}]
			cell := "."
			switch {
			case from == to:
				cell = ""
			case link == testbed.Link{Drop: link.Drop} && link.IsCut():
				cell = colors.cell("cut")
			case link != testbed.Link{}:
				kind := link.String()
				at := slices.Index(kinds, kind)
				if at < 0 {
					at, kinds = len(kinds), append(kinds, kind)
				}
				cell = colors.as(observe.Inconclusive, letter(at))
			}
			row = append(row, cell)
		}
		table.Row(row...)
	}
	if table.Width() > width {
		return ""
	}
	var text strings.Builder
	text.WriteString(table.String(0))
	for i, kind := range kinds {
		fmt.Fprintln(&text, layout.Wrap(letter(i)+"  "+kind, width, 4))
	}
	return text.String()
}

// letter is a, b, … z, then a1, b1 and so on.
func letter(i int) string {
	const alphabet = 26
	if i < alphabet {
		return string(rune('a' + i))
	}
	return fmt.Sprintf("%c%d", 'a'+i%alphabet, i/alphabet)
}
