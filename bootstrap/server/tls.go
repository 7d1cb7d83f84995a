package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certCheck is how often, at most, the files are looked at for a change.
const certCheck = time.Second

// certificate is a key pair that follows its files, so that it can be renewed
// without a restart.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   string // of the files current was read from
	failed  string // stamp of files that could not be used, told once
	checked time.Time
}

// TLSConfig returns a configuration with the certificate chain and the key in
// these two PEM files. When they change, new connections get the new pair
// within about a second; a pair that cannot be read, or is half replaced, is
// logged, and the one before stays. Only a pair that is bad now is an error.
func TLSConfig(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, checked: time.Now()}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	c.current, c.stamp = &pair, c.stamps()
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil },
	}, nil
}

// stamps changes when either file does.
func (c *certificate) stamps() string {
	var s string
	for _, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			s += fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size(), " ")
		}
	}
	return s
}

func (c *certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < certCheck {
		return c.current
	}
	c.checked = time.Now()
	stamp := c.stamps()
	if stamp == c.stamp {
		return c.current
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	switch {
	case err == nil:
		c.current, c.stamp = &pair, stamp
		c.log.Info("certificate reloaded", "file", c.certFile)
	case c.failed != stamp:
		c.failed = stamp
		c.log.Error("the new certificate cannot be used, the one before stays", "file", c.certFile, "err", err)
	}
	return c.current
}
