package origin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// TLS names the certificate of the public port. The files are checked again when a client connects, at most every tlsRecheck. If a pair
// cannot be read, the old one stays in use.
type TLS struct {
	CertFile string // PEM, the server's certificate first
	KeyFile  string // PEM
	// Load reads the pair. nil: tls.LoadX509KeyPair, which accepts any kind of file.
	Load func(certFile, keyFile string) (tls.Certificate, error)
}

// tlsRecheck is how long a certificate is used without checking its files.
const tlsRecheck = 10 * time.Second

func (o *Origin) tlsConfig() (*tls.Config, error) {
	if o.opts.TLS == nil {
		return nil, errors.New("no certificate is configured")
	}
	k := &keyPair{o: o}
	if err := k.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: k.get,
	}, nil
}

// keyPair is a certificate that follows its files.
type keyPair struct {
	o *Origin

	mu      sync.Mutex
	current *tls.Certificate
	stamp   string // of the files that current was read from
	checked time.Time
	broken  bool // the last reload failed, and that was logged
}

func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.o.opts.Now()
	if since := now.Sub(k.checked); 0 <= since && since < tlsRecheck {
		return k.current, nil
	}
	k.checked = now
	if stamp, err := k.stat(); err == nil && stamp == k.stamp {
		return k.current, nil
	}
	if err := k.load(); err != nil {
		k.o.stats.CertErrs.Add(1)
		if !k.broken {
			k.o.opts.Log.Error("certificate cannot be reloaded, the old one stays in use", "err", err)
		}
		k.broken = true
		return k.current, nil
	}
	k.broken = false
	k.o.opts.Log.Info("certificate reloaded", "file", k.o.rules.Load().certFile)
	return k.current, nil
}

func (k *keyPair) load() error {
	stamp, err := k.stat()
	if err != nil {
		return err
	}
	r := k.o.rules.Load()
	load := k.o.opts.TLS.Load
	if load == nil {
		load = tls.LoadX509KeyPair
	}
	pair, err := load(r.certFile, r.keyFile)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", r.certFile, r.keyFile, err)
	}
	k.current, k.stamp = &pair, stamp
	return nil
}

// stat returns a string that changes with the two files.
func (k *keyPair) stat() (string, error) {
	stamp, r := "", k.o.rules.Load()
	for _, name := range []string{r.certFile, r.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return "", err
		}
		stamp += fmt.Sprintf("%s %d %d;", name, info.Size(), info.ModTime().UnixNano())
	}
	return stamp, nil
}
