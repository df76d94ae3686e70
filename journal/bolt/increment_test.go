package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/journal"
)

// recorder notes what records touch that they do not say.
type recorder map[uint64]journal.Touched

func (r recorder) batch(b *journal.Batch, done map[uint64]string) {
	var t journal.Touched
	for _, p := range b.Purges {
		r[p.Entry] = journal.Touched{IDs: append(r[p.Entry].IDs, done[p.Run])}
	}
	for _, d := range b.Definitions {
		t.Bodies = append(t.Bodies, d.Digest)
	}
	for _, o := range b.Objects {
		t.Objects = append(t.Objects, o.Key)
	}
	for _, h := range b.Heads {
		done[h.Run] = h.ID
	}
	r[b.Records[len(b.Records)-1].Seq] = t
}

func (r recorder) touched(rec *journal.Record) (journal.Touched, error) { return r[rec.Seq], nil }

// saved is a journal at work, with a whole copy and an increment of each of some moments.
type saved struct {
	wholes, increments []string
	upTo               []uint64
}

func saveAtWork(t *testing.T, seed uint64, moments int) saved {
	t.Helper()
	dir := t.TempDir()
	j := open(t, filepath.Join(dir, "at work.db"))
	w := &busyWork{rng: rand.New(rand.NewPCG(seed, 2)), next: 1}
	rec, ids := recorder{}, map[uint64]string{}
	var s saved
	for n := range moments {
		for range 40 + w.rng.IntN(120) {
			b := w.batch()
			rec.batch(b, ids)
			put(t, j, b)
		}
		whole := filepath.Join(dir, fmt.Sprint("whole ", n))
		write(t, whole, func(to io.Writer) error { _, err := j.Backup(to); return err })
		if n > 0 {
			incr := filepath.Join(dir, fmt.Sprint("increment ", n))
			write(t, incr, func(to io.Writer) error { _, err := j.Increment(to, s.upTo[n-1], 5, rec.touched); return err })
			s.increments = append(s.increments, incr)
		}
		s.wholes, s.upTo = append(s.wholes, whole), append(s.upTo, j.NextSeq()-1)
	}
	return s
}

func write(t *testing.T, path string, fn func(io.Writer) error) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(fn(f), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func restore(t *testing.T, to, whole string, increments ...string) error {
	t.Helper()
	j, err := OpenReadOnly(whole)
	if err != nil {
		return err
	}
	defer j.Close()
	o := RestoreOptions{Body: []byte("restored"), At: 7}
	for _, path := range increments {
		in, err := OpenIncrement(path, nil)
		if err != nil {
			return err
		}
		o.Increments = append(o.Increments, in)
	}
	_, err = Restore(t.Context(), j, to, o)
	return err
}

// A backup and the increments after it make the journal that a whole backup of the last moment makes.
func TestABackupAndItsIncrementsMakeTheJournal(t *testing.T) {
	for seed := range uint64(max(3, kills()/10)) {
		s := saveAtWork(t, seed, 4)
		dir := t.TempDir()
		got, want := filepath.Join(dir, "got.db"), filepath.Join(dir, "want.db")
		last := len(s.increments)
		if err := errors.Join(restore(t, got, s.wholes[0], s.increments...), restore(t, want, s.wholes[last])); err != nil {
			t.Fatal(seed, err)
		}
		compare(t, got, want)
		other := filepath.Join(dir, "other.db") // what is in the copy already does no harm
		if err := restore(t, other, s.wholes[1], s.increments...); err != nil {
			t.Fatal(seed, err)
		}
		compare(t, other, want)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// compare compares two restored journals: all rows but those that each keeps in its own way, and what these are for.
func compare(t *testing.T, gotPath, wantPath string) {
	t.Helper()
	got, want := contents(t, gotPath), contents(t, wantPath)
	own := func(k string) bool {
		return strings.HasPrefix(k, "meta/") || strings.HasPrefix(k, "byend/") || strings.HasPrefix(k, "expiry/")
	}
	for k := range want {
		if !own(k) && got[k] != want[k] {
			t.Errorf("%q is %q, want %q", k, got[k], want[k])
		}
	}
	for k, v := range got {
		if id, is := strings.CutPrefix(k, "ids/"); is && want[k] == "" {
			_, until, err := decodeID([]byte(v[4:]))
			if err == nil && got["expiry/"+string(expiryRow(until, expiryOfID, []byte(id)))] != "" {
				continue // it was over, and will be removed
			}
		}
		if _, ok := want[k]; !ok && !own(k) {
			t.Errorf("%q is there", k)
		}
	}
	g, w := open(t, gotPath), open(t, wantPath)
	defer g.Close()
	defer w.Close()
	clean(t, g)
	if g.tail.next != w.tail.next || g.tail.records != w.tail.records || g.tail.last != w.tail.last || g.clock.slack != w.clock.slack {
		t.Errorf("tail %+v, want %+v; %+v, %+v", g.tail, w.tail, g.clock, w.clock)
	}
	a, b := byEnd(t, g), byEnd(t, w)
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("by end: %v, want %v", a, b)
	}
	for k := range want { // what is over there is over here
		if strings.HasPrefix(k, "expiry/") && got[k] == "" && want[k] != "" {
			t.Errorf("%q is not over some day", k)
		}
	}
}

// An increment that is damaged, cut short, of another journal, or not the next one is refused, and nothing is made.
func TestOnlyTheNextIncrementIsPutToABackup(t *testing.T) {
	s, foreign := saveAtWork(t, 1, 4), saveAtWork(t, 2, 2)
	whole, incr := s.wholes[0], s.increments
	dir := t.TempDir()
	body, err := os.ReadFile(incr[0])
	if err != nil {
		t.Fatal(err)
	}
	spoilt := func(name string, change func([]byte) []byte) string {
		path := filepath.Join(dir, name)
		write(t, path, func(to io.Writer) error { _, err := to.Write(change(slices.Clone(body))); return err })
		return path
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	flip := func(at int) func([]byte) []byte { return func(b []byte) []byte { b[at] ^= 4; return b } }
	newer := func(b []byte) []byte { b[len(incrementMagic)+3] = 9; return b }
	for _, c := range []struct {
		name  string
		files []string
		want  string
	}{
		{"the second before the first", []string{incr[1], incr[0]}, "begins after event"},
		{"one left out", []string{incr[0], incr[2]}, "what is between them is missing"},
		{"of another journal", []string{incr[0], foreign.increments[0]}, "is of another journal"},
		{"older than what is before it", []string{incr[0], incr[1], incr[0]}, "is in there already"},
		{"a whole backup", []string{s.wholes[1]}, "is a whole backup"},
		{"something else", []string{spoilt("text", func([]byte) []byte { return []byte("hello") })}, "is not an increment"},
		{"cut in its header", []string{spoilt("header", cut(40))}, "is cut short"},
		{"cut in the middle", []string{spoilt("half", cut(len(body)/2))}, "is cut short"},
		{"cut before its end", []string{spoilt("end", cut(len(body)-1))}, "is cut short"},
		{"longer", []string{spoilt("longer", func(b []byte) []byte { return append(b, 0) })}, "after its end"},
		{"a bit in the middle", []string{spoilt("bit", flip(len(body)/2))}, "is damaged"},
		{"a bit of its header", []string{spoilt("head", flip(len(incrementMagic)+40))}, "is damaged"},
		{"of a newer release", []string{spoilt("newer", newer)}, "use a newer agnt5d"},
	} {
		to := filepath.Join(dir, "made.db")
		err := restore(t, to, whole, c.files...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if left, _ := filepath.Glob(to + "*"); len(left) > 0 {
			t.Fatalf("%s: left behind: %v", c.name, left)
		}
	}
	if _, err := OpenReadOnly(incr[0]); err == nil || !strings.Contains(err.Error(), "agnt5d restore") {
		t.Errorf("opened as a journal: %v", err)
	}
	for at := 0; at < len(body); at += 1 + len(body)/97 {
		if _, err := OpenIncrement(spoilt(fmt.Sprint("flip", at), flip(at)), nil); err == nil {
			t.Errorf("a flipped bit at byte %d was not found", at)
		}
	}
}

// Two journals that went on from one copy have the same number for different events: an increment of one does not fit the other.
func TestAnIncrementOfAnotherHistoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	j := open(t, a)
	tell(t, j).start("both")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	write(t, b, func(to io.Writer) error { _, err := to.Write(first); return err })
	none := func(*journal.Record) (journal.Touched, error) { return journal.Touched{}, nil }
	var whole, incr string
	for _, path := range []string{a, b} {
		j := open(t, path)
		s := tell(t, j)
		s.start("only " + filepath.Base(path))
		since := j.NextSeq() - 1
		if path == a {
			whole = filepath.Join(dir, "whole")
			write(t, whole, func(to io.Writer) error { _, err := j.Backup(to); return err })
		}
		s.start("later")
		if path == b {
			incr = filepath.Join(dir, "increment")
			write(t, incr, func(to io.Writer) error { _, err := j.Increment(to, since, 5, none); return err })
			if _, err := j.Increment(io.Discard, j.NextSeq(), 5, none); !errors.Is(err, ErrNoEvent) {
				t.Errorf("after an event that is not there: %v", err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := restore(t, filepath.Join(dir, "made.db"), whole, incr); err == nil || !strings.Contains(err.Error(), "follows another event") {
		t.Errorf("%v", err)
	}
}

func init() { children["restore"] = childRestore }

// childRestore restores, beside a path, what stands there.
func childRestore(path string) error {
	j, err := OpenReadOnly(path + ".whole")
	if err != nil {
		return err
	}
	in, err := OpenIncrement(path+".incr", nil)
	if err != nil {
		return err
	}
	fmt.Println("begins")
	_, err = Restore(context.Background(), j, path, RestoreOptions{Increments: []*Increment{in}, Body: []byte("restored"), At: 7})
	if err == nil {
		fmt.Println("done")
	}
	return err
}

// A restore that is killed leaves nothing at the path, or a whole journal; the next one needs no clearing up.
func TestAKilledRestoreLeavesNothingOrAWholeJournal(t *testing.T) {
	s := saveAtWork(t, 3, 2)
	path := filepath.Join(t.TempDir(), "made.db")
	if err := errors.Join(os.Rename(s.wholes[0], path+".whole"), os.Rename(s.increments[0], path+".incr")); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := restore(t, path, path+".whole", path+".incr"); err != nil {
		t.Fatal(err)
	}
	took, want := time.Since(began), contents(t, path)
	made := 0
	for range kills() {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		c := start(t, "restore", path)
		c.line(t)
		time.Sleep(time.Duration(rand.Int64N(int64(2 * took)))) // the moment of the kill, not a wait for something
		c.kill()
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			continue
		}
		made++
		if got := contents(t, path); !maps.Equal(got, want) {
			t.Fatal("half of a journal is there")
		}
	}
	t.Logf("killed %d times, %d were done", kills(), made)
	_ = os.Remove(path)
	if err := restore(t, path, path+".whole", path+".incr"); err != nil {
		t.Fatal(err)
	}
	clean(t, open(t, path))
}
