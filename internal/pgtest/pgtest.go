// Package pgtest gives tests a PostgreSQL: the one that AGNT5_TEST_POSTGRES names, or else a server of their own, started from the
// binaries of this machine in a temporary folder. Where there is neither, a test is skipped and says so, and with CI in the environment it fails.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Main runs a package's tests, and stops the server that they started.
func Main(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		shared.server.Stop()
	}
	os.Exit(code)
}

var shared struct {
	once   sync.Once
	server *Server
	url    string
	err    error
}

// URL names a database for the tests of a package. The package's TestMain is Main.
func URL(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() {
		if shared.url = os.Getenv("AGNT5_TEST_POSTGRES"); shared.url != "" {
			return
		}
		if shared.server, shared.err = Start(""); shared.err == nil {
			shared.url = shared.server.URL
		}
	})
	if errors.Is(shared.err, errNone) && os.Getenv("CI") == "" {
		t.Skip(shared.err)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.url
}

// Own gives a server for one test, which may kill it.
func Own(t testing.TB, options ...string) *Server {
	t.Helper()
	s, err := Start("", options...)
	if errors.Is(err, errNone) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

var errNone = errors.New("needs PostgreSQL: set AGNT5_TEST_POSTGRES to the URL of a database, or install the server (Debian: apt-get install postgresql)")

// Server is a cluster in a folder of its own.
type Server struct {
	URL string
	dir string
	own string // a folder to remove
	cmd *exec.Cmd
}

// binary finds a program of PostgreSQL: on the PATH, or where Debian has it.
func binary(name string) (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	if len(found) > 0 {
		return found[0], nil
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", errNone
}

func version(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return n
}

// command runs a program as somebody whom PostgreSQL accepts: it refuses root.
func command(name string, args ...string) (*exec.Cmd, error) {
	path, err := binary(name)
	if err != nil {
		return nil, err
	}
	if os.Getuid() != 0 {
		return exec.Command(path, args...), nil
	}
	if _, err := user.Lookup("postgres"); err != nil {
		return nil, fmt.Errorf("%w; root may not run it, and there is no user postgres", errNone)
	}
	return exec.Command("setpriv", append([]string{"--reuid=postgres", "--regid=postgres", "--clear-groups", "--", path}, args...)...), nil
}

// Start makes a cluster in dir, or ("") in a temporary folder, and starts its server. options go to the server.
func Start(dir string, options ...string) (*Server, error) {
	s := &Server{dir: dir}
	if dir == "" {
		own, err := os.MkdirTemp("", "agnt5-postgres-")
		if err != nil {
			return nil, err
		}
		s.own, s.dir = own, filepath.Join(own, "data")
	}
	if err := s.make("initdb", "-D", s.dir, "-U", "agnt5", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		s.remove()
		return nil, err
	}
	if err := s.Run(options...); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func (s *Server) remove() {
	if s.own != "" {
		_ = os.RemoveAll(s.own)
	}
}

// make lets a program of PostgreSQL fill the cluster's folder.
func (s *Server) make(program string, args ...string) error {
	parent := filepath.Dir(s.dir)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if u, err := user.Lookup("postgres"); err == nil && os.Getuid() == 0 {
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		for _, d := range []string{parent, s.dir} {
			if err := os.Chown(d, uid, gid); err != nil {
				return err
			}
		}
	}
	cmd, err := command(program, args...)
	if err != nil {
		return err
	}
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}

// Standby gives a server for one test that copies what s writes, as a hot standby. s waits for it with its commits when it was started with
// the option synchronous_standby_names=*.
func (s *Server) Standby(t testing.TB) *Server {
	t.Helper()
	own, err := os.MkdirTemp("", "agnt5-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	b := &Server{own: own, dir: filepath.Join(own, "data")}
	t.Cleanup(b.Stop)
	if err := b.make("pg_basebackup", "-D", b.dir, "-h", s.dir, "-U", "agnt5", "-R", "-c", "fast", "--no-sync"); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(b.dir, ".s.PGSQL.5432.lock")) // of the other one's socket
	if err := b.Run(); err != nil {
		t.Fatal(err)
	}
	return b
}

// Run starts the server of a cluster that is there.
func (s *Server) Run(options ...string) error {
	args := []string{"-D", s.dir, "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "log_min_messages=fatal"}
	for _, o := range options {
		args = append(args, "-c", o)
	}
	cmd, err := command("postgres", args...)
	if err != nil {
		return err
	}
	cmd.Dir = "/"
	logged, err := os.Create(s.dir + ".log")
	if err != nil {
		return err
	}
	defer logged.Close()
	cmd.Stdout, cmd.Stderr = logged, logged
	apart(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd = cmd
	s.URL = "postgres:///postgres?host=" + s.dir + "&user=agnt5"
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		conn, err := pgx.Connect(ctx, s.URL)
		cancel()
		if err == nil {
			return conn.Close(context.Background())
		}
		if time.Now().After(until) {
			s.Kill()
			said, _ := os.ReadFile(s.dir + ".log")
			return fmt.Errorf("PostgreSQL does not start: %w\n%s", err, said)
		}
	}
}

// Dir is the cluster's folder, in which the server also listens on a socket.
func (s *Server) Dir() string { return s.dir }

// CPU is what the server's processes have used, those that have ended too. It is known on Linux alone.
func (s *Server) CPU() (used time.Duration) {
	for _, pid := range append(children(s.cmd.Process.Pid), s.cmd.Process.Pid) {
		used += CPU(pid)
	}
	return used
}

// CPU is what a process and its children that have ended have used. It is known on Linux alone.
func CPU(pid int) time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(b), ") ")
	var ticks time.Duration
	for i, field := range strings.Fields(after) {
		if i >= 11 && i <= 14 { // utime, stime, cutime, cstime
			n, _ := strconv.Atoi(field)
			ticks += time.Duration(n)
		}
	}
	return ticks * (time.Second / 100)
}

// children gives the processes that a process has started.
func children(pid int) (list []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		_, after, ok := strings.Cut(string(b), ") ")
		var state string
		var parent int
		if err != nil || !ok {
			continue
		}
		if _, err := fmt.Sscan(after, &state, &parent); err == nil && parent == pid {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			list = append(list, child)
		}
	}
	return list
}

// Kill ends the server as a crash of its machine's memory would: without a checkpoint.
func (s *Server) Kill() { s.end(false) }

// End ends the server in order.
func (s *Server) End() { s.end(true) }

// Stop ends the server, and removes a temporary folder.
func (s *Server) Stop() {
	s.end(true)
	s.remove()
}
