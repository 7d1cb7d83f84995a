package membership

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/memberlist"
)

// Key tells of an encryption key without giving it away.
type Key struct {
	Fingerprint string `json:"fingerprint"` // the first 8 hex digits of its SHA-256
	Primary     bool   `json:"primary"`     // messages are encrypted with it
}

// ParseKey reads an encryption key: 16, 24 or 32 bytes in base64, as "serf
// keygen" prints them, or else 16, 24 or 32 bytes as they are. Base64 comes
// first: 32 letters and digits are a key of 24 bytes. The error does not repeat
// the text.
func ParseKey(text string) ([]byte, error) {
	if key, err := base64.StdEncoding.DecodeString(text); err == nil && memberlist.ValidateKey(key) == nil {
		return key, nil
	}
	if key := []byte(text); memberlist.ValidateKey(key) == nil {
		return key, nil
	}
	return nil, fmt.Errorf("an encryption key is 16, 24 or 32 bytes, best in base64: these %d characters are none", len(text))
}

var fingerprintForm = regexp.MustCompile(`^[0-9a-fA-F]{8}$`)

// fingerprintOf returns what names key in output: the first 8 hex digits of its
// SHA-256.
func fingerprintOf(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:4])
}

// RedactKey returns what stands for a key where a command line is kept: its
// fingerprint. A fingerprint stays, and so does "-", which stands for standard
// input; what is neither, such as half a key, becomes "not-a-key".
func RedactKey(text string) string {
	if text == "-" || fingerprintForm.MatchString(text) {
		return text
	}
	key, err := ParseKey(text)
	if err != nil {
		return "not-a-key"
	}
	return fingerprintOf(key)
}

// keyring guards a memberlist.Keyring, whose methods are safe one by one but
// not as check and change.
type keyring struct {
	mu   sync.Mutex
	ring *memberlist.Keyring
}

// Keys returns the installed encryption keys, the primary one first; none
// means that gossip is not encrypted.
func (m *Membership) Keys() []Key {
	m.ring.mu.Lock()
	defer m.ring.mu.Unlock()
	keys := []Key{}
	for i, key := range m.ring.ring.GetKeys() {
		keys = append(keys, Key{Fingerprint: fingerprintOf(key), Primary: i == 0})
	}
	return keys
}

// InstallKey adds a key, read as ParseKey does, with which messages of others
// can be decrypted, and returns its fingerprint. Installing it again changes
// nothing.
//
// The first key becomes primary at once, and with GossipVerifyIncoming (the
// default) only encrypted messages count from then on: members without the key
// lose this one. Give the first key to every peer within seconds, or at start.
// To change keys, install the new one on every member, then use it on every
// member, then remove the old one from every member.
func (m *Membership) InstallKey(key string) (fingerprint string, err error) {
	b, err := ParseKey(key)
	if err != nil {
		return "", fmt.Errorf("install key: %w", err)
	}
	m.ring.mu.Lock()
	defer m.ring.mu.Unlock()
	if err := m.ring.ring.AddKey(b); err != nil {
		return "", fmt.Errorf("install key: %w", err)
	}
	return fingerprintOf(b), nil
}

// UseKey encrypts this peer's messages with an installed key, given as itself
// or by its fingerprint. Members that have not installed it cannot read them.
func (m *Membership) UseKey(key string) error {
	m.ring.mu.Lock()
	defer m.ring.mu.Unlock()
	b, err := m.ring.find(key)
	if err != nil {
		return fmt.Errorf("use key: %w", err)
	}
	if err := m.ring.ring.UseKey(b); err != nil {
		return fmt.Errorf("use key: %w", err)
	}
	return nil
}

// RemoveKey forgets an installed key, given as itself or by its fingerprint.
// Messages of members that still use it are no longer understood. The primary
// key cannot be removed: once encrypted, gossip stays encrypted.
func (m *Membership) RemoveKey(key string) error {
	m.ring.mu.Lock()
	defer m.ring.mu.Unlock()
	b, err := m.ring.find(key)
	if err != nil {
		return fmt.Errorf("remove key: %w", err)
	}
	if err := m.ring.remove(b); err != nil {
		return fmt.Errorf("remove key: %w", err)
	}
	return nil
}

// find returns the installed key that is text or has it for fingerprint. The
// caller holds mu. Only what has the form of a fingerprint, which no key has,
// is repeated in the error.
func (k *keyring) find(text string) ([]byte, error) {
	keys := k.ring.GetKeys()
	if len(keys) == 0 {
		return nil, errors.New("no key is installed: gossip is not encrypted")
	}
	var have []string
	for _, key := range keys {
		have = append(have, fingerprintOf(key))
	}
	what := strings.ToLower(text)
	if !fingerprintForm.MatchString(text) {
		key, err := ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("give an installed key or its fingerprint of 8 hex digits (installed: %s)", strings.Join(have, ", "))
		}
		what = fingerprintOf(key)
	}
	if i := slices.Index(have, what); i >= 0 {
		return keys[i], nil
	}
	return nil, fmt.Errorf("key %s is not installed: installed are %s", what, strings.Join(have, ", "))
}

// remove removes an installed key that is not primary. The caller holds mu.
//
// memberlist v0.7.0 removes by shifting the slice that GetKeys has handed to
// the goroutines that decrypt, which is a data race unless the key is the
// last. So the key is made the last, by using every other in turn: for some
// microseconds messages are encrypted with other installed keys.
func (k *keyring) remove(key []byte) error {
	keys := slices.Clone(k.ring.GetKeys())
	at := slices.IndexFunc(keys, func(other []byte) bool { return bytes.Equal(other, key) })
	if at == 0 {
		return fmt.Errorf("key %s is the primary one: use another first", fingerprintOf(key))
	}
	if at < len(keys)-1 {
		for i := len(keys) - 1; i > at; i-- {
			if err := k.ring.UseKey(keys[i]); err != nil {
				return err
			}
		}
		if err := k.ring.UseKey(keys[0]); err != nil {
			return err
		}
	}
	return k.ring.RemoveKey(key)
}
