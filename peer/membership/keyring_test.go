package membership_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"peerlab/event"
	"peerlab/peer/membership"
)

var (
	// Not base64: 32 letters would be read as base64 of 24 bytes.
	oldKey, newKey = strings.Repeat("o!", 16), strings.Repeat("n", 16)
	base64OfOld    = base64.StdEncoding.EncodeToString([]byte(oldKey))
)

func fingerprint(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])[:8]
}

func install(t *testing.T, key string, nodes ...node) {
	t.Helper()
	for _, n := range nodes {
		if got, err := n.InstallKey(key); err != nil || len(got) != 8 {
			t.Fatalf("installed %q, %v", got, err)
		}
	}
}

func showKeys(n node) string {
	var all []string
	for _, k := range n.Keys() {
		if k.Primary {
			all = append(all, k.Fingerprint+"*")
		} else {
			all = append(all, k.Fingerprint)
		}
	}
	return strings.Join(all, " ")
}

// Keys installed while running encrypt: who has the key is let in, who has
// none or another is not.
func TestOnlyMembersWithTheKeyGetIn(t *testing.T) {
	a, b, none, other := start(t, "a"), start(t, "b"), start(t, "none"), start(t, "other")
	install(t, base64OfOld, a, b)
	install(t, newKey, other)
	if want := fingerprint(oldKey) + "*"; showKeys(a) != want {
		t.Errorf("keys %q, want %q: base64 and raw bytes are the same key", showKeys(a), want)
	}
	b.join(t, a)
	a.awaitKind(t, event.MemberJoin, "b")
	for _, n := range []node{none, other} {
		if joined, err := n.Join(t.Context(), []string{a.Addr()}); err == nil {
			t.Errorf("%s joined %d without the key", n.Name(), joined)
		} else if leaks(err.Error()) {
			t.Errorf("the key is in the error %q", err)
		}
		if _, err := a.Join(t.Context(), []string{n.Addr()}); err == nil {
			t.Errorf("a joined %s", n.Name())
		}
		if a.state(n.Name()) != "" || n.state("a") != "" {
			t.Errorf("%s is let in", n.Name())
		}
	}
}

// Install everywhere, use everywhere, remove everywhere: nobody is lost or as
// much as suspected on the way, and the old key is of no use afterwards.
func TestRotation(t *testing.T) {
	// A long suspicion: nobody may die of a busy host, only of a key.
	a, b, c := start(t, "a", "SuspicionMult=100"), start(t, "b", "SuspicionMult=100"), start(t, "c", "SuspicionMult=100")
	all := []node{a, b, c}
	install(t, oldKey, all...)
	a.join(t, b, c)
	meet := func(step string) {
		t.Helper()
		// Every pair talks in both directions, under whatever keys they use now.
		for _, n := range all {
			for _, other := range all {
				if _, err := n.Join(t.Context(), []string{other.Addr()}); err != nil {
					t.Fatalf("%s: %s to %s: %v", step, n.Name(), other.Name(), err)
				}
			}
		}
	}
	meet("start")
	for _, step := range []struct {
		name string
		do   func(node) error
		keys string
	}{
		{"install", func(n node) error { _, err := n.InstallKey(newKey); return err }, fingerprint(oldKey) + "* " + fingerprint(newKey)},
		{"use", func(n node) error { return n.UseKey(fingerprint(newKey)) }, fingerprint(newKey) + "* " + fingerprint(oldKey)},
		{"remove", func(n node) error { return n.RemoveKey(base64OfOld) }, fingerprint(newKey) + "*"},
	} {
		for _, n := range all {
			if err := step.do(n); err != nil {
				t.Fatal(err)
			}
			if showKeys(n) != step.keys {
				t.Errorf("%s: keys %q, want %q", step.name, showKeys(n), step.keys)
			}
			meet(step.name + " on " + n.Name())
		}
	}
	for _, n := range all {
		events, _ := n.events.Since(0)
		for _, e := range events {
			if e.Kind == event.MemberDead {
				t.Errorf("%s held %s dead", n.Name(), e.Member)
			}
			if leaks(string(e.Encode())) {
				t.Errorf("a key is in the event %s", e.Encode())
			}
		}
	}
	late := start(t, "late")
	install(t, oldKey, late)
	if _, err := late.Join(t.Context(), []string{a.Addr()}); err == nil {
		t.Error("the removed key still opens")
	}
}

// leaks says whether text holds a key in any form, or enough of one.
func leaks(text string) bool {
	return strings.Contains(text, "o!o!o") || strings.Contains(text, "nnnnn") || strings.Contains(text, base64OfOld[:8])
}

func TestKeyErrors(t *testing.T) {
	n := start(t, "n")
	if keys := n.Keys(); keys == nil || len(keys) != 0 {
		t.Errorf("keys %v, want an empty list", keys)
	}
	check := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || leaks(err.Error()) {
			t.Errorf("error %v, want one line with %q", err, want)
		}
	}
	check(n.UseKey("00000000"), "no key is installed")
	check(n.RemoveKey(oldKey), "no key is installed")
	install(t, oldKey, n)
	install(t, oldKey, n) // once more changes nothing
	_, err := n.InstallKey(oldKey[1:])
	check(err, "these 31 characters are none")
	_, err = n.InstallKey("")
	check(err, "16, 24 or 32 bytes")
	check(n.UseKey(newKey), "key "+fingerprint(newKey)+" is not installed: installed are "+fingerprint(oldKey))
	check(n.UseKey("0000000g"), "its fingerprint of 8 hex digits")
	check(n.UseKey("00000000"), "key 00000000 is not installed")
	check(n.RemoveKey(strings.ToUpper(fingerprint(oldKey))), "is the primary one: use another first")
	if want := fingerprint(oldKey) + "*"; showKeys(n) != want {
		t.Errorf("keys %q, want %q", showKeys(n), want)
	}
}

// Keys may change while messages are decrypted: memberlist's RemoveKey alone
// races with trying one key after the other (run with -race).
func TestRemoveWhileDecrypting(t *testing.T) {
	a, stranger := start(t, "a"), start(t, "stranger")
	install(t, oldKey, a)
	install(t, newKey, stranger)
	extra := []string{strings.Repeat("1", 16), strings.Repeat("2!", 12), strings.Repeat("3!", 16)}
	talked := make(chan struct{})
	go func() {
		defer close(talked)
		for range 300 {
			_, _ = stranger.Join(t.Context(), []string{a.Addr()})
		}
	}()
	for done := false; !done; {
		for _, key := range extra {
			install(t, key, a)
		}
		for _, key := range extra {
			if err := a.RemoveKey(key); err != nil {
				t.Error(err)
			}
		}
		select {
		case <-talked:
			done = true
		default:
		}
	}
	if want := fingerprint(oldKey) + "*"; showKeys(a) != want {
		t.Errorf("keys %q, want %q", showKeys(a), want)
	}
}

func TestParseKey(t *testing.T) {
	for text, want := range map[string]int{
		base64OfOld: 32, oldKey: 32, newKey: 16, strings.Repeat("x", 24): 24,
		base64.StdEncoding.EncodeToString([]byte(newKey)): 16,
		strings.Repeat("A", 32):                           24, // base64 comes first
	} {
		if key, err := membership.ParseKey(text); err != nil || len(key) != want {
			t.Errorf("%d characters: %d bytes, %v", len(text), len(key), err)
		}
	}
	for _, text := range []string{"", "short", strings.Repeat("x", 33), strings.Repeat("x", 1<<20)} {
		if _, err := membership.ParseKey(text); err == nil || strings.Contains(err.Error(), "xxx") {
			t.Errorf("%d characters: error %v", len(text), err)
		}
	}
}
