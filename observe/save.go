package observe

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"peerlab/event"
	"peerlab/internal/atomicfile"
	"peerlab/observe/theory"
	"peerlab/testbed"
)

// Files of a saved run.
const (
	EventsFile = "events.jsonl"
	ResultFile = "result.json"
)

// Version is that of the form of result.json that this package writes and
// reads. A new field does not change it; one that goes or means something else
// does.
const Version = 1

// Limits of what Load reads, far above what a run writes.
const (
	maxResult = 64 << 20
	maxEvents = 10_000_000
	maxNames  = 10_000
	maxPairs  = 50_000_000 // of links, in all changes together
)

// result is result.json: docs/results.md describes it, result.schema.json
// defines it.
type result struct {
	Version  int                          `json:"version"`
	Scenario string                       `json:"scenario"`
	Engine   string                       `json:"engine"`
	Seed     uint64                       `json:"seed,omitempty"`
	Settings map[string]string            `json:"settings,omitempty"`
	Own      map[string]map[string]string `json:"own,omitempty"`
	Used     map[string]string            `json:"used,omitempty"`
	Peers    []string                     `json:"peers,omitempty"`
	Model    *model                       `json:"model,omitempty"`
	Began    time.Time                    `json:"began"`
	Ended    time.Time                    `json:"ended"`
	Verdict  Verdict                      `json:"verdict"`
	Reason   string                       `json:"reason,omitempty"`
	Failed   *FailedLine                  `json:"failed,omitempty"`
	Cause    Cause                        `json:"cause,omitempty"`
	Checks   []Checked                    `json:"checks,omitempty"`
	Measures []Measured                   `json:"measures,omitempty"`
	Asked    []Asked                      `json:"asked,omitzero"`
	Events   int                          `json:"events"`
}

// model is a theory.Model with its durations in seconds.
type model struct {
	Nodes                   int     `json:"nodes"`
	ProbeInterval           seconds `json:"probe_interval"`
	IndirectChecks          int     `json:"indirect_checks"`
	AwarenessMaxMultiplier  int     `json:"awareness_max_multiplier"`
	SuspicionMult           int     `json:"suspicion_mult"`
	SuspicionMaxTimeoutMult int     `json:"suspicion_max_timeout_mult"`
	RetransmitMult          int     `json:"retransmit_mult"`
	GossipInterval          seconds `json:"gossip_interval"`
	GossipNodes             int     `json:"gossip_nodes"`
	GossipToTheDeadTime     seconds `json:"gossip_to_the_dead_time"`
	PushPullInterval        seconds `json:"push_pull_interval"`
}

// seconds is a duration that is a number of seconds in JSON.
type seconds time.Duration

// MarshalJSON implements json.Marshaler.
func (s seconds) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Seconds()) }

// UnmarshalJSON implements json.Unmarshaler.
func (s *seconds) UnmarshalJSON(b []byte) error {
	var v float64
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	const longest = 365 * 24 * 3600
	if !(v >= 0 && v <= longest) {
		return fmt.Errorf("%g seconds is not within 0 and a year", v)
	}
	*s = seconds(v*float64(time.Second) + 0.5)
	return nil
}

func modelOf(m theory.Model) *model {
	if m == (theory.Model{}) {
		return nil
	}
	return &model{
		m.Nodes, seconds(m.ProbeInterval), m.IndirectChecks, m.AwarenessMaxMultiplier, m.SuspicionMult,
		m.SuspicionMaxTimeoutMult, m.RetransmitMult, seconds(m.GossipInterval), m.GossipNodes,
		seconds(m.GossipToTheDeadTime), seconds(m.PushPullInterval),
	}
}

func (m *model) theory() theory.Model {
	if m == nil {
		return theory.Model{}
	}
	return theory.Model{
		Nodes: m.Nodes, ProbeInterval: time.Duration(m.ProbeInterval), IndirectChecks: m.IndirectChecks,
		AwarenessMaxMultiplier: m.AwarenessMaxMultiplier, SuspicionMult: m.SuspicionMult,
		SuspicionMaxTimeoutMult: m.SuspicionMaxTimeoutMult, RetransmitMult: m.RetransmitMult,
		GossipInterval: time.Duration(m.GossipInterval), GossipNodes: m.GossipNodes,
		GossipToTheDeadTime: time.Duration(m.GossipToTheDeadTime), PushPullInterval: time.Duration(m.PushPullInterval),
	}
}

// check says why no cluster has these settings.
func (m *model) check() error {
	for _, v := range []int{
		m.Nodes, m.IndirectChecks, m.AwarenessMaxMultiplier, m.SuspicionMult,
		m.SuspicionMaxTimeoutMult, m.RetransmitMult, m.GossipNodes,
	} {
		if v < 0 || v > 1_000_000 {
			return fmt.Errorf("model: %d is not within 0 and 1,000,000", v)
		}
	}
	return nil
}

// Save writes the run to dir, which it creates: events.jsonl and result.json.
// The result comes last and whole, so that a directory that has one holds a
// complete run. Both are for their owner only: they tell what was said.
func (r *Record) Save(dir string) error {
	if err := os.MkdirAll(dir, atomicfile.PrivateDir); err != nil {
		return fmt.Errorf("save the run: %w", err)
	}
	// What a former run left must not stand beside these events.
	if err := os.Remove(filepath.Join(dir, ResultFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("save the run: %w", err)
	}
	err := atomicfile.Write(filepath.Join(dir, EventsFile), atomicfile.Private, func(w io.Writer) error {
		for _, e := range r.Events {
			if _, err := w.Write(e.Encode()); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = atomicfile.Write(filepath.Join(dir, ResultFile), atomicfile.Private, r.encode)
	}
	if err != nil {
		return fmt.Errorf("save the run: %w", err)
	}
	return nil
}

func (r *Record) encode(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(result{
		Version: Version, Scenario: r.Scenario, Engine: r.Engine, Seed: r.Seed, Settings: r.Settings, Own: r.Own, Used: r.Used, Peers: r.Peers,
		Model: modelOf(r.Model), Began: r.Began.UTC(), Ended: r.Ended.UTC(), Verdict: r.Verdict, Reason: r.Reason, Failed: r.Failed, Cause: r.Cause,
		Checks: r.Checks, Measures: r.Measures, Asked: r.Asked, Events: len(r.Events),
	})
}

// Load reads what Save has written. It says what is wrong with files that are
// damaged, incomplete, of another version, or larger than any run.
func Load(dir string) (*Record, error) {
	r, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("load the run in %s: %w", dir, err)
	}
	return r, nil
}

// LoadResult is Load without the events, which it does not look at.
func LoadResult(dir string) (*Record, error) {
	r, _, err := loadResult(dir)
	if err != nil {
		return nil, fmt.Errorf("load the run in %s: %w", dir, err)
	}
	return r, nil
}

func loadResult(dir string) (r *Record, events int, err error) {
	f, err := open(dir, ResultFile)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	if r, events, err = decode(f); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", ResultFile, err)
	}
	return r, events, nil
}

func load(dir string) (*Record, error) {
	r, events, err := loadResult(dir)
	if err != nil {
		return nil, err
	}
	g, err := open(dir, EventsFile)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	if r.Events, err = ReadEvents(g); err != nil {
		return nil, fmt.Errorf("%s: %w", EventsFile, err)
	}
	if len(r.Events) != events {
		return nil, fmt.Errorf("%s has %d events, %s speaks of %d: they do not belong together", EventsFile, len(r.Events), ResultFile, events)
	}
	return r, nil
}

// open opens a regular file: anything else might never end.
func open(dir, name string) (*os.File, error) {
	path := filepath.Join(dir, name)
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", name)
	}
	return os.Open(path)
}

// decode reads result.json: the record without its events, and how many they are.
func decode(from io.Reader) (*Record, int, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxResult+1))
	if err != nil {
		return nil, 0, err
	}
	if len(text) > maxResult {
		return nil, 0, fmt.Errorf("longer than %d bytes", maxResult)
	}
	var s result
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, 0, err
	}
	switch {
	case s.Version != Version:
		return nil, 0, fmt.Errorf("version %d: this program reads version %d", s.Version, Version)
	case !s.Verdict.known():
		return nil, 0, fmt.Errorf("verdict %q: want pass, fail or inconclusive", s.Verdict)
	}
	if s.Model != nil {
		if err := s.Model.check(); err != nil {
			return nil, 0, err
		}
	}
	read := 0
	for _, a := range s.Asked {
		if err := a.check(read, s.Events); err != nil {
			return nil, 0, fmt.Errorf("asked in line %d: %w", a.Line, err)
		}
		read = a.To
	}
	return &Record{
		Scenario: s.Scenario, Engine: s.Engine, Seed: s.Seed, Settings: s.Settings, Own: s.Own, Used: s.Used, Peers: s.Peers, Model: s.Model.theory(),
		Began: s.Began, Ended: s.Ended, Verdict: s.Verdict, Reason: s.Reason, Failed: s.Failed, Cause: s.Cause, Checks: s.Checks, Measures: s.Measures, Asked: s.Asked,
	}, s.Events, nil
}

// check says why no line of a run with so many events asked this, after one
// that had read so many.
func (a Asked) check(read, events int) error {
	switch {
	case a.From < read || a.From > a.To || a.To > events || a.Mark < 0 || a.Mark > a.From:
		return fmt.Errorf("event %d (mark %d) to %d, of %d, after %d", a.From, a.Mark, a.To, events, read)
	case len(a.Words) < 2:
		return errors.New("without words")
	case !a.Verdict.known():
		return fmt.Errorf("verdict %q: want pass, fail or inconclusive", a.Verdict)
	}
	return nil
}

// ReadEvents reads events as JSON lines, as events.jsonl and peerlab events have
// them, and checks that they are such as a run can have.
func ReadEvents(from io.Reader) ([]event.Event, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, event.MaxLine+1)
	var events []event.Event
	var c census
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		e, err := event.Decode(lines.Bytes())
		if err == nil {
			err = c.add(e)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if events = append(events, e); len(events) > maxEvents {
			return nil, fmt.Errorf("more than %d events", maxEvents)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("after event %d: %w", len(events), err)
	}
	return events, nil
}

// census keeps foreign events from costing more than those of a run: a view
// grows with the square of the names, links with the product of two lists.
type census struct {
	names map[string]struct{}
	pairs int
}

func (c *census) add(e event.Event) error {
	if c.names == nil {
		c.names = make(map[string]struct{})
	}
	c.names[e.Peer], c.names[e.Member] = struct{}{}, struct{}{}
	if len(c.names) > maxNames {
		return fmt.Errorf("more than %d names of peers", maxNames)
	}
	switch e.Kind {
	case testbed.LabCut, testbed.LabLink, testbed.LabHeal:
	default:
		return nil
	}
	for part := range strings.SplitSeq(e.Text, ";") {
		from, to, _ := strings.Cut(part, "->")
		c.pairs += (strings.Count(from, ",") + 1) * (strings.Count(to, ",") + 1)
		if c.pairs > maxPairs {
			return fmt.Errorf("more than %d pairs in its links", maxPairs)
		}
	}
	_, err := testbed.ParseLinks(e.Text)
	return err
}
