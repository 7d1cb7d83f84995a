package observe

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"peerlab/event"
	"peerlab/testbed"
)

// full is a record in which every field is set.
func full(t *testing.T) *Record {
	t.Helper()
	events := numbered(with(inChat("a", "b", "c"),
		sent(5, "a", "a/7/1"), delivered(5.1, "b", "a/7/1"), delivered(5.1, "b", "a/7/1"),
		lab(10, testbed.LabKill, "c"), says(15, "a", event.MemberDead, "c"), says(16, "b", event.MemberDead, "c"), links(20, "")))
	r := &Record{
		Scenario: "crash", Engine: "sim", Seed: 7, Settings: map[string]string{"profile": "lan"}, Used: map[string]string{"profile": "lan", "rejoin": "5s"},
		Own: map[string]map[string]string{"a": {"rejoin": "0"}}, Peers: []string{"a", "b", "c"}, Model: lan(3), Began: at(0), Ended: at(30),
		Verdict: Fail, Reason: "line 3: check chat: \x1b[31mno\ufffe", Events: events,
	}
	for _, h := range Measures() {
		m, err := Measure(r, h.Name)
		if err != nil {
			t.Fatal(err)
		}
		r.Measures = append(r.Measures, m)
	}
	for _, h := range Checks() {
		c, err := Check(r, h.Name)
		if err != nil {
			t.Fatal(err)
		}
		r.Checks = append(r.Checks, c)
	}
	r.Asked = []Asked{{
		Line: 3, Text: "! await $T a sees c dead", Prefix: "!", Words: []string{"await", "10s", "a", "sees", "c", "dead"},
		From: 2, To: len(events), Mark: 1, Ended: at(25), Unseen: true, Verdict: Fail, Found: "not within 10s",
	}}
	return r
}

func TestSavedRunsComeBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	r := full(t)
	for range 2 { // a second save replaces the first
		if err := r.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	back, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, r) {
		t.Errorf("saved\n%+v\nloaded\n%+v", r, back)
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 2 {
		t.Errorf("the directory holds %v", files)
	}
	for _, c := range r.Checks {
		if again, err := Check(back, c.Name); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("judged again: %+v, %v, was %+v", again, err, c)
		}
	}
}

// closed returns a schema in which every object with properties has no others,
// so that a field that is not documented is found.
func closed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			v[key] = closed(v[key])
		}
		if _, has := v["properties"]; has {
			v["additionalProperties"] = false
		}
	case []any:
		for i := range v {
			v[i] = closed(v[i])
		}
	}
	return v
}

func TestResultFollowsItsSchema(t *testing.T) {
	text, err := os.ReadFile("result.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("result.json", closed(raw)); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("result.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(r *Record) error {
		var b bytes.Buffer
		if err := r.encode(&b); err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(doc)
	}
	for name, r := range map[string]*Record{"full": full(t), "bare": {Verdict: Pass, Began: at(0), Ended: at(1)}} {
		if err := valid(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if valid(&Record{Verdict: "maybe"}) == nil {
		t.Error("the schema takes any verdict")
	}
	r := full(t)
	r.Measures[0].Figures[0].Unit = "furlong"
	if valid(r) == nil {
		t.Error("the schema takes any unit")
	}
	if !reflect.DeepEqual(r.Model, modelOf(r.Model).theory()) {
		t.Errorf("the model comes back as %+v", modelOf(r.Model).theory())
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	good := full(t)
	save := func(t *testing.T) string {
		dir := t.TempDir()
		if err := good.Save(dir); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	replace := func(name, old, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(content), old, text, 1)
			if changed == string(content) {
				t.Fatalf("%s does not hold %q", name, old)
			}
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name   string
		damage func(*testing.T, string)
		want   string
	}{
		{"no result", func(t *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, ResultFile)) }, "no such file"},
		{"no events", func(t *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, EventsFile)) }, "no such file"},
		{"a directory", func(t *testing.T, dir string) {
			_ = os.Remove(filepath.Join(dir, EventsFile))
			_ = os.Mkdir(filepath.Join(dir, EventsFile), 0o700)
		}, "is not a file"},
		{"another version", replace(ResultFile, `"version": 1`, `"version": 2`), "version 2: this program reads version 1"},
		{"no verdict", replace(ResultFile, `"verdict": "fail"`, `"verdict": ""`), `verdict ""`},
		{"not JSON", replace(ResultFile, `{`, `[`), "result.json: "},
		{"cut short", replace(EventsFile, `{"t"`, ``), "events.jsonl: line 1: parse event line"},
		{"of another run", replace(ResultFile, `"events": `, `"events": 1`), "do not belong together"},
		{"absurd nodes", replace(ResultFile, `"nodes": 3`, `"nodes": -3`), "-3 is not within"},
		{"absurd interval", replace(ResultFile, `"probe_interval": 1`, `"probe_interval": -1`), "-1 seconds"},
		{"asked of what did not happen", replace(ResultFile, `"from": 2`, `"from": 1000`), "asked in line 3: event 1000"},
		{"asked for nothing known", replace(ResultFile, `"verdict": "fail",
      "found"`, `"verdict": "well",
      "found"`), "asked in line 3: verdict"},
		{"links nobody can read", replace(EventsFile, `"lab.heal"`, `"lab.heal","text":"a => b"`), "want A,B -> C"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := save(t)
			test.damage(t, dir)
			if r, err := Load(dir); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("Load: %v, %v; want %q", r, err, test.want)
			}
		})
	}
}

func TestReadEventsHasLimits(t *testing.T) {
	var names bytes.Buffer
	for i := range maxNames + 1 {
		names.Write(event.Event{Time: at(0), Peer: fmt.Sprint(i), Kind: event.PeerStarted}.Encode())
	}
	many := strings.Repeat("a,", 8000) + "a"
	pairs := lab(0, testbed.LabCut, "")
	pairs.Text = many + " -> " + many + " drop=all"
	for want, text := range map[string][]byte{
		"names of peers": names.Bytes(),
		"pairs":          pairs.Encode(),
		"too long":       bytes.Repeat([]byte(" "), event.MaxLine+2),
	} {
		if _, err := ReadEvents(bytes.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestSaveSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := full(t).Save(file); err == nil || !strings.Contains(err.Error(), "save the run") {
		t.Errorf("error %v", err)
	}
}

// FuzzLoad reads foreign bytes and has everything judged and measured.
func FuzzLoad(f *testing.F) {
	r := &Record{Verdict: Pass, Events: numbered(with(inChat("a", "b"), sent(5, "a", "a/7/1"), delivered(5.1, "b", "a/7/1"),
		links(6, "a -> b drop=all"), says(12, "a", event.MemberDead, "b"), links(13, ""), lab(14, testbed.LabPause, "a"),
		lab(15, testbed.LabResume, "a"), lab(16, testbed.LabKill, "b")))}
	var result, events bytes.Buffer
	if err := r.encode(&result); err != nil {
		f.Fatal(err)
	}
	for _, e := range r.Events {
		events.Write(e.Encode())
	}
	f.Add(result.Bytes(), events.Bytes())
	f.Add([]byte(`{"version":1,"verdict":"pass","model":{"nodes":3}}`), []byte(`{"t":"2026-01-02T02:04:05Z","seq":7,"peer":"lab","kind":"lab.resume"}`))
	f.Fuzz(func(t *testing.T, result, events []byte) {
		r, _, err := decode(bytes.NewReader(result))
		if err != nil {
			return
		}
		if r.Events, err = ReadEvents(bytes.NewReader(events)); err != nil {
			return
		}
		for _, h := range Measures() {
			m, err := Measure(r, h.Name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := json.Marshal(m); err != nil {
				t.Fatalf("%s: %v", h.Name, err)
			}
			_ = m.String()
			r.Measures = append(r.Measures, m)
		}
		for _, h := range Checks() {
			c, err := Check(r, h.Name)
			if err != nil {
				t.Fatal(err)
			}
			r.Checks = append(r.Checks, c)
		}
		_ = viewOf(r.Events...).Table()
		var b bytes.Buffer
		if err := (JUnit{Runs: []JUnitRun{{Name: r.Scenario, Record: r}}}).Write(&b); err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(b.Bytes(), new(junitSuites)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestJUnit(t *testing.T) {
	runs := []JUnitRun{
		{"a #1", &Record{Engine: "sim", Verdict: Pass, Began: at(0), Ended: at(2)}, ""},
		{"a #2", &Record{Engine: "sim", Verdict: Fail, Reason: "line 3: <no>\x1b\ufffe", Began: at(0), Ended: at(1.5)}, "x.txt:3:1: bob\n  <no>"},
		{"c", &Record{Engine: "docker", Verdict: Inconclusive, Reason: "busy", Began: at(0), Ended: at(1), Checks: []Checked{{Name: "chat", Verdict: Pass, Judged: "5 messages"}}}, ""},
	}
	want := `<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" errors="1" time="4.500">
  <testsuite name="peerlab" tests="3" failures="1" errors="1" time="4.500" timestamp="2026-11-27T23:00:00" hostname="ci &amp; co">
    <testcase name="a #1" classname="peerlab.sim" time="2.000">
      <properties>
        <property name="clock" value="virtual: time is what passed for the peers, not for who waited"></property>
      </properties>
    </testcase>
    <testcase name="a #2" classname="peerlab.sim" time="1.500">
      <properties>
        <property name="clock" value="virtual: time is what passed for the peers, not for who waited"></property>
      </properties>
      <failure message="line 3: &lt;no&gt;" type="fail">x.txt:3:1: bob&#xA;  &lt;no&gt;</failure>
    </testcase>
    <testcase name="c" classname="peerlab.docker" time="1.000">
      <error message="busy" type="inconclusive">busy</error>
      <system-out>check chat: pass: 5 messages&#xA;</system-out>
    </testcase>
  </testsuite>
</testsuites>
`
	var b bytes.Buffer
	if err := (JUnit{time.Date(2026, 11, 28, 0, 0, 0, 0, time.FixedZone("", 3600)), "ci & co", runs}).Write(&b); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
