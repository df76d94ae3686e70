package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
	"go.etcd.io/bbolt"
)

// damage flips a bit in the value of the log record with that sequence, in every copy of it that the file holds.
func damage(t *testing.T, path string, seq uint64) {
	t.Helper()
	value := recordValue(t, path, seq)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; ; {
		n := bytes.Index(whole[at:], value)
		if n < 0 {
			break
		}
		whole[at+n+len(value)-1] ^= 1
		at += n + 1
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
}

// recordValue gives the value of the log record with that sequence.
func recordValue(t *testing.T, path string, seq uint64) (value []byte) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		value = bytes.Clone(tx.Bucket([]byte("log")).Get(binary.BigEndian.AppendUint64(nil, seq)))
		return nil
	})
	if err != nil || len(value) == 0 {
		t.Fatalf("record %d: %v", seq, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return value
}

// A run that sleeps is read back from its snapshot when it wakes. One that cannot be read any more is a cache that is lost:
// the run is folded from its records, and the damage is told.
func TestASleeperWhoseSnapshotIsDamagedWakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Register("nap", flow.Definition{Steps: []flow.Step{flow.WaitSignal("a", "go")}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"hurt", "well"} {
		if _, err := eng.Start(t.Context(), "nap", id, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	snapshot := snapshotOf(t, path, "hurt")
	if eng, err = engine.Open(path, engine.Options{}); err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	flip(t, path, snapshot)
	for _, id := range []string{"hurt", "well"} {
		if err := eng.Signal(t.Context(), id, "go", 1); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if st, err := eng.Wait(t.Context(), id); err != nil || st.State != "completed" || string(st.Input) != `"`+id+`"` {
			t.Errorf("%s: %+v %v", id, st, err)
		}
	}
	if d := eng.Damages(); len(d) != 1 || d[0].Kind != "snapshot" {
		t.Errorf("damages: %+v", d)
	}
}

// snapshotOf gives the value that holds the snapshot of a run.
func snapshotOf(t *testing.T, path, id string) (snapshot []byte) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	_ = db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("snapshots")).ForEach(func(_, v []byte) error {
			if bytes.Contains(v, []byte(id)) {
				snapshot = bytes.Clone(v)
			}
			return nil
		})
	})
	if err := db.Close(); err != nil || snapshot == nil {
		t.Fatal("no snapshot", err)
	}
	return snapshot
}

// flip flips a bit in every copy of a value that the file holds, under the feet of its engine.
func flip(t *testing.T, path string, value []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flips := 0
	for at := 0; ; flips++ {
		n := bytes.Index(whole[at:], value)
		if n < 0 {
			break
		}
		at += n + len(value)
		if _, err := f.WriteAt([]byte{value[len(value)-1] ^ 1}, int64(at-1)); err != nil {
			t.Fatal(err)
		}
	}
	if flips == 0 {
		t.Fatal("the value is not in the file")
	}
}

// A run that sleeps, and of which neither the snapshot nor the records can be read any more, is quarantined when it wakes, whether its
// time has come or somebody calls. Others go on.
func TestASleeperOfWhichAllIsDamagedIsQuarantined(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	register(t, eng, "nap", flow.WaitSignal("a", "go"), flow.WaitTimer("b", "hour", flow.Delay(time.Hour), flow.After("a")))
	all := []string{"timer", "called", "start-lost", "well"}
	numbers := map[string][]uint64{} // of its events
	for _, id := range all {
		if _, err := eng.Start(t.Context(), "nap", id, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
		if err := eng.Signal(t.Context(), id, "go", 1); err != nil {
			t.Fatal(err)
		}
		events, err := eng.History(t.Context(), id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			numbers[id] = append(numbers[id], e.Seq)
		}
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	var flips [][]byte
	for _, id := range all[:3] {
		seqs := numbers[id]
		at := seqs[len(seqs)-1]
		if id == "start-lost" {
			at = seqs[0]
		}
		flips = append(flips, snapshotOf(t, path, id), recordValue(t, path, recordOf(t, path, at)))
	}
	if eng, err = engine.Open(path, engine.Options{Clock: engine.NewTestClock()}); err != nil {
		t.Fatal(err)
	}
	for _, value := range flips {
		flip(t, path, value)
	}
	if err := eng.Cancel(t.Context(), "called", ""); err != nil { // what a quarantined run can still be told
		t.Errorf("cancel: %v", err)
	}
	if _, err := eng.Advance(t.Context(), 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, id := range all[:3] {
		want := map[string]string{"timer": "quarantined", "called": "cancelled"}[id]
		st, err := eng.Status(t.Context(), id)
		if want == "" && !errors.Is(err, engine.ErrRunQuarantined) || want != "" && (err != nil || st.State != want) {
			t.Errorf("%s: %+v %v", id, st, err)
		}
	}
	if st, err := eng.Wait(t.Context(), "well"); err != nil || st.State != "completed" {
		t.Errorf("well: %+v %v", st, err)
	}
	if d := eng.Damages(); len(d) < 3 {
		t.Errorf("damages: %+v", d)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	if eng, err = engine.Open(path, engine.Options{}); err != nil { // what was written of it can be folded
		t.Fatal(err)
	}
	defer eng.Close()
	if st, err := eng.Status(t.Context(), "timer"); err != nil || st.State != "quarantined" {
		t.Errorf("after a restart: %+v %v", st, err)
	}
}

func TestOneDamagedRunIsQuarantinedAndTheOthersGoOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	boot := func() *engine.Engine {
		eng, err := engine.Open(path, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		handle(t, eng, "h", func(context.Context, *worker.Task) (json.RawMessage, error) { return json.RawMessage(`"here"`), nil })
		return eng
	}
	eng := boot()
	register(t, eng, "w", flow.Task("first", "svc", "h"), flow.WaitSignal("wait", "go", flow.After("first")), flow.Task("last", "svc", "h", flow.Keys("k"), flow.After("wait")))
	ids := []string{"one", "two", "three"}
	var seqs []uint64
	for _, id := range ids {
		if _, err := eng.Start(t.Context(), "w", id, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
		until(t, func() bool {
			s, err := eng.Status(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, s.LastSeq)
			return s.Steps["wait"].State == "waiting"
		}, func() string { return "the wait of " + id + " is not reached" })
		seqs = seqs[len(seqs)-1:]
	}
	two, err := eng.History(t.Context(), "two", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	// No clean stop: the records must be folded at the next start, not a snapshot of the run.
	crash(t, eng, path)
	bad := recordOf(t, path, two[len(two)-1].Seq)
	damage(t, path, bad)

	eng = boot()
	s, err := eng.Status(t.Context(), "two")
	if err != nil || s.State != "quarantined" || len(s.Reasons) != 1 || s.Reasons[0].Code != "quarantined" {
		t.Fatalf("%+v %v", s, err)
	}
	if err := eng.Signal(t.Context(), "two", "go", nil); !errors.Is(err, engine.ErrRunQuarantined) {
		t.Errorf("signal: %v", err)
	}
	for _, id := range []string{"one", "three"} {
		if err := eng.Signal(t.Context(), id, "go", nil); err != nil {
			t.Fatal(err)
		}
		if s, err := eng.Wait(t.Context(), id); err != nil || s.State != "completed" {
			t.Fatalf("%s: %+v %v", id, s, err)
		}
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	eng = boot() // it is durable, and told once
	if s, err := eng.Status(t.Context(), "two"); err != nil || s.State != "quarantined" || !strings.Contains(s.Reason, "damaged") {
		t.Fatalf("%+v %v", s, err)
	}
	if err := eng.Cancel(t.Context(), "two", "give up"); err != nil {
		t.Fatal(err)
	}
	if s, err := eng.Status(t.Context(), "two"); err != nil || s.State != "cancelled" {
		t.Fatalf("%+v %v", s, err)
	}
	if err := eng.Retry(t.Context(), "two", ""); !errors.Is(err, engine.ErrRunQuarantined) {
		t.Errorf("retry: %v", err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	eng = boot()
	defer eng.Close()
	if s, err := eng.Status(t.Context(), "two"); err != nil || s.State != "cancelled" {
		t.Fatalf("after all: %+v %v", s, err)
	}
}

// crash copies the file as it is, as a crash would leave it, and closes the engine on the old one.
func crash(t *testing.T, eng *engine.Engine, path string) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
}

// recordOf gives the key of the log record that holds an event.
func recordOf(t *testing.T, path string, seq uint64) (key uint64) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("log")).ForEach(func(k, _ []byte) error {
			if n := binary.BigEndian.Uint64(k); n <= seq {
				key = n
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestDamageInAFinishedRunIsFoundWhenItIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	handle(t, eng, "h", null)
	register(t, eng, "w", flow.Task("a", "svc", "h"), flow.Task("b", "svc", "h", flow.After("a")))
	id, err := eng.Start(t.Context(), "w", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	events, err := eng.History(t.Context(), id, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	damage(t, path, recordOf(t, path, events[3].Seq))
	eng, err = engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	if _, err := eng.Status(t.Context(), id); !errors.Is(err, engine.ErrRunQuarantined) {
		t.Fatalf("status of a damaged run: %v", err)
	}
	until(t, func() bool {
		list, err := eng.List(t.Context(), engine.ListFilter{})
		return err == nil && len(list) == 1 && list[0].State == "quarantined"
	}, func() string { return "the list does not say that the run is quarantined" })
}
