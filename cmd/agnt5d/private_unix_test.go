//go:build !windows

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/internal/socket"
)

// A file with a secret that others can read is spoken of, by the daemon at its start and by a verb; one that they cannot is not.
func TestAFileThatOthersCanRead(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	newAuthority(t).pair(file("cert.pem"), file("key.pem"))
	put(t, file("payload.keys"), []byte(keyLine("spring")))
	put(t, file("runs.db.key"), []byte(keyLine("push")))
	put(t, file("token"), []byte("agt_x"))
	args := []string{"--payload-key", file("payload.keys"), "--tls-cert", file("cert.pem"), "--tls-key", file("key.pem")}
	secrets := []string{"payload.keys", "key.pem", "runs.db.key"}
	for _, mode := range []os.FileMode{0o600, 0o644, 0o660} {
		for _, name := range append(secrets, "token") {
			if err := os.Chmod(file(name), mode); err != nil {
				t.Fatal(err)
			}
		}
		d := &daemon{dir: dir, url: "https://" + freePort(t)}
		d.args = strings.Join(append([]string{"serve", "--listen", strings.TrimPrefix(d.url, "https://"), "--file", file("runs.db")}, args...), " ")
		d.again(t)
		_, _, errs := d.cli(t, "list", "--token-file", file("token"))
		if got := strings.Contains(errs, "chmod 600 "+file("token")); got != (mode != 0o600) {
			t.Errorf("mode %o: a verb says %q", mode, errs)
		}
		if code := d.stop(t); code != 0 {
			t.Fatalf("exit %d\n%s", code, d.said)
		}
		for _, name := range secrets {
			if got := strings.Contains(d.said.String(), "chmod 600 "+file(name)); got != (mode != 0o600) {
				t.Errorf("mode %o: the daemon speaks of %s: %v\n%s", mode, name, got, d.said)
			}
		}
	}
}

// The path of a socket may be as long as the system takes, and no longer: daemon and clients say so.
func TestTheLongestPathOfASocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "agnt5")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if dir = filepath.Join(dir, strings.Repeat("d", socket.MaxPath-len(dir)-len("/")-len("/a.s"))); os.Mkdir(dir, 0o700) != nil {
		t.Fatal(dir)
	}
	longest := filepath.Join(dir, "a.s")
	if len(longest) != socket.MaxPath {
		t.Fatal(len(longest))
	}
	d := &daemon{dir: dir, url: "unix:" + longest, args: "serve --listen unix:" + longest + " --file " + filepath.Join(dir, "runs.db")}
	d.again(t)
	d.say(t, 0, "", "list")
	if code := d.stop(t); code != 0 {
		t.Errorf("exit %d\n%s", code, d.said)
	}
	for _, args := range [][]string{
		{"serve", "--listen", "unix:" + longest + "x", "--file", filepath.Join(dir, "runs.db")},
		{"list", "--url", "unix:" + longest + "x"},
	} {
		if code, _, errs := agnt5d(t, args...); code != exitUsage || !strings.Contains(errs, "the path of a unix socket has at most") {
			t.Errorf("%s: exit %d: %s", args[0], code, errs)
		}
	}
}

// The folder in which a socket is made is not called as the socket is, even where there are few names.
func TestASocketOfOneLetter(t *testing.T) {
	dir, err := os.MkdirTemp("", "agnt5") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for range 300 {
		l, err := listenUnix(filepath.Join(dir, "s"))
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left: %v", left, err)
	}
}
