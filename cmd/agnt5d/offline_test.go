package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every verb that reads a file reads a database in its place, and shows the same; those that are for files alone name the tools of a database.
func TestVerbsReadADatabaseAsTheyReadAFile(t *testing.T) {
	path, dsn := journalFile(t), schema(t)
	if code, out, errs := agnt5d(t, "import", path, "--database", dsn); code != 0 {
		t.Fatalf("import: exit %d: %s%s", code, out, errs)
	}
	for _, verb := range []string{"list --file FILE", "list --file FILE --sort end", "list --file FILE --state failed -o json", "show run-bad --file FILE", "show run-waits --file FILE -o json", "graph --run run-good --file FILE",
		"explain run-waits --file FILE", "explain run-bad --file FILE", "history run-good --file FILE", "logs run-good --file FILE", "diff run-good run-bad --file FILE", "objects --file FILE",
		"replay FILE --run run-good", "replay FILE --run run-bad --at 12"} {
		on := func(where string) (int, string) {
			code, out, errs := agnt5d(t, strings.Fields(strings.ReplaceAll(verb, "FILE", where))...)
			return code, strings.ReplaceAll(out+errs, where, "FILE")
		}
		code, want := on(path)
		if got, text := on(dsn); got != code || text != want || text == "" && verb != "logs run-good --file FILE" {
			t.Errorf("%s: exit %d, want %d\n%swant\n%s", verb, got, code, text, want)
		}
	}
	for verb, want := range map[string]string{"replay FILE --check": "3 runs", "verify FILE": "nothing is damaged", "verify FILE -o json": `"ok":true`, "doctor FILE": "nothing in it is damaged"} {
		if code, out, errs := agnt5d(t, strings.Fields(strings.ReplaceAll(verb, "FILE", dsn))...); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d: %s%s", verb, code, out, errs)
		}
	}
	repaired := filepath.Join(t.TempDir(), "repaired.db")
	for _, args := range [][]string{{"compact", dsn}, {"backup", "--file", dsn, repaired}, {"restore", path, "--file", dsn}, {"doctor", dsn, "--repair", repaired}} {
		if code, out, errs := agnt5d(t, args...); code != exitUsage || !strings.Contains(errs, "pg_dump") || !strings.Contains(errs, "agnt5d export") {
			t.Errorf("%v: exit %d: %s%s", args, code, out, errs)
		}
	}
	if _, err := os.Stat(repaired); err == nil {
		t.Error("a verb that refuses has made a file")
	}
}
