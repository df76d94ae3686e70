package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/worker"
	"go.etcd.io/bbolt"
)

// journalWith makes a journal with an open run "r" and a run "well", and appends a record to the first.
func journalWith(t *testing.T, count uint32, body []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Register("w", flow.Definition{Steps: []flow.Step{flow.WaitSignal("s", "go")}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"r", "well"} {
		if _, err := eng.Start(t.Context(), "w", nil, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	j, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	run, _, _, err := j.Lookup("r")
	if err != nil {
		t.Fatal(err)
	}
	last, err := j.Get(run)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	j.Append(&journal.Batch{Records: []journal.Record{{Seq: j.NextSeq(), Count: count, Run: run, Prev: last.Seq, N: last.N + uint64(last.Count), At: last.At, Body: body}}},
		func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a newer release wrote is no damage: every verb on a file says so, and shows the rest.
func TestAFileOfANewerReleaseIsNotCalledDamaged(t *testing.T) {
	known := event.AppendBody(nil, []event.Event{{Kind: event.SignalReceived, Name: "other", ID: "x"}})
	path := journalWith(t, 3, append(known, 0x92, 100, 0xa1, 'x', 0x91, 101))
	const told = "was written by a newer release of agnt5d"
	for _, c := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"verify", path}, exitOK, []string{"run r: record ", told, "nothing is damaged"}},
		{[]string{"verify", path, "-o", "json"}, exitOK, []string{`"ok":true`, `"newer":[{"run":"r","seq":`}},
		{[]string{"doctor", path}, exitOK, []string{"run r: record ", told, "nothing in it is damaged"}},
		{[]string{"replay", path}, exitOK, []string{"SignalReceived", "Kind(100) (written by a newer release of agnt5d)", "Kind(101) (written", "[well]"}},
		{[]string{"replay", path, "--run", "r", "--at", "1000"}, exitNotFound, nil},
		{[]string{"replay", path, "--check"}, exitConflict, []string{"run r: record ", told, "nothing is damaged, but 1 of 2 runs could not be checked"}},
		{[]string{"replay", path, "--check", "-o", "json"}, exitConflict, []string{`"ok":false`, `"newer":[{"run":"r"`}},
		{[]string{"history", "r", "--file", path}, exitOK, []string{"RunStarted", "SignalReceived", "Kind(100) (written by a newer release of agnt5d)"}},
		{[]string{"history", "r", "--file", path, "-o", "json"}, exitOK, []string{`"kind":"Kind(101)","newer_release":true`}},
		{[]string{"show", "r", "--file", path}, exitOK, []string{"running", told}},
		{[]string{"show", "r", "--file", path, "-o", "json"}, exitOK, []string{`"code":"newer_release"`, `"events":5`}},
		{[]string{"show", "well", "--file", path}, exitOK, nil},
	} {
		code, out, errs := agnt5d(t, c.args...)
		for _, want := range c.want {
			if !strings.Contains(out+errs, want) {
				t.Errorf("%s: no %q in\n%s%s", c.args[0], want, out, errs)
			}
		}
		if code != c.code || strings.Contains(strings.ReplaceAll(strings.ReplaceAll(out+errs, "nothing is damaged", ""), "not damaged", ""), "is damaged:") {
			t.Errorf("%v: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
}

// verify, replay --check and a start look at the same things: each finds an intact record that no history can have.
func TestVerifyFindsWhatAStartFinds(t *testing.T) {
	signal := event.AppendBody(nil, []event.Event{{Kind: event.SignalReceived, Name: "other", ID: "x"}})
	for name, c := range map[string]struct {
		count uint32
		body  []byte
		want  string
	}{
		"a wrong count":       {2, signal, "1 events, the record says 2"},
		"an impossible event": {1, event.AppendBody(nil, []event.Event{{Kind: event.StepCompleted, Step: 7}}), "step 7 of 1"},
		"nothing readable":    {1, []byte{0, 0xc1}, "malformed"},
	} {
		path := journalWith(t, c.count, c.body)
		for _, args := range [][]string{{"verify", path}, {"doctor", path}, {"replay", path, "--check"}} {
			if code, out, errs := agnt5d(t, args...); code != exitError || !strings.Contains(out+errs, c.want) || !strings.Contains(out+errs, "of run r") {
				t.Errorf("%s: %s: exit %d\n%s%s", name, args[0], code, out, errs)
			}
		}
		eng, err := engine.Open(path, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d := eng.Damages(); len(d) != 1 || !strings.Contains(d[0].Detail, c.want) {
			t.Errorf("%s: a start finds %v", name, d)
		}
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// wide makes a journal with one run of n steps side by side.
func wide(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.HandleRaw(eng, "svc", "h", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	steps := make([]flow.Step, n)
	for i := range steps {
		steps[i] = flow.Task(fmt.Sprintf("s%d", i), "svc", "h")
	}
	if err := eng.Register("wide", flow.Definition{Steps: steps}); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Start(t.Context(), "wide", nil, engine.WithID("r")); err != nil {
		t.Fatal(err)
	}
	if st, err := eng.Wait(t.Context(), "r"); err != nil || st.State != "completed" {
		t.Fatal(st, err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a verb allocates to fold one run grows as the run does, not with its square.
func TestFoldingOneRunIsLinear(t *testing.T) {
	const few, times = 500, 8
	small, large := wide(t, few), wide(t, few*times)
	for _, verb := range [][]string{{"replay", ""}, {"replay", "", "--check"}, {"replay", "", "--run", "r", "-o", "json"}, {"verify", ""}, {"history", "r", "--file", ""}, {"show", "r", "--file", "", "--all"}} {
		allocated := func(path string) uint64 {
			args := make([]string, len(verb))
			for i, a := range verb {
				if args[i] = a; a == "" {
					args[i] = path
				}
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if code, _, errs := agnt5d(t, args...); code != exitOK {
				t.Fatalf("%v: %s", args, errs)
			}
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		allocated(small) // what is made once
		a, b := allocated(small), allocated(large)
		if b > 2*times*a {
			t.Errorf("%v: %d bytes for %d steps, %d for %d", verb, a, few, b, few*times)
		}
		t.Logf("%v: %d KiB for %d steps, %d KiB for %d", verb, a>>10, few, b>>10, few*times)
	}
}

// A file of a newer format is refused by its name, by a daemon and by every verb on a file, and nothing of it is changed.
func TestAFileOfANewerFormatIsRefused(t *testing.T) {
	path := journalWith(t, 1, event.AppendBody(nil, []event.Event{{Kind: event.RunCancelled}}))
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		p := append([]byte("agnt5d journal"), 0, 0, 0, 1) // as docs/journal-format.md says
		sum := crc32.Checksum(append([]byte("metaformat"), p...), crc32.MakeTable(crc32.Castagnoli))
		return tx.Bucket([]byte("meta")).Put([]byte("format"), append(binary.BigEndian.AppendUint32(nil, sum), p...))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"serve", "--listen", "127.0.0.1:0", "--file", path}, {"verify", path}, {"doctor", path}, {"doctor", path, "--repair", path + ".new"}, {"replay", path},
		{"list", "--file", path}, {"compact", path}, {"backup", "--file", path, path + ".copy"}, {"restore", path, "--file", path + ".restored"},
	} {
		code, out, errs := agnt5d(t, args...)
		if code == 0 || !strings.Contains(errs, "has format 1, this release reads up to 0; use a newer agnt5d") {
			t.Errorf("%v: exit %d\n%s%s", args, code, out, errs)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
