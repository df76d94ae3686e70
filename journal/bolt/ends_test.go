package bolt

import (
	"fmt"
	"slices"
	"testing"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// filled is a journal of some runs, two thirds of which have ended, and its path.
func filled(t *testing.T, runs int) string {
	t.Helper()
	path := t.TempDir() + "/j.db"
	j := open(t, path)
	b := &journal.Batch{}
	for i := range runs {
		run := uint64(i + 1)
		b.Records = append(b.Records, journal.Record{Seq: run, Count: 1, Run: run, N: 1, At: int64(1000 + i)})
		h := journal.Head{Run: run, ID: fmt.Sprintf("r-%05d", i), Workflow: []string{"a", "b"}[i%2], State: uint8(i % 3), LastSeq: run, Events: 1, CreatedAt: int64(1000 + i)}
		if h.State != journal.OpenState {
			h.EndedAt = int64(100_000 + i*7919%runs)
		}
		b.Heads = append(b.Heads, h)
		if len(b.Heads) < 1000 && i < runs-1 { // bbolt splits a page at the commit alone: one large commit takes a minute
			continue
		}
		if err := try(j, b); err != nil {
			t.Fatal(err)
		}
		b = &journal.Batch{}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func byEnd(t *testing.T, j *Journal) []journal.Head {
	t.Helper()
	p, err := j.Heads(journal.HeadFilter{ByEnd: true, Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return p.Heads
}

func endRows(t *testing.T, j *Journal) (keys []string) {
	t.Helper()
	err := j.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(endBucket.name).ForEach(func(k, _ []byte) error {
			keys = append(keys, string(k))
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// A file of an older release has no index by end, or one that is behind: runs ended, were reopened and deleted meanwhile. It is
// made anew when the file is opened; until then a list by end reads every head.
func TestTheIndexByEndIsMadeWhereItIsMissingOrBehind(t *testing.T) {
	runs := 45_000
	if testing.Short() { // under the race detector
		runs = 3000
	}
	for name, change := range map[string]func(tx *bbolt.Tx) error{
		"missing": func(tx *bbolt.Tx) error { return tx.DeleteBucket(endBucket.name) },
		"behind": func(tx *bbolt.Tx) error {
			b := tx.Bucket(endBucket.name)
			k, _ := b.Cursor().Last()
			w := writer{tx: tx}
			return errorsOf(b.Delete(k), w.row(endBucket, endKey([]byte{endOfAll}, journal.HeadMark{Ended: 7, Run: 1}), nil), w.row(metaBucket, timesKey, (&times{next: 1}).append(nil)))
		},
		"without a word of how far": func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket.name).Delete(timesKey) },
	} {
		path := filled(t, runs)
		j := open(t, path)
		want, keys := byEnd(t, j), endRows(t, j)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		edit(t, path, change)
		old, err := OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := byEnd(t, old); !slices.EqualFunc(got, want, sameRun) {
			t.Errorf("%s: read-only: %d runs, want %d", name, len(got), len(want))
		}
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
		j = open(t, path)
		if got := byEnd(t, j); !slices.EqualFunc(got, want, sameRun) || !slices.Equal(endRows(t, j), keys) {
			t.Errorf("%s: %d runs, want %d; %d rows, want %d", name, len(got), len(want), len(endRows(t, j)), len(keys))
		}
		if v, err := j.Verify(t.Context(), func(d journal.Damage) { t.Errorf("%s: %+v", name, d) }); err != nil || v.Runs != uint64(runs) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

// Runs that end get their rows together: a commit need not touch the pages of the index. Until then they stand in lists all the
// same, before and after the file is opened anew, and can be reopened and deleted.
func TestRunsThatEndedLatelyAreListedByEndBeforeTheyHaveRows(t *testing.T) {
	path := t.TempDir() + "/j.db"
	j := open(t, path)
	head := func(run uint64, state uint8, ended int64) journal.Head {
		return journal.Head{Run: run, ID: fmt.Sprint("r", run), Workflow: []string{"a", "b"}[run%2], State: state, LastSeq: run, Events: 1, CreatedAt: 1, EndedAt: ended}
	}
	const runs = 150
	want, rows := map[uint64]int64{}, map[int]bool{}
	for i := range runs {
		run := uint64(i + 1)
		ended := int64(1000 + i*67%runs)
		want[run] = ended
		if err := try(j, &journal.Batch{Records: []journal.Record{{Seq: run, Count: 1, Run: run, N: 1, At: 1}}, Heads: []journal.Head{head(run, uint8(1+i%2), ended)}}); err != nil {
			t.Fatal(err)
		}
		rows[len(endRows(t, j))] = true
	}
	if len(rows) != 3 { // none, those of 64 runs, and those of 128
		t.Errorf("the index had %d sizes in %d commits", len(rows), runs)
	}
	check := func(when string) {
		t.Helper()
		var got []journal.Head
		f := journal.HeadFilter{ByEnd: true, Limit: 7}
		for more := true; more; more = f.After != (journal.HeadMark{}) {
			p, err := j.Heads(f)
			if err != nil {
				t.Fatal(err)
			}
			got, f.After = append(got, p.Heads...), p.Next
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d runs, want %d", when, len(got), len(want))
		}
		for i, h := range got {
			if want[h.Run] != h.EndedAt || i > 0 && !f.Mark(&got[i-1]).Before(f.Mark(&h)) {
				t.Errorf("%s: run %d that ended at %d in place %d", when, h.Run, h.EndedAt, i)
			}
		}
		for _, of := range []journal.HeadFilter{{ByEnd: true, Workflow: "a", Limit: runs}, {ByEnd: true, States: []uint8{2}, Limit: runs}} {
			p, err := j.Heads(of)
			n := 0
			for _, h := range got {
				if of.Match(&h) {
					n++
				}
			}
			if err != nil || len(p.Heads) != n || n == 0 {
				t.Errorf("%s: %+v gives %d runs, want %d; %v", when, of, len(p.Heads), n, err)
			}
		}
		if _, err := j.Verify(t.Context(), func(d journal.Damage) { t.Errorf("%s: %+v", when, d) }); err != nil {
			t.Error(err)
		}
	}
	check("at first")
	again := func() {
		t.Helper()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = open(t, path)
	}
	again()
	check("opened anew")
	for _, run := range []uint64{2, 150} { // one with rows, and one without
		if err := try(j, &journal.Batch{Heads: []journal.Head{head(run, journal.OpenState, 0)}, Purges: []journal.Purge{{Run: run - 1}}}); err != nil {
			t.Fatal(err)
		}
		delete(want, run)
		delete(want, run-1)
	}
	check("two reopened, and two deleted")
	again()
	check("opened once more")
	if err := try(j, &journal.Batch{Heads: []journal.Head{head(2, 2, 5000), head(150, 1, 5001)}}); err != nil {
		t.Fatal(err)
	}
	want[2], want[150] = 5000, 5001
	check("ended for good")
}

func sameRun(a, b journal.Head) bool { return a.Run == b.Run }

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A page of a list costs what it shows, or what it may look at: not what the journal holds.
func TestAListLooksAtFewRows(t *testing.T) {
	if testing.Short() { // under the race detector
		t.Skip("45,000 runs, one goroutine")
	}
	j := open(t, filled(t, 45_000))
	nobody := func(*journal.Head) bool { return false }
	for _, c := range []struct {
		f    journal.HeadFilter
		most int
	}{
		{journal.HeadFilter{Limit: 10}, 11},
		{journal.HeadFilter{Limit: 10, Until: 1100}, 11},
		{journal.HeadFilter{Limit: 10, Until: 900}, 0},
		{journal.HeadFilter{Limit: 10, Since: 45_990}, 11},
		{journal.HeadFilter{Limit: 10, Since: 46_990}, 1},
		{journal.HeadFilter{Limit: 10, Workflow: "a"}, 11},
		{journal.HeadFilter{Limit: 10, Workflow: "c"}, 0},
		{journal.HeadFilter{Limit: 10, States: []uint8{2}}, 11},
		{journal.HeadFilter{Limit: 10, States: []uint8{0, 2}}, 11},
		{journal.HeadFilter{Limit: 10, ByEnd: true}, 11},
		{journal.HeadFilter{Limit: 10, ByEnd: true, EndedUntil: 100_100}, 11},
		{journal.HeadFilter{Limit: 10, ByEnd: true, EndedSince: 144_995}, 6},
		{journal.HeadFilter{Limit: 10, ByEnd: true, States: []uint8{2}}, 11},
		{journal.HeadFilter{Limit: 10, ByEnd: true, Workflow: "b"}, 11},
		{journal.HeadFilter{Limit: 10, ByEnd: true, Workflow: "b", EndedUntil: 90_000}, 0},
		{journal.HeadFilter{Limit: 10, Keep: nobody, Look: 700}, 700},
		{journal.HeadFilter{Limit: 10, ByEnd: true, Keep: nobody, Look: 2500}, 2500},
		{journal.HeadFilter{Limit: 10, IDPrefix: "r-0", Look: 50, Keep: nobody}, 50},
	} {
		looked := 0
		err := j.view(func(tx *bbolt.Tx) error {
			l := lister{f: c.f, limit: c.f.Limit + 1}
			if l.f.Look == 0 {
				l.f.Look = 1 << 30
			}
			for more := true; more; {
				var err error
				if more, err = l.some(tx); err != nil {
					return err
				}
			}
			looked = l.looked
			return nil
		})
		if err != nil || looked > c.most {
			t.Errorf("%+v: %d rows, want at most %d; %v", c.f, looked, c.most, err)
		}
	}
}
