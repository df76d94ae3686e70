package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/internal/socket"
)

// address reads where a daemon is: base is what requests begin with, shown what people read, path that of a unix socket, or "".
func address(text string) (base, shown, path string, err error) {
	path, ok := strings.CutPrefix(text, "unix:")
	if ok {
		if rest, ok := strings.CutPrefix(path, "//"); ok { // unix:///run/agnt5.sock
			path = rest
		}
		if path == "" {
			return "", "", "", errors.New(`daemon address "unix:": want unix: and the path of its socket`)
		}
		if err := socket.Check(path); err != nil {
			return "", "", "", fmt.Errorf("daemon address %q: %w", text, err)
		}
		return "http://localhost", "unix:" + path, path, nil
	}
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err == nil && (u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		return "", "", "", errors.New("the daemon's address has a password, a query or a fragment, which is not repeated here: an access token goes into AGNT5_API_KEY or a file")
	}
	if err != nil && strings.Contains(text, "@") {
		return "", "", "", fmt.Errorf("the daemon's address cannot be read: want one like %s", DefaultURL)
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", "", "", fmt.Errorf("daemon address %q: want one like %s, or unix:PATH", text, DefaultURL)
	}
	base = strings.TrimSuffix(strings.TrimRight(text, "/"), "/v1") // the routes bring that themselves
	return base, base, "", nil
}

// transport is the client's own way to the daemon.
func transport(path string) (*http.Transport, error) {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 1024, IdleConnTimeout: 90 * time.Second} // reads gzip
	if path != "" {
		t.Proxy = nil
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
		return t, nil
	}
	conf, err := tlsConfig()
	t.TLSClientConfig = conf
	return t, err
}

// tlsConfig is what the environment says about https. AGNT5_CA_FILE has authorities besides the machine's own, AGNT5_CERT_FILE and
// AGNT5_KEY_FILE the certificate that a daemon with --tls-client-ca asks for, read anew for each connection.
func tlsConfig() (*tls.Config, error) {
	ca, cert, key := setting("CA_FILE"), setting("CERT_FILE"), setting("KEY_FILE")
	if (cert == "") != (key == "") {
		return nil, errors.New("AGNT5_CERT_FILE and AGNT5_KEY_FILE go together: set both, or neither")
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("AGNT5_CA_FILE: %w", err)
		}
		if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
			conf.RootCAs = x509.NewCertPool()
		}
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("AGNT5_CA_FILE: %s has no certificate of an authority", ca)
		}
	}
	if cert != "" {
		load := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cert, key)
			if err != nil {
				return nil, fmt.Errorf("AGNT5_CERT_FILE, AGNT5_KEY_FILE: %w", err)
			}
			return &pair, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return conf, nil
}
