package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// certificate is that of a publishers' listener. It can be exchanged: those who connect from then on are shown the new one.
type certificate struct {
	setting string
	pair    atomic.Pointer[tls.Certificate]
}

// load reads the files that a configuration names; nil where it has no such listener.
func (c *certificate) load(from configs.TLS) (*tls.Certificate, error) {
	if from.Listen == "" {
		return nil, nil
	}
	pair, err := loadKeyPair(from.Cert, from.Key)
	if err != nil {
		return nil, fmt.Errorf("%s: certificate %s with key %s: %w", c.setting, from.Cert, from.Key, err)
	}
	return &pair, nil
}

// over puts TLS on a listener, which agrees on one of some protocols, if there are any (RFC 7301).
func (c *certificate) over(l net.Listener, from configs.TLS, protocols ...string) (net.Listener, error) {
	if l == nil {
		return nil, nil
	}
	pair, err := c.load(from)
	if err != nil {
		return l, err
	}
	c.pair.Store(pair)
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.pair.Load(), nil },
	}), nil
}

// certificateFiles are the files of all certificates that a configuration uses.
func certificateFiles(c configs.Config) (files []string) {
	for _, t := range []configs.TLS{c.HTTP.TLS, c.RTMP.TLS, c.RTSP.TLS, c.IngestHTTP.TLS} {
		if t.Listen != "" && t.Cert != "" { // there is none where the next start has no such listener
			files = append(files, t.Cert, t.Key)
		}
	}
	return files
}

// maxPEM bounds a certificate's file, bytes: chains are of a few certificates, of a few KiB each.
const maxPEM = 1 << 20

// loadKeyPair is tls.LoadX509KeyPair for files that may be anything.
func loadKeyPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := regular.Read(certFile, maxPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := regular.Read(keyFile, maxPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}
