package fabric

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

func FuzzDatagram(f *testing.F) {
	buf := make([]byte, 40)
	datagram{flow: 1, seq: 2, sent: 3}.put(buf)
	f.Add(buf)
	f.Add([]byte("plab"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, ok := parseDatagram(data)
		if !ok {
			return
		}
		again := make([]byte, datagramSize)
		d.put(again)
		if string(again) != string(data[:datagramSize]) {
			t.Errorf("%x became %x", data[:datagramSize], again)
		}
	})
}

func FuzzRequest(f *testing.F) {
	probe, err := NewProbe(0)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = probe.Close() })
	f.Add(`{"id":1,"collect":{"flow":1,"want":0}}`)
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, "send") || strings.Contains(line, "dial") || strings.Contains(line, "patience") {
			return // no packets to made-up addresses, no waiting
		}
		_ = probe.Serve(context.Background(), strings.NewReader(line), io.Discard)
	})
}

// Every kind of fault is found by measuring it, and no fault where none is.
func TestMeasure(t *testing.T) {
	l := newLab(t, 3)
	a := l.agent(t)
	probers := l.probes(t)
	pairs := []Pair{l.pair(0, 1), l.pair(1, 0), l.pair(0, 2), l.pair(2, 0)}
	for _, m := range []Matrix{
		{},
		{l.pair(0, 1): {Drop: DropAll}, l.pair(1, 0): {Drop: DropAll}},
		{l.pair(0, 1): {Drop: DropAll}},
		{l.pair(0, 1): {Drop: DropUDP}, l.pair(1, 0): {Drop: DropTCP}},
		{l.pair(0, 1): {Over: 1000}},
		{l.pair(0, 1): {Loss: 30}},
	} {
		_, err := a.apply(m, 0)
		must(t, err)
		results, err := m.Measure(t.Context(), probers, pairs)
		must(t, err)
		for _, r := range results {
			must(t, m.Check(r, nil))
		}
		// Declared but not applied: it is told, by the pair's name.
		must(t, a.clear())
		results, err = m.Measure(t.Context(), probers, pairs[:1])
		must(t, err)
		if err := m.Check(results[0], nil); len(m) > 0 && (err == nil || !strings.HasPrefix(err.Error(), "10.77.0.1 -> 10.77.0.2: fault without effect")) {
			t.Errorf("%v is not in force, and nobody notices: %v", m, err)
		}
	}
	if _, err := (Matrix{}).Measure(t.Context(), probers, []Pair{{alice, bob}}); err == nil {
		t.Error("measured without probes")
	}
}

// A probe that ends fails what waits for it.
func TestProberWithoutProbe(t *testing.T) {
	requests, ask := io.Pipe()
	replies, answer := io.Pipe()
	p := NewProber(stream{replies, ask})
	go func() {
		_, _ = requests.Read(make([]byte, 100))
		_ = answer.Close()
		_ = requests.Close()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for range 2 {
		_, err := p.ask(ctx, request{Collect: &collectRequest{Patience: time.Hour}})
		if err == nil || !strings.Contains(err.Error(), "the probe is gone") {
			t.Errorf("error %v", err)
		}
	}
	must(t, p.Close())
}
