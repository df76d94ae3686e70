package pg

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// bouncer starts a PgBouncer before the tests' database, and gives the database's URL through it.
func bouncer(t *testing.T, dsn string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; fileMissing(program) {
			t.Skip("needs PgBouncer (Debian: apt-get install pgbouncer)")
		}
	}
	to, err := pgconn.ParseConfig(dsn)
	if err != nil || to.Password != "" {
		t.Skip("needs a database without a password")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	dir, err := os.MkdirTemp("", "agnt5-bouncer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ini, users := filepath.Join(dir, "pgbouncer.ini"), filepath.Join(dir, "users")
	text := fmt.Sprintf("[databases]\n%s = host=%s port=%d user=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\nauth_type = trust\nauth_file = %s\npool_mode = session\ndefault_pool_size = 50\n",
		to.Database, to.Host, to.Port, to.User, port, users)
	if err := errors.Join(os.WriteFile(ini, []byte(text), 0o644), os.WriteFile(users, fmt.Appendf(nil, "%q \"\"\n", to.User), 0o644), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	args := []string{ini}
	if os.Getuid() == 0 { // it refuses root
		args = []string{"--reuid=postgres", "--regid=postgres", "--clear-groups", "--", program, ini}
		program = "setpriv"
	}
	cmd := exec.Command(program, args...)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	through := fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", to.User, port, to.Database)
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		conn, err := pgx.Connect(t.Context(), through)
		if err == nil {
			_ = conn.Close(t.Context())
			return through
		}
		if time.Now().After(until) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Fatalf("PgBouncer does not start: %v\n%s", err, said.String())
		}
	}
}

func fileMissing(path string) bool {
	_, err := os.Stat(path)
	return err != nil
}

// Behind PgBouncer, which gives each connection a server connection of its own (pool_mode = session), a journal works, is handed over, and
// fences the node before.
func TestAJournalBehindPgBouncer(t *testing.T) {
	o := scratch(t, t.Name())
	o.URL, o.Node = bouncer(t, o.URL), "first"
	first := open(t, o)
	var c chain
	if err := errors.Join(c.step(first, "one"), c.step(first, "two")); err != nil {
		t.Fatal(err)
	}
	o.Node = "second"
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrHeld) {
		t.Errorf("while the first has it: %v", err)
	}
	o.Force = true
	second := open(t, o)
	if err := c.step(first, "from the first"); err == nil {
		t.Error("the node before has written")
	}
	if err := c.step(second, "three"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(bodies(t, o)); got != "[one two three]" {
		t.Errorf("the log has %s", got)
	}
}
