package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// clean fails when Verify finds damage.
func clean(t testing.TB, j *Journal) {
	t.Helper()
	for _, d := range verify(t, j) {
		t.Errorf("damage: %+v", d)
	}
}

func verify(t testing.TB, j *Journal) []journal.Damage {
	t.Helper()
	var found []journal.Damage
	if _, err := j.Verify(context.Background(), func(d journal.Damage) { found = append(found, d) }); err != nil {
		t.Fatal(err)
	}
	return found
}

// damages collects what recovery is told.
type damages struct {
	records []uint64
	found   []journal.Damage
	late    bool // damage was told after a record of its run that lies behind it
	runs    map[uint64]uint64
}

func (c *damages) Clean(bool)                      {}
func (c *damages) Snapshot(journal.Snapshot) error { return nil }
func (c *damages) Record(r journal.Record) error {
	c.records = append(c.records, r.Seq)
	if c.runs == nil {
		c.runs = map[uint64]uint64{}
	}
	c.runs[r.Run] = r.Seq
	return nil
}
func (c *damages) Damaged(d journal.Damage) error {
	c.found = append(c.found, d)
	c.late = c.late || d.Run != 0 && c.runs[d.Run] > d.Seq
	return nil
}

func recovered(t testing.TB, path string) damages {
	t.Helper()
	j, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var c damages
	if err := j.Recover(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func verified(t testing.TB, path string) []journal.Damage {
	t.Helper()
	j, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	return verify(t, j)
}

func has(found []journal.Damage, seq, run uint64) bool {
	return slices.ContainsFunc(found, func(d journal.Damage) bool { return d.Seq == seq && d.Run == run })
}

// rowAt finds where a row's key and value stand in the file.
func rowAt(t *testing.T, path string, b *bucket, key []byte) (file []byte, keyAt, valueAt, size int) {
	t.Helper()
	var value []byte
	edit(t, path, func(tx *bbolt.Tx) error {
		value = bytes.Clone(tx.Bucket(b.name).Get(key))
		return nil
	})
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := checkPages(path, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; ; { // a page that is free may hold an older copy
		i := bytes.Index(file[at:], append(bytes.Clone(key), value...))
		if i < 0 {
			t.Fatalf("%s %x is not in use anywhere", b.name, key)
		}
		at += i
		if use := m.use[at/int(m.meta.pageSize)]; use == useLeaf || use == useOverflow {
			return file, at, at + len(key), len(value)
		}
		at++
	}
}

func TestEveryFlippedBitOfARecordIsFoundAndAttributed(t *testing.T) {
	path := sealed(t)
	const seq, run = 9, 1 // not the first of run 1, nor its last
	file, keyAt, valueAt, size := rowAt(t, path, logBucket, seqKey(seq))
	other := filepath.Join(t.TempDir(), "flipped.db")
	for bit := range (size + 8) * 8 {
		at := keyAt + bit/8
		file[at] ^= 1 << (bit % 8)
		if err := os.WriteFile(other, file, 0o600); err != nil {
			t.Fatal(err)
		}
		file[at] ^= 1 << (bit % 8)
		if bit%7 == 0 || at < valueAt { // recovery needs no bit more than verify does
			c := recovered(t, other)
			if !has(c.found, seq, run) || slices.Contains(c.records, seq) || c.late || len(c.records) != 32 {
				t.Fatalf("bit %d of byte %d: recovery found %+v, and read %v", bit%8, at-keyAt, c.found, c.records)
			}
		}
		found := verified(t, other)
		if !has(found, seq, run) {
			t.Fatalf("bit %d of byte %d: verify found %+v", bit%8, at-keyAt, found)
		}
	}
}

// The ends of the log have a neighbour on one side only.
func TestAFlippedKeyAtAnEndOfTheLogIsFound(t *testing.T) {
	path := sealed(t)
	other := filepath.Join(t.TempDir(), "flipped.db")
	for seq, run := range map[uint64]uint64{1: 1, 35: 3} {
		file, keyAt, _, _ := rowAt(t, path, logBucket, seqKey(seq))
		for bit := range 64 {
			at := keyAt + bit/8
			file[at] ^= 1 << (bit % 8)
			if err := os.WriteFile(other, file, 0o600); err != nil {
				t.Fatal(err)
			}
			file[at] ^= 1 << (bit % 8)
			if found := verified(t, other); !has(found, seq, run) {
				t.Errorf("record %d, bit %d: verify found %+v", seq, bit, found)
			}
			if c := recovered(t, other); !has(c.found, seq, run) || len(c.records) != 32 || c.late {
				t.Errorf("record %d, bit %d: recovery found %+v, and read %v", seq, bit, c.found, c.records)
			}
		}
	}
}

func TestAFlippedKeyDoesNotHideItsNeighbours(t *testing.T) {
	path := sealed(t)
	const seq, run = 9, 1
	file, keyAt, _, _ := rowAt(t, path, logBucket, seqKey(seq))
	other := filepath.Join(t.TempDir(), "flipped.db")
	for bit := range 64 {
		at := keyAt + bit/8
		file[at] ^= 1 << (bit % 8)
		if err := os.WriteFile(other, file, 0o600); err != nil {
			t.Fatal(err)
		}
		file[at] ^= 1 << (bit % 8)
		j, err := OpenReadOnly(other)
		if err != nil {
			t.Fatal(err)
		}
		for want := uint64(1); want < j.NextSeq(); want++ {
			r, err := j.Get(want)
			var damage *journal.DamageError
			if want == seq && !errors.As(err, &damage) || want != seq && (err != nil || want < r.Seq || want >= r.End()) {
				t.Fatalf("bit %d: event %d: %+v, %v", bit, want, r, err)
			}
		}
		_, err = j.RunRecords(run, 33, 1, 0)
		var damage *journal.DamageError
		if !errors.As(err, &damage) || damage.Seq != seq || damage.Run != run {
			t.Fatalf("bit %d: the run's history: %v", bit, err)
		}
		j.Close()
	}
}

func TestADeletedRecordIsNamedWithItsRun(t *testing.T) {
	for _, c := range []struct{ seq, run uint64 }{{9, 1}, {1, 1}, {3, 3}, {35, 3}} { // one between, the first two, and the last of an ended run
		path := sealed(t)
		edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(logBucket.name).Delete(seqKey(c.seq)) })
		if found := verified(t, path); !has(found, c.seq, c.run) {
			t.Errorf("verify: record %d of run %d: %+v", c.seq, c.run, found)
		}
		if r := recovered(t, path); !has(r.found, c.seq, c.run) || len(r.records) != 32 || r.late {
			t.Errorf("recovery: record %d of run %d: %+v, %v", c.seq, c.run, r.found, r.records)
		}
	}
}

func TestTwoMissingRecordsInARowAreTwoDamages(t *testing.T) {
	path := sealed(t)
	edit(t, path, func(tx *bbolt.Tx) error {
		return errors.Join(tx.Bucket(logBucket.name).Delete(seqKey(9)), tx.Bucket(logBucket.name).Delete(seqKey(10)))
	})
	if found := verified(t, path); !has(found, 9, 1) || !has(found, 10, 3) {
		t.Errorf("found %+v", found)
	}
}

func TestSwappedValuesAreFoundInEveryBucket(t *testing.T) {
	for _, b := range []*bucket{logBucket, headBucket, snapshotBucket, objectBucket, definitionBucket, bodyBucket, rowBucket, idBucket} {
		t.Run(string(b.name), func(t *testing.T) {
			path := furnished(t)
			if found := verified(t, path); len(found) > 0 {
				t.Fatalf("before: %+v", found)
			}
			edit(t, path, func(tx *bbolt.Tx) error {
				in := tx.Bucket(b.name)
				c := in.Cursor()
				k1, v1 := c.First()
				k2, v2 := c.Next()
				k1, v1, k2, v2 = bytes.Clone(k1), bytes.Clone(v1), bytes.Clone(k2), bytes.Clone(v2)
				return errors.Join(in.Put(k1, v2), in.Put(k2, v1))
			})
			found := verified(t, path)
			if n := count(found, b.kind); n < 2 {
				t.Errorf("found %+v", found)
			}
			if b == logBucket && (!has(found, 1, 1) || !has(found, 3, 3)) {
				t.Errorf("found %+v", found)
			}
		})
	}
}

func count(found []journal.Damage, kind string) (n int) {
	for _, d := range found {
		if d.Kind == kind {
			n++
		}
	}
	return n
}

// furnished is a closed journal with two rows or more in every bucket.
func furnished(t testing.TB) string {
	t.Helper()
	path := sealed(t)
	j := open(t, path)
	s := tell(t, j)
	gone := s.start("gone")
	s.end(gone, "gone", journal.CompletedState)
	spoilt := s.start("spoilt")
	s.end(spoilt, "spoilt", 2)
	gone2 := s.start("gone2")
	s.end(gone2, "gone2", journal.CompletedState)
	long := s.start("long")
	for range 2 {
		put(t, j, &journal.Batch{Records: []journal.Record{s.record(long, 600, "many events")}})
	}
	put(t, j, &journal.Batch{
		Snapshots: []journal.Snapshot{{Run: 1, Seq: 33, State: []byte("state of a")}, {Run: long, Seq: s.last[long].Seq, State: []byte("state of long")}},
		Base:      s.next - 1,
		Objects:   []journal.Object{{Key: "account/1", Version: 1, State: []byte(`{"n":1}`)}, {Key: "account/2", Version: 3, Fence: 9, Seq: 5, State: []byte(`2`)}},
		Definitions: []journal.Definition{{Name: "order", Version: 1, Digest: digestOf("one"), Body: []byte("one"), At: 5},
			{Name: "order", Version: 2, Digest: digestOf("two"), Body: []byte("two"), At: 6, Current: true},
			{Name: "audit", Version: 1, Digest: digestOf("two"), At: 7, Current: true}},
		Rows:   []journal.Row{{Key: "a/1", Value: []byte("x")}, {Key: "a/2", Value: []byte("y")}},
		Purges: []journal.Purge{{Run: gone, Until: 99}, {Run: gone2, Until: 99}},
	})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDamageToAnyRowIsFound(t *testing.T) {
	path := furnished(t)
	for _, b := range allBuckets {
		var keys [][]byte
		edit(t, path, func(tx *bbolt.Tx) error {
			return tx.Bucket(b.name).ForEach(func(k, _ []byte) error { keys = append(keys, bytes.Clone(k)); return nil })
		})
		if len(keys) == 0 {
			t.Errorf("no rows in %s", b.name)
		}
		for i, key := range keys {
			if b == logBucket && i > 3 || b == metaBucket {
				continue
			}
			other := copied(t, path)
			edit(t, other, func(tx *bbolt.Tx) error {
				v := bytes.Clone(tx.Bucket(b.name).Get(key))
				v[rand.IntN(len(v))] ^= 1 << rand.IntN(8)
				return tx.Bucket(b.name).Put(key, v)
			})
			if found := verified(t, other); count(found, b.kind) == 0 {
				t.Errorf("a flipped bit in %s %x: found %+v", b.name, key, found)
			}
			if b == objectBucket || b == rowBucket || b == waypointBucket {
				continue // that such a row was never there is told by nothing but the page that held it
			}
			other = copied(t, path)
			edit(t, other, func(tx *bbolt.Tx) error { return tx.Bucket(b.name).Delete(key) })
			found := verified(t, other)
			if b == idBucket && strings.HasPrefix(string(key), "gone") || b == currentBucket || b == definitionBucket {
				continue // likewise
			}
			if len(found) == 0 {
				t.Errorf("%s %x was deleted: nothing found", b.name, key)
			}
		}
	}
}

func digestOf(body string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(body)))
}

func copied(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(other, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return other
}

func TestAMissingRowIsNotTakenForOneThatNeverWas(t *testing.T) {
	path := furnished(t)
	// One bit of the id's key: the id is there, but not found where it was put.
	edit(t, path, func(tx *bbolt.Tx) error {
		b := tx.Bucket(idBucket.name)
		v := bytes.Clone(b.Get([]byte("b")))
		return errors.Join(b.Delete([]byte("b")), b.Put([]byte("c"), v))
	})
	edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(headBucket.name).Delete(seqKey(3)) })
	j := open(t, path)
	var damage *journal.DamageError
	if run, _, ok, err := j.Lookup("b"); run != 3 || !ok || err != nil {
		t.Errorf("lookup: run %d, %v, %v", run, ok, err)
	}
	if _, _, err := j.Head(3); !errors.As(err, &damage) || damage.Run != 3 {
		t.Errorf("head: %v", err)
	}
	if _, _, ok, err := j.Lookup("nobody"); ok || err != nil {
		t.Errorf("an id that never was: %v, %v", ok, err)
	}
}

func TestABadSnapshotIsReportedAndAMissingOneToo(t *testing.T) {
	path := furnished(t)
	var long uint64
	edit(t, path, func(tx *bbolt.Tx) error {
		b := tx.Bucket(snapshotBucket.name)
		k, _ := b.Cursor().Last()
		long = binary.BigEndian.Uint64(k)
		v := bytes.Clone(b.Get(seqKey(1)))
		v[len(v)-1] ^= 4
		return errors.Join(b.Put(seqKey(1), v), b.Delete(bytes.Clone(k)))
	})
	c := recovered(t, path)
	if len(c.found) != 2 || !has(c.found, 0, 1) || !has(c.found, 0, long) || count(c.found, "snapshot") != 2 {
		t.Errorf("found %+v", c.found)
	}
}

// Whatever single bit of the file flips: the journal does not open, or says what is wrong, or nothing that it gives has
// changed. The process lives.
func TestNoFlippedBitAnywhereIsReturnedAsGood(t *testing.T) {
	path := furnished(t)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := everything(t, path)
	m, err := checkPages(path, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	flips := 800
	if testing.Short() {
		flips = 120
	}
	draw := rand.New(rand.NewPCG(1, 2)) // the same ones in each run
	var lengths []int                   // where in the file a leaf says how long its keys and values are
	for page, use := range m.use {
		p := file[page*int(m.meta.pageSize):]
		if leaf := uint16(2); use != useFree && use != useOverflow && binary.LittleEndian.Uint16(p[8:]) == leaf {
			for i := range 16 * int(binary.LittleEndian.Uint16(p[10:])) {
				if i%16 >= 8 {
					lengths = append(lengths, page*int(m.meta.pageSize)+16+i)
				}
			}
		}
	}
	other := filepath.Join(t.TempDir(), "flipped.db")
	refused, found := 0, 0
	for n := 0; n < flips; {
		at := draw.IntN(len(file))
		if n%2 == 0 { // such a row is not where its key says
			at = lengths[draw.IntN(len(lengths))]
		}
		if page := at / int(m.meta.pageSize); page >= len(m.use) || m.use[page] == useFree {
			continue
		}
		n++
		bit := byte(1) << draw.IntN(8)
		file[at] ^= bit
		if err := os.WriteFile(other, file, 0o600); err != nil {
			t.Fatal(err)
		}
		file[at] ^= bit
		j, err := OpenReadOnly(other)
		var refusal *FileError
		var damage *journal.DamageError
		if err != nil {
			if !errors.As(err, &refusal) && !errors.As(err, &damage) {
				t.Fatalf("byte %d, bit %#x: %v", at, bit, err)
			}
			refused++
			continue
		}
		got := readAll(j)
		if len(verify(t, j)) > 0 {
			found++
		}
		j.Close()
		for what, v := range got {
			if want[what] != v && !strings.HasPrefix(v, "error: ") {
				t.Fatalf("byte %d, bit %#x: %s is %q, was %q", at, bit, what, v, want[what])
			}
		}
	}
	t.Logf("%d bits: %d refused to open, %d found by verify", flips, refused, found)
}

func everything(t *testing.T, path string) map[string]string {
	t.Helper()
	j, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	all := readAll(j)
	for what, v := range all {
		if strings.HasPrefix(v, "error: ") {
			t.Fatalf("%s: %s", what, v)
		}
	}
	return all
}

// readAll gives what point reads give, in words; an error begins with "error: ".
func readAll(j *Journal) map[string]string {
	all := map[string]string{}
	say := func(what string, v any, err error) {
		if err != nil {
			all[what] = "error: " + err.Error()
			return
		}
		all[what] = fmt.Sprintf("%+v", v)
	}
	for seq := uint64(1); seq <= 50; seq++ {
		r, err := j.Get(seq)
		if errors.Is(err, journal.ErrNotFound) {
			say(fmt.Sprint("event ", seq), "not there", nil)
			continue
		}
		say(fmt.Sprint("event ", seq), r, err)
	}
	for run := uint64(1); run <= 50; run++ {
		h, ok, err := j.Head(run)
		say(fmt.Sprint("head ", run), fmt.Sprint(h, ok), err)
	}
	for _, id := range []string{"a", "b", "gone", "spoilt", "long", "none"} {
		run, until, ok, err := j.Lookup(id)
		say("id "+id, fmt.Sprint(run, until, ok), err)
	}
	for _, key := range []string{"account/1", "account/2", "account/3"} {
		o, ok, err := j.Object(key)
		say("object "+key, fmt.Sprint(o, ok), err)
	}
	for _, d := range []string{digestOf("one"), digestOf("two")} {
		b, err := j.DefinitionBody(d)
		if errors.Is(err, journal.ErrNotFound) {
			say("body "+d, "not there", nil)
			continue
		}
		say("body "+d, b, err)
	}
	for _, key := range []string{"a/1", "a/2"} {
		v, ok, err := j.Row(key)
		say("row "+key, fmt.Sprint(v, ok), err)
	}
	return all
}

func TestVerifyBesideAnEngineAtWorkFindsNothing(t *testing.T) {
	j := fresh(t)
	s := tell(t, j)
	s.start("first")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		var ended []uint64
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			id := fmt.Sprint("run-", i)
			run := s.start(id)
			s.step(run, "a step")
			put(t, j, &journal.Batch{Snapshots: []journal.Snapshot{{Run: run, Seq: s.last[run].Seq, State: []byte("state")}}})
			if i%3 == 0 {
				continue
			}
			s.end(run, id, uint8(i%3))
			if ended = append(ended, run); len(ended) > 20 {
				put(t, j, &journal.Batch{Purges: []journal.Purge{{Run: ended[0], Until: 5}}})
				ended = ended[1:]
			}
		}
	}()
	until := uint64(1500)
	if testing.Short() {
		until = 400
	}
	for j.NextSeq() < until {
		for _, d := range verify(t, j) {
			t.Errorf("damage: %+v", d)
		}
	}
	close(stop)
	<-stopped
	clean(t, j)
}
