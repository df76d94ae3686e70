package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// socket is the path of the unix socket that the daemon listens on; "": it listens on a port.
func (c *config) socket() string {
	path, _ := strings.CutPrefix(c.Listen, "unix:")
	if path == c.Listen {
		return ""
	}
	return path
}

// wide says whether others than this machine can reach the daemon.
func (c *config) wide() bool { return c.socket() == "" && !isLoopback(c.Listen) }

// listen opens the port or the socket.
func (c *config) listen() (net.Listener, error) {
	if path := c.socket(); path != "" {
		return listenUnix(path)
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil && addressInUse(err) {
		return nil, exit(exitError, "cannot listen on %s: the address is already in use; is another daemon running? Choose another with --listen HOST:PORT", c.Listen)
	}
	if err != nil {
		return nil, exit(exitError, "cannot listen on %s: %v", c.Listen, errors.Unwrap(err))
	}
	return l, nil
}

// listenUnix makes a socket that only its owner can use. One that a killed daemon has left is taken away.
func listenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, exit(exitError, "cannot listen on unix:%s: there is a file of that name, and it is no socket", path)
		}
		if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
			_ = conn.Close()
			return nil, exit(exitError, "cannot listen on unix:%s: somebody listens there; is another daemon running?", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, exit(exitError, "cannot listen on unix:%s: %v", path, err)
		}
	}
	// It gets its name when it is closed to others.
	dir, err := besides(path)
	if err != nil {
		return nil, exit(exitError, "cannot listen on unix:%s: %v", path, err)
	}
	defer os.RemoveAll(dir)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		return nil, exit(exitError, "cannot listen on unix:%s: %v", path, errors.Unwrap(err))
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(filepath.Join(dir, "s"), 0o600)
	if err == nil {
		err = os.Rename(filepath.Join(dir, "s"), path)
	}
	if err != nil {
		_ = l.Close()
		return nil, exit(exitError, "cannot listen on unix:%s: %v", path, err)
	}
	return &unixListener{l, path}, nil
}

// besides makes a folder beside a socket. What is called "s" in it has a path that is no longer than the socket's, if the socket's name
// has three bytes or more: paths of sockets are short.
func besides(path string) (dir string, err error) {
	n := min(max(len(filepath.Base(path))-len("/s"), 1), 12)
	for range 100 {
		dir = filepath.Join(filepath.Dir(path), strings.ToLower(rand.Text()[:n]))
		if dir == path { // which the socket takes
			continue
		}
		if err = os.Mkdir(dir, 0o700); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return dir, err
}

// unixListener takes its socket away when it is closed.
type unixListener struct {
	*net.UnixListener
	path string
}

func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

func (l *unixListener) Close() error {
	err := l.UnixListener.Close()
	_ = os.Remove(l.path)
	return err
}

// reachable is the address as a client on this machine can use it, and what others need.
func reachable(a net.Addr, secure bool, hosts []string) string {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	tcp, ok := a.(*net.TCPAddr)
	switch {
	case a.Network() == "unix":
		return "unix:" + a.String()
	case !ok || !tcp.IP.IsUnspecified():
		return scheme + "://" + a.String()
	}
	text := fmt.Sprintf("%s://127.0.0.1:%d and every other address of this machine", scheme, tcp.Port)
	if len(hosts) == 0 {
		text += "; requests that use a host name need --allow-host NAME"
	}
	return text
}

// isLoopback says whether only this machine can reach an address.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
