package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// flipRow flips a bit in the value of the row of a bucket that is about a run: by its key, or by its number at an end of the key.
func flipRow(t *testing.T, path, bucket, id string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		number := []byte("no run")
		if row := tx.Bucket([]byte("ids")).Get([]byte(id)); row != nil {
			run, _ := binary.Uvarint(row[4:])
			number = binary.BigEndian.AppendUint64(nil, run)
		}
		b := tx.Bucket([]byte(bucket))
		var key, value []byte
		err := b.ForEach(func(k, v []byte) error {
			if key == nil && (string(k) == id || string(k) == "\x01"+id+"\x00\x00\x00\x01" || string(k) == string(number) || len(k) > 8 && string(k[len(k)-8:]) == string(number)) {
				key, value = slices.Clone(k), slices.Clone(v)
			}
			return nil
		})
		if err != nil || key == nil {
			t.Fatalf("no row of %s in %s: %v", id, bucket, err)
		}
		value[len(value)-1] ^= 4
		return b.Put(key, value)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// One flipped bit in a row that is no record is the damage of one run: lists, starts, signals, deletion and retention of the others go on,
// verify names the run, and the run itself is read, or answers run_quarantined, and can be ended and deleted.
func TestDamageOfOneRunIsItsOwn(t *testing.T) {
	for _, c := range []struct {
		bucket, of string
		shown      int    // exit code of show
		listed     string // state in lists
	}{
		{"heads", "done", exitConflict, "quarantined"},
		{"heads", "stopped", exitConflict, "quarantined"},
		{"heads", "open", 0, "running"},
		{"ids", "done", 0, "completed"},
		{"ids", "open", 0, "running"},
		{"bystate", "open", 0, "running"},
		{"bystate", "stopped", 0, "cancelled"},
		{"byflow", "done", 0, "completed"},
	} {
		t.Run(c.bucket+" of "+c.of, func(t *testing.T) {
			d := startDaemon(t, t.TempDir(), "--keep-deleted-ids", "1h")
			d.say(t, 0, "", "register", "w", writeFile(t, "w.yaml", "steps:\n  - {name: s, type: wait_signal, signal: {name: go}}\n"))
			d.say(t, 0, "", "register", "q", writeFile(t, "q.yaml", "steps:\n  - {name: s, type: wait_timer, timer: {key: t, delay_ms: 0}}\n"))
			d.say(t, 0, "", "start", "q", "--id", "done", "--wait")
			d.say(t, 0, "", "start", "q", "--id", "done-too", "--wait")
			for _, id := range []string{"open", "open-too", "stopped"} {
				d.say(t, 0, "", "start", "w", "--id", id)
			}
			d.say(t, 0, "", "cancel", "stopped")
			d.kill()
			path := filepath.Join(d.dir, "runs.db")
			flipRow(t, path, c.bucket, c.of)
			_, said, _ := agnt5d(t, "verify", path)
			if !strings.Contains(said, c.of) || strings.Count(said, "\n") != 1 {
				t.Errorf("verify says %q", said)
			}
			d.again(t)
			states := map[string]string{"done": "completed", "done-too": "completed", "open": "running", "open-too": "running", "stopped": "cancelled"}
			states[c.of] = c.listed
			for _, args := range [][]string{{}, {"--workflow", "q"}, {"--workflow", "w"}, {"--state", "running"}, {"--id-prefix", "o"}, {"--id-prefix", "d"}, {"--sort", "end"}} {
				code, out, errs := d.cli(t, append([]string{"list"}, args...)...)
				for id, state := range states {
					want := len(args) == 0 || args[1] == "q" && strings.HasPrefix(id, "done") || args[1] == "w" && !strings.HasPrefix(id, "done") ||
						args[1] == state || args[1] == "o" && id[0] == 'o' || args[1] == "d" && id[0] == 'd' || args[1] == "end" && (state == "completed" || state == "cancelled")
					line := ""
					for _, l := range strings.Split(out, "\n") {
						if f := strings.Fields(l); len(f) > 3 && f[0] == id {
							line = f[3]
						}
					}
					if want && line != state || !want && line != "" && line != "quarantined" {
						t.Errorf("list %v: %s is %q, want %q (%t)", args, id, line, state, want)
					}
				}
				if code != 0 {
					t.Errorf("list %v: exit %d\n%s", args, code, errs)
				}
			}
			for id := range states {
				want := 0
				if id == c.of {
					want = c.shown
				}
				text := ""
				if want != 0 {
					text = "run_quarantined"
				}
				d.say(t, want, text, "show", id)
			}
			d.say(t, 0, "more  completed", "start", "q", "--id", "more", "--wait")
			d.say(t, exitConflict, "run_conflict", "start", "w", "--id", "done")
			d.say(t, 0, "is recorded", "signal", "open", "go")
			d.say(t, 0, "is cancelled", "cancel", "open-too")
			for id := range states {
				d.say(t, 0, "is deleted", "delete", id)
				d.say(t, exitNotFound, "run_expired", "start", "q", "--id", id)
			}
			d.say(t, 0, "1 run deleted", "purge", "--before", "0s")
			d.kill()
			d.say(t, 0, "nothing is damaged", "verify", path)
		})
	}
}

// Retention goes on behind a run whose head is damaged, and keeps that run.
func TestRetentionPassesADamagedRun(t *testing.T) {
	for _, bucket := range []string{"heads", "ids", "byflow"} {
		d := startDaemon(t, t.TempDir())
		d.say(t, 0, "", "register", "q", writeFile(t, "q.yaml", "steps:\n  - {name: s, type: wait_timer, timer: {key: t, delay_ms: 0}}\n"))
		for _, id := range []string{"before", "damaged", "after"} {
			d.say(t, 0, "", "start", "q", "--id", id, "--wait")
		}
		d.kill()
		flipRow(t, filepath.Join(d.dir, "runs.db"), bucket, "damaged")
		d = startDaemon(t, d.dir, "--retention-completed", "1s")
		until(t, func() bool {
			_, out, _ := d.cli(t, "list")
			return !strings.Contains(out, "before") && !strings.Contains(out, "after") && (strings.Contains(out, "damaged") == (bucket == "heads"))
		})
	}
}

// Of a journal with damage in every kind of row, doctor makes a new one of what is whole: the runs of which only a head, an id or an index
// row was lost are all there, the one that has lost a record is named and its id is kept, and definitions are as the log tells.
func TestDoctorMakesAWholeJournal(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	path, made := filepath.Join(d.dir, "runs.db"), filepath.Join(d.dir, "made.db")
	w := writeFile(t, "w.yaml", "steps:\n  - {name: s, type: wait_signal, signal: {name: go}}\n")
	d.say(t, 0, "", "register", "w", w)
	d.say(t, 0, "", "register", "q", writeFile(t, "q.yaml", "steps:\n  - {name: s, type: wait_timer, timer: {key: t, delay_ms: 0}}\n"))
	for _, id := range []string{"gone", "done", "lost", "done-too"} {
		d.say(t, 0, "", "start", "q", "--id", id, "--wait")
	}
	for _, id := range []string{"open", "open-too", "stopped"} {
		d.say(t, 0, "", "start", "w", "--id", id)
	}
	d.say(t, 0, "", "cancel", "stopped", "--reason", "enough")
	d.say(t, 0, "", "delete", "gone")
	d.kill()
	for _, row := range [][2]string{{"log", "lost"}, {"heads", "done"}, {"heads", "stopped"}, {"ids", "open"}, {"bystate", "open-too"}, {"byflow", "done-too"}, {"definitions", "q"}, {"current", "w"}} {
		flipRow(t, path, row[0], row[1])
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d.say(t, exitConflict, "no file is overwritten", "doctor", path, "--repair", path)
	d.say(t, exitError, "--repair NEW", "doctor", path)
	d.say(t, 0, "lost: run \"lost\"", "doctor", path, "--repair", made)
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the damaged journal was changed: %v", err)
	}
	d.say(t, 0, "nothing is damaged", "verify", made)
	if err := os.Rename(made, path); err != nil {
		t.Fatal(err)
	}
	d.again(t)
	for id, want := range map[string]string{"done": "completed", "done-too": "completed", "open": "running", "open-too": "running", "stopped": "cancelled"} {
		d.say(t, 0, want, "show", id)
	}
	for _, id := range []string{"lost", "gone"} {
		d.say(t, exitNotFound, "run_expired", "start", "q", "--id", id)
	}
	d.say(t, 0, "was registered before and is current", "register", "w", w)
	d.say(t, 0, "more  completed", "start", "q", "--id", "more", "--wait")
	for _, id := range []string{"open", "open-too"} {
		d.say(t, 0, "is recorded", "signal", id, "go")
		d.say(t, 0, id+"  completed", "wait", id)
	}
	d.kill()
	d.say(t, 0, "nothing is damaged", "verify", path)
	d.say(t, 0, "", "replay", "--check", path)
}
