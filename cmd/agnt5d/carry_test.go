package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/jackc/pgx/v5"
)

// A journal with runs in all states moves to a database, its runs go on there under a daemon, and it comes back into a file: nothing of what was
// there before is another one.
func TestAJournalMovesToADatabaseAndBack(t *testing.T) {
	path := journalFile(t)
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"cancelled", "deleted"} {
		if _, err := eng.Start(t.Context(), "waits", nil, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
		if err := eng.Cancel(t.Context(), id, "enough"); err != nil {
			t.Fatal(err)
		}
	}
	if err := eng.Delete(t.Context(), "deleted"); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := agnt5d(t, "import", path, "--database", schema(t)); code != exitConflict || !strings.Contains(errs, "agnt5d backup") {
		t.Errorf("of a file that is in use: exit %d, %s", code, errs)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	dsn := schema(t)
	say := func(code int, want string, args ...string) string {
		t.Helper()
		got, out, errs := agnt5d(t, args...)
		if got != code || !strings.Contains(out+errs, want) {
			t.Errorf("agnt5d %q: exit %d, want %d and %q\n%s%s", args, got, code, want, out, errs)
		}
		return out
	}
	say(exitNotFound, "no such file", "import", path+"x", "--database", dsn)
	say(exitError, "there is no journal", "export", path+"x", "--database", dsn)
	say(0, "4 runs", "import", path, "--database", dsn)
	say(exitConflict, "--database-schema", "import", path, "--database", dsn)
	say(0, "nothing is damaged", "verify", dsn)
	say(0, "4 runs", "replay", dsn, "--check")
	histories := func(where string) (all []string) {
		for _, id := range []string{"run-good", "run-bad", "cancelled"} {
			all = append(all, say(0, id, "history", id, "--file", where, "-o", "json"))
		}
		return all
	}
	before := histories(path)
	if got := histories(dsn); strings.Join(got, "") != strings.Join(before, "") {
		t.Errorf("in the database the histories are\n%s, want\n%s", got, before)
	}

	t.Setenv("AGNT5D_DATABASE", dsn)
	n := startNode(t, "one")
	untilReady(t, n)
	t.Setenv("AGNT5_URL", n.url)
	say(0, "", "signal", "run-waits", "go")
	say(0, "completed", "wait", "run-waits", "--timeout", "1m")
	say(exitNotFound, "", "show", "deleted")
	say(exitError, "pg_dump", "compact")
	say(exitError, "pg_dump", "backup", path+".copy")
	moment := filepath.Join(t.TempDir(), "moment.db")
	say(0, "the same", "export", moment) // while the daemon works
	say(0, "nothing is damaged", "verify", moment)
	if code := n.stop(t); code != 0 {
		t.Errorf("the daemon ended with %d: %s", code, n.said)
	}
	back := filepath.Join(t.TempDir(), "back.db")
	say(0, "the same", "export", back)
	say(exitConflict, "no file is overwritten", "export", back)
	if info, err := os.Stat(back); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	say(0, "nothing is damaged", "verify", back)
	say(0, "4 runs", "replay", back, "--check")
	if got := histories(back); strings.Join(got, "") != strings.Join(before, "") {
		t.Errorf("in the file the histories are\n%s, want\n%s", got, before)
	}
	if eng, err = engine.Open(back, engine.Options{}); err != nil {
		t.Fatal(err)
	}
	st, err := eng.Status(t.Context(), "run-waits")
	if err != nil || st.State != "completed" {
		t.Errorf("%+v, %v", st, err)
	}
	if _, err := eng.Start(t.Context(), "waits", nil, engine.WithID("new")); err != nil {
		t.Error(err)
	}
	if err := eng.Close(); err != nil {
		t.Error(err)
	}
}

// An import that is killed in the middle leaves nothing: no daemon finds half a journal, and a second import makes a whole one.
func TestAnImportThatIsKilledLeavesNothing(t *testing.T) {
	path, dsn := journalFile(t), schema(t)
	name := os.Getenv("AGNT5D_DATABASE_SCHEMA")
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	do := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	do(`CREATE SCHEMA ` + name)
	do(`CREATE TABLE ` + name + `.definition (shard int NOT NULL, name text COLLATE "C" NOT NULL, version int NOT NULL, digest text NOT NULL, at bigint NOT NULL, sum int NOT NULL, PRIMARY KEY (shard, name, version))`)
	do(`BEGIN`)
	do(`INSERT INTO ` + name + `.definition VALUES (0, 'good', 1, '', 0, 0)`) // the import stands still at it
	p := &process{exec.Command(os.Args[0], "-test.run=^$"), &output{}}
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), "AGNT5D_TEST_MAIN=import "+path+" --database "+dsn), p.said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	waits := `SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid() AND transactionid IS NOT NULL`
	for n, until := 0, time.Now().Add(time.Minute); n == 0; {
		if err := conn.QueryRow(t.Context(), waits).Scan(&n); err != nil || time.Now().After(until) {
			t.Fatalf("the import does not come to the place: %v %s", err, p.said)
		}
	}
	p.kill()
	do(`ROLLBACK`)
	if code, out, errs := agnt5d(t, "verify", dsn); code != exitError || !strings.Contains(errs, "there is no journal") {
		t.Errorf("after the kill: exit %d: %s%s", code, out, errs)
	}
	if code, out, errs := agnt5d(t, "import", path, "--database", dsn); code != 0 || !strings.Contains(out, "3 runs") {
		t.Errorf("again: exit %d: %s%s", code, out, errs)
	}
	if code, out, errs := agnt5d(t, "replay", dsn, "--check"); code != 0 || !strings.Contains(out, "3 runs") {
		t.Errorf("the check: exit %d: %s%s", code, out, errs)
	}
}
