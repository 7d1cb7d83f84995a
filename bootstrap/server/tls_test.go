package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"peerlab/bootstrap/store"
)

// writePair writes a self-signed certificate with this serial number.
func writePair(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "bootstrap"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "EC PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTLSReload(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, nil))
	if _, err := TLSConfig(certFile, keyFile, log); err == nil {
		t.Error("files that are not there were accepted")
	}
	writePair(t, certFile, keyFile, 1)
	conf, err := TLSConfig(certFile, keyFile, log)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, tls.NewListener(l, conf), NewHandler(store.NewMemory(2, 2), quiet), quiet) }()
	serial := func() int64 {
		t.Helper()
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String() + "/ping")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "OK" || resp.ProtoMajor != 2 {
			t.Errorf("%s: %q, %v", resp.Proto, b, err)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	await := func(want int64) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); serial() != want; {
			if time.Now().After(deadline) {
				t.Fatalf("certificate %d does not come: %s", want, &logged)
			}
		}
	}
	await(1)
	writePair(t, certFile, keyFile, 2)
	await(2)
	// Half replaced: the one before stays, and then the whole comes.
	good, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	writePair(t, certFile, filepath.Join(dir, "other.pem"), 3)
	for until := time.Now().Add(certCheck + 200*time.Millisecond); time.Now().Before(until); {
		if n := serial(); n != 2 {
			t.Fatalf("a certificate without its key is served: %d", n)
		}
	}
	if err := os.WriteFile(keyFile, append(good, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	writePair(t, certFile, keyFile, 4)
	await(4)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := bytes.Count(logged.Bytes(), []byte("cannot be used")); n < 1 || n > 3 {
		t.Errorf("logged %d times that a pair cannot be used:\n%s", n, &logged)
	}
}
