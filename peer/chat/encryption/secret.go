package encryption

import (
	"bytes"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// MinSecret is the shortest secret that a chat can use first, in bytes: as many
// random ones as openssl rand -base64 32 or -hex 16 print, and more. One that is
// only accepted besides, until the members of a former version have a new one,
// has MinAccepted or more.
//
// Whoever connects is shown a certificate that the secret's key has signed, and
// can try secrets against it offline. A slow derivation such as Argon2id would
// make each guess dearer, and also the start of each of hundreds of peers in one
// process; it would not save a secret made of words; and members of different
// versions would not understand each other. So the derivation stays, and the
// secret has to be one that cannot be guessed.
const (
	MinSecret   = 32
	MinAccepted = 16
)

// Secret keeps a chat among those who know it. A certificate authority's key is
// derived from it (HKDF, RFC 5869), the same at every member; each signs a key
// of its own under its name, and both sides of a connection prove theirs (mutual
// TLS 1.3). So who connects is certain, among those who know the secret: any of
// them could sign for any name. Gossip is sealed with AES-GCM under another
// derived key.
//
// A Secret may hold several: the first is used, all are accepted. So it is
// changed without a pause: the new one is added behind the old at every member,
// then moved to the front, then the old one is removed.
type Secret struct {
	mu   sync.Mutex
	keys []derived
	leaf map[string]tls.Certificate // by name, of the first
}

// derived is what comes of one secret.
type derived struct {
	authority *x509.Certificate
	key       crypto.Signer
	aead      cipher.AEAD
}

// ParseSecrets reads secrets, one a line, as they are in a file: surrounding
// blanks and empty lines do not count.
func ParseSecrets(text []byte) ([][]byte, error) {
	var secrets [][]byte
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			secrets = append(secrets, line)
		}
	}
	return secrets, checkSecrets(secrets)
}

func checkSecrets(secrets [][]byte) error {
	if len(secrets) == 0 {
		return errors.New("there is no chat secret: write one a line, the one to use first; openssl rand -base64 32 makes one")
	}
	for i, s := range secrets {
		least := MinAccepted
		if i == 0 {
			least = MinSecret
		}
		if len(s) < least {
			return fmt.Errorf("chat secret %d has %d bytes and could be guessed: use %d or more, random ones, as openssl rand -base64 32 makes them", i+1, len(s), least)
		}
	}
	return nil
}

// NewSecret returns a Secret of those given, the one to use first.
func NewSecret(secrets ...[]byte) (*Secret, error) {
	s := new(Secret)
	return s, s.Set(secrets...)
}

// Set replaces the secrets. Connections that are open stay open.
func (s *Secret) Set(secrets ...[]byte) error {
	if err := checkSecrets(secrets); err != nil {
		return err
	}
	keys := make([]derived, len(secrets))
	for i, secret := range secrets {
		var err error
		if keys[i], err = derive(secret); err != nil {
			return fmt.Errorf("derive the chat's keys: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.leaf = keys, make(map[string]tls.Certificate)
	return nil
}

// Certificates do not expire: the secret does, when it is changed.
var (
	notBefore = time.Unix(0, 0)
	notAfter  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

func derive(secret []byte) (derived, error) {
	seed, err := hkdf.Key(sha256.New, secret, nil, "peerlab chat authority 1", ed25519.SeedSize)
	if err != nil {
		return derived{}, err
	}
	key := ed25519.NewKeyFromSeed(seed)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "peerlab chat"},
		NotBefore: notBefore, NotAfter: notAfter,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return derived{}, err
	}
	authority, err := x509.ParseCertificate(der)
	if err != nil {
		return derived{}, err
	}
	sealing, err := hkdf.Key(sha256.New, secret, nil, "peerlab chat gossip 1", 32)
	if err != nil {
		return derived{}, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return derived{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return derived{authority, key, aead}, err
}

// certificate returns this peer's, signed under the first secret, and the
// authorities of all.
func (s *Secret) certificate(name string) (tls.Certificate, *x509.CertPool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pool := x509.NewCertPool()
	for _, k := range s.keys {
		pool.AddCert(k.authority)
	}
	if leaf, ok := s.leaf[name]; ok {
		return leaf, pool, nil
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: notBefore, NotAfter: notAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.keys[0].authority, public, s.keys[0].key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
	s.leaf[name] = leaf
	return leaf, pool, nil
}

// config is TLS among those who know the secret, as name. Names of members are
// no host names, so the chain is verified here, and the name by the caller.
func (s *Secret) config(name string) (*tls.Config, error) {
	leaf, pool, err := s.certificate(name)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{leaf},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // VerifyConnection does
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errors.New("no certificate")
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			})
			return err
		},
	}, nil
}

// Client secures a connection that name opened to the member to.
func (s *Secret) Client(ctx context.Context, conn net.Conn, name, to string) (net.Conn, error) {
	config, err := s.config(name)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(conn, config)
	other, err := handshake(ctx, secured)
	if err == nil && other != to {
		err = fmt.Errorf("%s answers at the address of %s", other, to)
	}
	return secured, err
}

// Server secures a connection that name accepted, and returns who opened it.
func (s *Secret) Server(ctx context.Context, conn net.Conn, name string) (net.Conn, string, error) {
	config, err := s.config(name)
	if err != nil {
		return nil, "", err
	}
	secured := tls.Server(conn, config)
	other, err := handshake(ctx, secured)
	return secured, other, err
}

func handshake(ctx context.Context, conn *tls.Conn) (other string, err error) {
	if err := conn.HandshakeContext(ctx); err != nil {
		return "", fmt.Errorf("no common chat secret: %w", err)
	}
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

// Seal encrypts a gossiped message under the first secret.
func (s *Secret) Seal(b []byte) []byte {
	s.mu.Lock()
	aead := s.keys[0].aead
	s.mu.Unlock()
	return aead.Seal(nil, nil, b, nil)
}

// Open undoes Seal under any of the secrets.
func (s *Secret) Open(b []byte) ([]byte, bool) {
	s.mu.Lock()
	keys := s.keys
	s.mu.Unlock()
	for _, k := range keys {
		if plain, err := k.aead.Open(nil, nil, b, nil); err == nil {
			return plain, true
		}
	}
	return nil, false
}
