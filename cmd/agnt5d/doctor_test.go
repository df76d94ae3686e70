package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// What doctor finds is there for programs, too.
func TestDoctorAsJSON(t *testing.T) {
	none := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(none, []byte("no journal"), 0o600); err != nil {
		t.Fatal(err)
	}
	held := startDaemon(t, t.TempDir())
	for path, want := range map[string]struct {
		code    int
		verdict string
		opens   bool
	}{
		journalFile(t):                     {0, "ok", true},
		none:                               {exitError, "not_a_journal", false},
		filepath.Join(held.dir, "runs.db"): {exitConflict, "in_use", false},
	} {
		code, out, errs := agnt5d(t, "doctor", path, "-o", "json")
		var got diagnosis
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != want.code || got.Verdict != want.verdict || got.Opens != want.opens || got.Advice == "" || got.Damages == nil {
			t.Errorf("%s: exit %d, %v, want %+v\n%s%s", path, code, err, want, out, errs)
		}
	}
}
