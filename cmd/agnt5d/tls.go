package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certificates are the daemon's TLS files. They are read again when they change, and on SIGHUP; what is broken changes nothing.
type certificates struct {
	cert, key, clientCA string // files; cert "": there is no TLS
	log                 *slog.Logger

	mu      sync.Mutex
	read    [3][]byte // what was read last, good or bad
	current atomic.Pointer[tls.Config]
}

// certEvery is how often the files are looked at.
const certEvery = 3 * time.Second

// open reads the files for the first time.
func (c *certificates) open(o *config, log *slog.Logger) error {
	c.cert, c.key, c.clientCA, c.log = o.TLSCert, o.TLSKey, o.TLSClientCA, log
	if !c.on() {
		return nil
	}
	files, err := c.files()
	if err != nil {
		return err
	}
	conf, err := c.parse(files)
	if err != nil {
		return err
	}
	c.read = files
	c.current.Store(conf)
	c.warn(conf)
	return nil
}

func (c *certificates) on() bool { return c.cert != "" }

// config is what a listener uses: each connection gets what is current when it comes.
func (c *certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current.Load(), nil }}
}

func (c *certificates) files() (out [3][]byte, err error) {
	for i, path := range []string{c.cert, c.key, c.clientCA} {
		if path == "" {
			continue
		}
		if out[i], err = os.ReadFile(path); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (c *certificates) parse(files [3][]byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(files[0], files[1])
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no certificate with its key: %w", c.cert, c.key, err)
	}
	// HTTP/1.1 alone: what is bounded by connection is bounded the same with TLS and without.
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	if c.clientCA != "" {
		conf.ClientCAs, conf.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		conf.SessionTicketsDisabled = true // a session that is taken up again must not outlive its authority
		if !conf.ClientCAs.AppendCertsFromPEM(files[2]) {
			return nil, fmt.Errorf("%s has no certificate of an authority", c.clientCA)
		}
	}
	return conf, nil
}

// look reads the files again. A pair that is broken leaves the old one in use, and is spoken of once.
func (c *certificates) look(asked bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	files, err := c.files()
	same := err == nil && bytes.Equal(files[0], c.read[0]) && bytes.Equal(files[1], c.read[1]) && bytes.Equal(files[2], c.read[2])
	if same && !asked {
		return
	}
	known := err != nil && c.read[0] == nil // a file is missing, and that was said
	if err != nil {
		c.read = [3][]byte{}
	} else {
		c.read = files
	}
	var conf *tls.Config
	if err == nil {
		conf, err = c.parse(files)
	}
	switch {
	case err != nil && known && !asked:
	case err != nil:
		c.log.Error("the new certificate is not used, the old one stays: "+err.Error(), "cert", c.cert, "key", c.key)
	default:
		c.current.Store(conf)
		c.log.Info("certificate read", "cert", c.cert, "not_after", conf.Certificates[0].Leaf.NotAfter.UTC().Format(time.RFC3339))
		c.warn(conf)
	}
}

// warn speaks of a certificate that clients will not take, and of a key that others can read.
func (c *certificates) warn(conf *tls.Config) {
	warnCareless(c.log, c.key, "the private key of --tls-key")
	if leaf := conf.Certificates[0].Leaf; leaf != nil && time.Now().After(leaf.NotAfter) {
		c.log.Warn("the certificate has expired: clients will refuse it", "cert", c.cert, "not_after", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
}

// watch looks at the files once in a while until ctx ends.
func (c *certificates) watch(ctx context.Context) {
	tick := time.NewTicker(certEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.look(false)
		}
	}
}

// checkTLS says what is wrong with the settings about TLS.
func (c *config) checkTLS() error {
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together: give both, or neither")
	case c.TLSClientCA != "" && c.TLSCert == "":
		return errors.New("--tls-client-ca needs --tls-cert and --tls-key")
	case c.TLSCert != "" && c.socket() != "":
		return errors.New("--tls-cert: a unix socket needs no TLS; leave it out")
	case c.wide() && c.TLSCert == "" && !c.Insecure && !c.InsecureNoTLS:
		return fmt.Errorf("--listen %s: others could reach it, and there is no TLS; give --tls-cert and --tls-key, listen on 127.0.0.1, or pass --insecure-no-tls behind a proxy that ends TLS, or --insecure", c.Listen)
	}
	return nil
}
