package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

var serial atomic.Int64

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.cert, a.key, a.pem, _ = a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) issue(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, []byte, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(serial.Add(1))
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return made, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// pair writes a certificate and its key for 127.0.0.1, and gives its serial number.
func (a *authority) pair(cert, key string) int64 {
	a.t.Helper()
	made, _, c, k := a.issue(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	put(a.t, cert, c)
	put(a.t, key, k)
	return made.SerialNumber.Int64()
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serialOf is the certificate that a daemon shows to a new connection.
func serialOf(t *testing.T, addr string, conf *tls.Config) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// A certificate is replaced under load, by SIGHUP and by itself, and no request fails; a broken pair leaves the old one in use.
func TestACertificateIsReplacedUnderLoad(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGHUP")
	}
	dir := t.TempDir()
	ca := newAuthority(t)
	cert, key, caFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")
	put(t, caFile, ca.pem)
	now := ca.pair(cert, key)
	addr := freePort(t)
	d := &daemon{dir: dir, url: "https://" + addr, args: "serve --listen " + addr + " --file " + filepath.Join(dir, "runs.db") + " --tls-cert " + cert + " --tls-key " + key}
	d.process = startProcess(t, "listening on "+d.url, "AGNT5D_TEST_MAIN="+d.args)

	t.Setenv("AGNT5_CA_FILE", caFile)
	if code, _, errs := d.cli(t, "list"); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	conf := &tls.Config{RootCAs: roots}
	if _, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is taken")
	}

	var wg sync.WaitGroup
	var sent atomic.Int64
	stop := make(chan struct{})
	for n := range 4 {
		wg.Go(func() {
			c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: n%2 == 0}}
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := c.Get(d.url + "/version")
				if err != nil {
					t.Errorf("request %d: %v", sent.Load(), err)
					return
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
					t.Errorf("%d %v", resp.StatusCode, err)
				}
				resp.Body.Close()
				sent.Add(1)
			}
		})
	}
	for range 3 {
		next := ca.pair(cert, key)
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		until(t, func() bool { return serialOf(t, addr, conf) == next })
		now = next
	}
	put(t, cert, []byte("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n"))
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	before := sent.Load()
	until(t, func() bool { return sent.Load() > before+20 })
	if got := serialOf(t, addr, conf); got != now {
		t.Errorf("certificate %d is shown, want the old one, %d", got, now)
	}
	now = ca.pair(cert, key) // and nobody says so
	until(t, func() bool { return serialOf(t, addr, conf) == now })
	close(stop)
	wg.Wait()
	if code := d.stop(t); code != 0 || !strings.Contains(d.said.String(), "the new certificate is not used, the old one stays") {
		t.Errorf("exit %d\n%s", code, d.said)
	}
}

// The authority of clients is read again, too: what it signed before is refused from then on.
func TestTheAuthorityOfClientsIsReplaced(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGHUP")
	}
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	ca, first, second := newAuthority(t), newAuthority(t), newAuthority(t)
	put(t, file("ca.pem"), ca.pem)
	put(t, file("clients.pem"), first.pem)
	ca.pair(file("cert.pem"), file("key.pem"))
	first.pair(file("one.pem"), file("one.key"))
	second.pair(file("two.pem"), file("two.key"))
	addr := freePort(t)
	d := &daemon{dir: dir, url: "https://" + addr, args: "serve --listen " + addr + " --file " + file("runs.db") + " --tls-cert " + file("cert.pem") + " --tls-key " + file("key.pem") + " --tls-client-ca " + file("clients.pem")}
	d.process = startProcess(t, "listening on "+d.url, "AGNT5D_TEST_MAIN="+d.args)
	t.Setenv("AGNT5_CA_FILE", file("ca.pem"))
	asks := func(name string) bool {
		t.Setenv("AGNT5_CERT_FILE", "")
		t.Setenv("AGNT5_KEY_FILE", "")
		if name != "" {
			t.Setenv("AGNT5_CERT_FILE", file(name+".pem"))
			t.Setenv("AGNT5_KEY_FILE", file(name+".key"))
		}
		c, err := client.New(d.url, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Version(t.Context())
		return err == nil
	}
	if asks("") || !asks("one") || asks("two") {
		t.Fatal("the wrong clients are let in")
	}
	put(t, file("clients.pem"), second.pem)
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return asks("two") && !asks("one") })
}

// A unix socket is its owner's alone, speaks to every client, and goes with the daemon; one that a killed daemon left is no hindrance.
func TestAUnixSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not tested on Windows")
	}
	dir, err := os.MkdirTemp("", "agnt5") // whose path is short enough
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	d := &daemon{dir: dir, url: "unix:" + path, args: "serve --listen unix:" + path + " --file " + filepath.Join(dir, "runs.db")}
	d.again(t)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	if code, out, errs := d.cli(t, "workflows"); code != 0 {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	code, _, errs := agnt5d(t, "serve", "--listen", "unix:"+path, "--file", filepath.Join(dir, "other.db"))
	if code != exitError || !strings.Contains(errs, "somebody listens there") {
		t.Errorf("exit %d: %s", code, errs)
	}
	d.kill()
	if code, _, errs := d.cli(t, "workflows"); code != exitUnreachable || !strings.Contains(errs, "unix:"+path) {
		t.Errorf("exit %d: %s", code, errs)
	}
	d.again(t)
	if code := d.stop(t); code != 0 {
		t.Errorf("exit %d\n%s", code, d.said)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 { // the journal
		t.Errorf("left: %v %v", left, err)
	}
	put(t, path, []byte("a file"))
	code, _, errs = agnt5d(t, "serve", "--listen", "unix:"+path, "--file", filepath.Join(dir, "runs.db"))
	if code != exitError || !strings.Contains(errs, "it is no socket") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestSettingsOfTLS(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--tls-cert", "a"}, "go together"},
		{[]string{"--tls-client-ca", "a"}, "needs --tls-cert"},
		{[]string{"--tls-cert", "a", "--tls-key", "b", "--listen", "unix:" + dir + "/s"}, "needs no TLS"},
		{[]string{"--tls-cert", dir + "/none", "--tls-key", dir + "/none"}, dir + "/none: no such file"},
		{[]string{"--listen", "unix:"}, "unix: and a path"},
		{[]string{"--listen", "0.0.0.0:0"}, "there is no TLS"},
	} {
		code, _, errs := agnt5d(t, append([]string{"serve", "--file", dir + "/runs.db", "--listen", "127.0.0.1:0"}, c.args...)...)
		if code == 0 || !strings.Contains(errs, c.want) {
			t.Errorf("%q: exit %d: %s", c.args, code, errs)
		}
	}
}

// Who begins an address with the wrong one of http:// and https://, or lacks a certificate, is told what to do, at the shell and in Go.
func TestWhoSpeaksTheWrongWayIsToldTheRightOne(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	ca, clients := newAuthority(t), newAuthority(t)
	put(t, file("ca.pem"), ca.pem)
	put(t, file("clients.pem"), clients.pem)
	ca.pair(file("cert.pem"), file("key.pem"))
	clients.pair(file("mine.pem"), file("mine.key"))
	plain := startDaemon(t, t.TempDir())
	secure := func(more string) *daemon {
		addr := freePort(t)
		d := &daemon{dir: t.TempDir(), url: "https://" + addr}
		d.args = "serve --listen " + addr + " --file " + filepath.Join(d.dir, "runs.db") + " --tls-cert " + file("cert.pem") + " --tls-key " + file("key.pem") + more
		d.again(t)
		return d
	}
	tls, mutual := secure(""), secure(" --tls-client-ca "+file("clients.pem"))
	swap := strings.NewReplacer("https:", "http:", "http:", "https:")
	says := func(url, want string) {
		t.Helper()
		code, out, errs := agnt5d(t, "list", "--url", url)
		if code != exitUnreachable || !strings.Contains(errs, want) || strings.Contains(errs, `"agnt5d serve" running`) {
			t.Errorf("list --url %s: exit %d, want %q\n%s%s", url, code, want, out, errs)
		}
		c, err := client.New(url, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Version(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Go, %s: %v, want %q", url, err, want)
		}
	}
	says(swap.Replace(tls.url), swap.Replace(tls.url)+": the server speaks HTTPS, not HTTP; use https://")
	says(swap.Replace(plain.url), "the server speaks HTTP, not HTTPS; use http://")
	for _, url := range []string{swap.Replace(tls.url), swap.Replace(plain.url)} {
		c, err := client.New(url, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.NewWorker(c, "svc", client.WorkerOptions{}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "the server speaks HTTP") {
			t.Errorf("a worker of %s ends with %v", url, err)
		}
	}
	says(tls.url, "AGNT5_CA_FILE names the file")
	t.Setenv("AGNT5_CA_FILE", file("ca.pem"))
	says(strings.Replace(tls.url, "127.0.0.1", "localhost", 1), "certificate")
	says(mutual.url, "AGNT5_CERT_FILE and AGNT5_KEY_FILE name the files")
	t.Setenv("AGNT5_CERT_FILE", file("mine.pem"))
	t.Setenv("AGNT5_KEY_FILE", file("mine.key"))
	if code, _, errs := agnt5d(t, "list", "--url", mutual.url); code != 0 {
		t.Errorf("exit %d: %s", code, errs)
	}
}
