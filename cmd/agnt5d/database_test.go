package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/internal/pgtest"
	"github.com/jackc/pgx/v5"
)

// schema gives a schema of its own in the tests' database, named in the environment of every child, and the database's URL.
func schema(t *testing.T) string {
	t.Helper()
	dsn := pgtest.URL(t)
	name := fmt.Sprintf("test_%d", rand.Uint32())
	t.Setenv("AGNT5D_DATABASE_SCHEMA", name)
	t.Cleanup(func() {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, dsn)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+name+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	return dsn
}

// startNode is a daemon whose journal is on PostgreSQL.
func startNode(t *testing.T, name string, args ...string) *daemon {
	t.Helper()
	listen := freePort(t)
	n := &daemon{url: "http://" + listen}
	n.args = strings.Join(append([]string{"serve", "--listen", listen, "--node", name}, args...), " ")
	n.again(t)
	return n
}

// ready says whether a node has the journal and answers.
func ready(n *daemon) bool {
	r, err := http.Get(n.url + "/readyz")
	if err != nil {
		return false
	}
	_ = r.Body.Close()
	return r.StatusCode == http.StatusOK
}

func untilReady(t *testing.T, n *daemon) {
	t.Helper()
	for until := time.Now().Add(time.Minute); !ready(n); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("a node does not become active: %s", n.said)
		}
	}
}

// untilWaiting waits until a node waits for the other one.
func untilWaiting(t *testing.T, n *daemon) {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		r, err := http.Get(n.url + "/readyz")
		if err == nil {
			body, _ := io.ReadAll(r.Body)
			_ = r.Body.Close()
			if strings.Contains(string(body), "another node has the journal") {
				return
			}
		}
		if time.Now().After(until) {
			t.Fatalf("a node does not wait: %v %s", err, n.said)
		}
	}
}

// committed gives when a node that becomes active has acknowledged a first start.
func committed(t *testing.T, n *daemon, id string) time.Time {
	t.Helper()
	untilReady(t, n)
	c, err := client.New(n.url, client.Options{Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Start(t.Context(), "chain", map[string]int{"n": 1}, client.StartOptions{ID: id}); err != nil {
		t.Fatal(err)
	}
	return time.Now()
}

// spread says how times are spread.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "-"
	}
	slices.Sort(all)
	at := func(p int) time.Duration { return all[(len(all)-1)*p/100].Round(time.Millisecond) }
	return fmt.Sprintf("%v in the middle, %v at 99 %%, %v at most", at(50), at(99), at(100))
}

// Two nodes on one database, with a load and two workers that know both. The active one is killed again and again, or stopped in order;
// the other one goes on. Nothing that was acknowledged is lost, nothing is completed twice, and every run comes to its end.
func TestTwoNodesTakeTurns(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes for half a minute; -short leaves it out")
	}
	t.Setenv("AGNT5D_DATABASE", schema(t))
	dir := t.TempDir()
	nodes := [2]*daemon{startNode(t, "one", "--lease", "3s"), nil}
	untilReady(t, nodes[0])
	nodes[1] = startNode(t, "two", "--lease", "3s")
	both := nodes[0].url + "," + nodes[1].url
	c, err := client.New(both, client.Options{Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for name, def := range mixedFlows() {
		if _, _, err := c.RegisterDefinition(t.Context(), name, def); err != nil {
			t.Fatal(err)
		}
	}
	workers := [2]*process{startWorker(t, both), startWorker(t, both)}
	ctx, stop := context.WithCancel(t.Context())
	load := drive(ctx, t, c, dir)
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	n := rounds(t, 10)
	var killed, moved []time.Duration // until the other one has committed; between the two
	for round := range n {
		active, waits := nodes[round%2], nodes[(round+1)%2]
		untilWaiting(t, waits)
		<-time.After(time.Duration(rng.IntN(300)) * time.Millisecond)
		began := time.Now()
		if round%4 == 3 {
			if err := active.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			for ready(active) {
				began = time.Now()
			}
			moved = append(moved, committed(t, waits, fmt.Sprint("move-", round)).Sub(began))
			_ = active.cmd.Wait()
			if code := active.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("a node that was stopped ended with %d: %s", code, active.said)
			}
		} else {
			active.kill()
			killed = append(killed, committed(t, waits, fmt.Sprint("kill-", round)).Sub(began))
		}
		active.again(t)
	}
	t.Logf("%d kills: the first commit of the other node after %s; %d planned moves: after %s", len(killed), spread(killed), len(moved), spread(moved))
	stop()
	load.Wait()
	for _, l := range lines(t, dir) {
		if st, err := c.Wait(t.Context(), l[1]); err != nil || st.State != "completed" {
			t.Fatalf("run %s: %v %+v", l[1], err, st)
		}
	}
	waitForAll(t, c)
	for _, w := range workers {
		if code := w.stop(t); code != 0 {
			t.Errorf("a worker ended with %d: %s", code, w.said)
		}
	}
	for _, n := range nodes {
		if code := n.stop(t); code != 0 {
			t.Errorf("a node ended with %d: %s", code, n.said)
		}
	}
	u, _ := url.Parse(pgtest.URL(t))
	judgeAt(t, dir, u.String(), n/2)
}

func TestDatabaseSettingsAreChecked(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		args []string
		want string
	}{
		{nil, []string{"--database", "postgres://u:secret@127.0.0.1:1/x"}, "has a password"},
		{nil, []string{"--database", "postgres://u@127.0.0.1:1/x", "--file", "x.db"}, "kept in one of them"},
		{nil, []string{"--node", "one"}, "--node is for a journal on PostgreSQL"},
		{nil, []string{"--database", "http://x"}, "no URL of a PostgreSQL database"},
		{map[string]string{"AGNT5D_DATABASE": "postgres://u:secret@127.0.0.1:1/x"}, []string{"--node-lease", "1ms"}, "--node-lease 1ms"},
	} {
		t.Run(c.want, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			code, out, errs := agnt5d(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, c.args...)...)
			if code != exitUsage || !strings.Contains(errs, c.want) || strings.Contains(out+errs, "secret") {
				t.Errorf("exit %d, %s%s", code, out, errs)
			}
		})
	}
}

// A password in a database's address is found as it is typed, wherever it came from else; and an error in a settings file does not repeat it.
func TestAPasswordOfTheDatabaseIsNotShown(t *testing.T) {
	t.Setenv("PGPASSWORD", "hush")
	for dsn, want := range map[string]bool{
		"postgres://u:hush@h/x": true, "postgres://u@h/x?password=hush": true, "postgres://u@h/x?sslpassword=hush": true, "host=h password = hush": true,
		"postgres://u@h/x": false, "host=h user=u": false, "postgres:///x?host=/run/pg": false,
	} {
		if hasPassword(dsn) != want {
			t.Errorf("%s: %v", dsn, !want)
		}
	}
	file := writeFile(t, "c.yaml", "listen: 127.0.0.1:0\ndatabase: postgres://u:secret@127.0.0.1:1/x\nlog_levl: info\n")
	code, out, errs := agnt5d(t, "serve", "--config", file)
	if code != exitUsage || !strings.Contains(errs, "log_levl") || strings.Contains(out+errs, "secret") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
	for _, args := range [][]string{{"token", "list", "--file", "postgres://u:secret@127.0.0.1:1/x"}, {"replay", "postgres://u:secret@127.0.0.1:1/x", "--check"}} {
		if code, out, errs := agnt5d(t, args...); code != exitUsage || !strings.Contains(errs, "PGPASSWORD") || strings.Contains(out+errs, "secret") {
			t.Errorf("%v: exit %d, %s%s", args, code, out, errs)
		}
	}
}

// The first access token of a journal on PostgreSQL is made there, while no daemon has it.
func TestATokenIsMadeInTheDatabase(t *testing.T) {
	dsn := schema(t)
	code, out, errs := agnt5d(t, "token", "create", "root", "--scope", "admin", "--file", dsn)
	if code != 0 || !strings.HasPrefix(out, "agt_") {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	t.Setenv("AGNT5D_DATABASE", dsn)
	n := startNode(t, "one")
	untilReady(t, n)
	if code, _, errs := agnt5d(t, "token", "list", "--file", dsn); code != exitConflict || !strings.Contains(errs, "the node one") {
		t.Errorf("while a daemon has it: exit %d, %s", code, errs)
	}
	t.Setenv("AGNT5_URL", n.url)
	if code, _, _ := agnt5d(t, "list"); code == 0 {
		t.Error("without the token the daemon answers")
	}
	t.Setenv("AGNT5_API_KEY", strings.TrimSpace(strings.SplitN(out, "\n", 2)[0]))
	if code, out, errs := agnt5d(t, "token", "list"); code != 0 || !strings.Contains(out, "root") {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
}

// The password of the database is in the environment of the nodes, and nowhere that anybody sees: not in what they log and answer, not in their
// arguments, and not in the settings that they show.
func TestTheDatabasesPasswordIsFoundNowhere(t *testing.T) {
	const planted = "PLANTED-database-password"
	dsn := schema(t)
	if !strings.Contains(dsn, "?") {
		t.Skip("the database that AGNT5_TEST_POSTGRES names may want a password of its own")
	}
	t.Setenv("AGNT5D_DATABASE", dsn+"&password="+planted)
	one := startNode(t, "one", "--log-level", "debug")
	untilReady(t, one)
	two := startNode(t, "two", "--log-level", "debug")
	seen := map[string]string{}
	for _, n := range []*daemon{one, two} {
		for _, path := range []string{"/readyz", "/version", "/v1/settings", "/v1/runs", "/metrics", "/v1/journal"} {
			r, err := http.Get(n.url + path)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(r.Body)
			_ = r.Body.Close()
			seen[n.url+path] = fmt.Sprint(r.Header, string(b))
		}
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", n.cmd.Process.Pid))
		seen["the arguments of "+n.url] = string(args)
	}
	if text := seen[one.url+"/v1/settings"]; !strings.Contains(text, "database") {
		t.Errorf("the settings: %s", text)
	}
	for _, n := range []*daemon{one, two} {
		if code := n.stop(t); code != 0 {
			t.Errorf("exit %d", code)
		}
		seen["the log of "+n.url] = n.said.String()
	}
	for where, text := range seen {
		if strings.Contains(text, planted) {
			t.Errorf("%s has the password: %s", where, text)
		}
	}
}
