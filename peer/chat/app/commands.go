package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/peer/chat"
	"peerlab/peer/command"
)

// Commands implements peer.App.
func (a *App) Commands() []command.Command {
	return []command.Command{
		{
			Name: "msg", Group: "chat", Usage: "TEXT...", MinArgs: 1, MaxArgs: -1, Text: true, Data: true,
			Short: "say something to everyone in the chat",
			Long: fmt.Sprintf("The text is the rest of the line as it is written. One pair of quotes around all of\n"+
				"it is taken off, and $NAME is replaced if it is set. Flags stand before the text: -format\njson behind it is part of what is said. The limit is %d bytes of UTF-8. Whoever cannot be reached gets the message later. With\n"+
				"-wait=local it is on disk when the command returns, so that it is delivered even\n"+
				"if this peer is killed and started again with the same state directory.", chat.MaxText),
			Example: "msg -wait 'hello, everyone'", Flags: a.sendMessage,
		},
		{
			Name: "chat members", Aliases: []string{"chatmembers"}, Group: "chat", Usage: "[NAME...]", MaxArgs: -1, Data: true,
			Short: "who is in the chat besides this peer", Example: "chat members", Run: a.showChatMembers, Complete: a.chatNames,
		},
		{
			Name: "chat ping", Aliases: []string{"chatping", "chatmemberping"}, OldNames: []string{"ping"}, Group: "chat", Usage: "[NAME]", MaxArgs: 1, Data: true,
			Short: "round trip to a member's chat, or to everyone's", Example: "chat ping bob",
			Run: a.pingChat, Complete: a.chatNames,
		},
		{
			Name: "chat history", Group: "chat", Data: true,
			Short: "what was said and who came and went, as this peer saw it", Example: "chat history -n 20",
			Flags: a.showChatHistory,
		},
		{
			Name: "chat stats", Group: "chat", Data: true,
			Short: "what the chat sent, took in, repaired and refused", Example: "chat stats -format json",
			Run: a.showChatStats,
		},
		{
			Name: "chat rekey", Group: "chat",
			Short: "read the chat's secrets again from their file",
			Long: "The first secret in the file is used, all are accepted. To change it without losing\n" +
				"a message: add the new one behind the old at every peer, then move it to the front\n" +
				"at every peer, then remove the old one; after each step chat rekey.",
			Example: "chat rekey", Run: a.rekeyChat,
		},
	}
}

func (a *App) chatNames([]string, string) []string {
	c, err := a.joined()
	if err != nil {
		return nil
	}
	var names []string
	for _, m := range c.Members() {
		names = append(names, m.Name)
	}
	return names
}

// waitFlag is -wait, -wait=DURATION or -wait=local.
type waitFlag struct {
	forAll time.Duration
	local  bool
}

func (w *waitFlag) String() string   { return "" }
func (w *waitFlag) IsBoolFlag() bool { return true }
func (w *waitFlag) Set(s string) error {
	switch s {
	case "true":
		*w = waitFlag{forAll: 5 * time.Second}
		return nil
	case "local":
		*w = waitFlag{local: true}
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > time.Hour {
		return errors.New("write -wait, -wait=DURATION up to 1h, or -wait=local")
	}
	*w = waitFlag{forAll: d}
	return nil
}

func (a *App) sendMessage(fs *flag.FlagSet) command.Func {
	var wait waitFlag
	fs.Var(&wait, "wait", "wait until everyone has it, up to 5s or `=DURATION`, and tell who has; =local: until it is on this peer's disk")
	return func(ctx context.Context, c *command.Call) error {
		room, err := a.joined()
		if err != nil {
			return err
		}
		text := strings.Join(c.Args, " ")
		if wait.forAll == 0 {
			send := room.Send
			if wait.local {
				send = room.SendKept
			}
			id, err := send(ctx, text)
			if err != nil {
				return err
			}
			return c.Show(map[string]string{"message": id.String()}, func() {
				if len(room.Members()) == 0 {
					c.Printf("%s\n", alone)
				}
			})
		}
		ctx, cancel := context.WithTimeout(ctx, wait.forAll)
		defer cancel()
		d, err := room.SendAndWait(ctx, text)
		if err != nil {
			return err
		}
		if err := c.Show(d, func() { showDelivery(c, d) }); err != nil {
			return err
		}
		if len(d.Missing) > 0 {
			return fmt.Errorf("no answer from %s: the message stays queued while they are members", strings.Join(d.Missing, ", "))
		}
		return nil
	}
}

// alone is what is said of a message to nobody.
const alone = "nobody else is in the chat to read it now"

func showDelivery(c *command.Call, d chat.Delivery) {
	if len(d.Acked) == 0 && len(d.Missing) == 0 {
		c.Printf("%s\n", alone)
		return
	}
	var rows [][]string
	for name, took := range d.Acked {
		rows = append(rows, []string{name, "has it", took.Round(10 * time.Microsecond).String()})
	}
	for _, name := range d.Missing {
		rows = append(rows, []string{name, "no answer", "-"})
	}
	slices.SortFunc(rows, slices.Compare)
	c.Table([]string{"NAME", "MESSAGE", "AFTER"}, rows)
}

func (a *App) showChatMembers(_ context.Context, c *command.Call) error {
	room, err := a.joined()
	if err != nil {
		return err
	}
	type member struct {
		Name        string `json:"name"`
		Addr        string `json:"addr"`
		Incarnation uint64 `json:"incarnation"`
	}
	members := []member{}
	all := room.Members()
	for _, name := range c.Args {
		if !slices.ContainsFunc(all, func(m chat.Presence) bool { return m.Name == name }) {
			return fmt.Errorf("chat members: %q is not in the chat", name)
		}
	}
	for _, m := range all {
		if len(c.Args) > 0 && !slices.Contains(c.Args, m.Name) {
			continue
		}
		members = append(members, member{m.Name, m.Addr, m.Incarnation})
	}
	return c.Show(members, func() {
		rows := make([][]string, len(members))
		for i, m := range members {
			rows[i] = []string{m.Name, m.Addr, strconv.FormatUint(m.Incarnation, 10)}
		}
		c.Table([]string{"NAME", "CHAT", "INCARNATION"}, rows)
	})
}

func (a *App) pingChat(ctx context.Context, c *command.Call) error {
	room, err := a.joined()
	if err != nil {
		return err
	}
	names := c.Args
	if len(names) == 0 {
		names = a.chatNames(nil, "")
	}
	type pong struct {
		Name  string        `json:"name"`
		RTT   time.Duration `json:"rtt_ns,omitempty"`
		Error string        `json:"error,omitempty"`
	}
	pongs := []pong{}
	var failed []error
	for _, name := range names {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		took, err := room.Ping(ctx, name)
		cancel()
		if err != nil {
			failed = append(failed, err)
			pongs = append(pongs, pong{Name: name, Error: err.Error()})
			continue
		}
		pongs = append(pongs, pong{Name: name, RTT: took})
	}
	err = c.Show(pongs, func() {
		rows := [][]string{}
		for _, r := range pongs {
			if r.Error == "" {
				rows = append(rows, []string{r.Name, r.RTT.Round(10 * time.Microsecond).String()})
			}
		}
		if len(rows) > 0 {
			c.Table([]string{"NAME", "RTT"}, rows)
		}
	})
	return errors.Join(err, errors.Join(failed...))
}

// LineCommand implements peer.Conversation.
func (*App) LineCommand() []string { return []string{"msg", "--"} }

// ShowEvent implements peer.Conversation.
func (*App) ShowEvent(e event.Event) string { return event.ChatLine(e) }

func (a *App) showChatHistory(fs *flag.FlagSet) command.Func {
	n := fs.Int("n", 0, "how `many` of the latest lines to show; 0 is all that is kept")
	return func(_ context.Context, c *command.Call) error {
		if *n < 0 {
			return errors.New("chat history: -n takes 0 or more")
		}
		a.mu.Lock()
		log := a.node.Events
		a.mu.Unlock()
		var events []event.Event
		if log != nil {
			events, _ = log.Since(0)
		}
		entries := []historyEntry{}
		for _, e := range events {
			line := a.ShowEvent(e)
			if line == "" {
				continue
			}
			author := e.Member
			if e.Kind == event.ChatSent {
				author = e.Peer
			}
			entries = append(entries, historyEntry{line, e.Time.UTC(), e.Kind, author, e.Message, e.Text, e.Messages})
		}
		if *n > 0 {
			entries = entries[max(0, len(entries)-*n):]
		}
		return c.Show(entries, func() {
			for _, entry := range entries {
				c.Printf("%s %s\n", entry.Time.Local().Format(time.TimeOnly), entry.Line)
			}
		})
	}
}

// historyEntry is one line of the chat's history in JSON.
type historyEntry struct {
	Line string     `json:"line"` // as the shell shows it
	Time time.Time  `json:"t"`    // when this peer saw it
	Kind event.Kind `json:"kind"`
	// Author is who said it, or who came or went.
	Author string `json:"author"`
	// ID is that of the message, author/incarnation/sequence.
	ID       string `json:"id,omitempty"`
	Text     string `json:"text,omitempty"`
	Messages uint64 `json:"messages,omitempty"` // how many were skipped
}

func (a *App) showChatStats(_ context.Context, c *command.Call) error {
	room, err := a.joined()
	if err != nil {
		return err
	}
	s := room.Stats()
	return c.Show(s, func() {
		security := "none"
		if s.Secured {
			security = "secret"
		}
		count := func(what string, n uint64) []string { return []string{what, strconv.FormatUint(n, 10)} }
		c.Table([]string{"CHAT", ""}, [][]string{
			{"carrier", s.Carrier},
			{"security", security},
			{"kept in", s.State},
			count("members", uint64(s.Members)),
			{"kept", fmt.Sprintf("%d messages, %d bytes", s.Kept, s.KeptBytes)},
			count("held back now", uint64(s.Held)),
			count("sent", s.Sent),
			count("delivered", s.Delivered),
			count("of before", s.Earlier),
			count("pushed", s.Pushed),
			count("gossiped", s.Gossiped),
			count("relayed", s.Relayed),
			count("syncs", s.Syncs),
			count("pulls", s.Pulls),
			count("held back", s.HeldBack),
			count("duplicates", s.Duplicates),
			count("refused", s.Refused),
			count("skipped", s.Skipped),
			count("truncated", s.Truncated),
			count("malformed", s.Malformed),
			count("oversized", s.Oversized),
			count("unknown", s.Unknown),
			count("forged", s.Forged),
			count("unasked", s.Unasked),
			count("strangers", s.Strangers),
			count("bytes in", s.BytesIn),
			count("bytes out", s.BytesOut),
		})
	})
}

func (a *App) rekeyChat(_ context.Context, c *command.Call) error {
	if a.secret == nil || a.Config.SecretFile == "" {
		return errors.New("the chat has no file of secrets: start the peer with --chat-secret-file FILE")
	}
	secrets, err := a.secrets()
	if err != nil {
		return err
	}
	if err := a.secret.Set(secrets...); err != nil {
		return err
	}
	c.Printf("secrets in use: 1, accepted besides: %d\n", len(secrets)-1)
	return nil
}
