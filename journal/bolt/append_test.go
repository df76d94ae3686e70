package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/journal"
)

func open(t testing.TB, path string) *Journal {
	t.Helper()
	j, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func fresh(t testing.TB) *Journal {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "agnt5.db"))
}

func put(t testing.TB, j *Journal, b *journal.Batch) {
	t.Helper()
	if err := try(j, b); err != nil {
		t.Fatal(err)
	}
}

func try(j *Journal, b *journal.Batch) error {
	got := make(chan error, 1)
	j.Append(b, func(err error) { got <- err })
	return <-got
}

// story writes runs whose records take turns in the log.
type story struct {
	t    testing.TB
	j    *Journal
	next uint64
	last map[uint64]*journal.Record
}

func tell(t testing.TB, j *Journal) *story {
	return &story{t: t, j: j, next: j.NextSeq(), last: map[uint64]*journal.Record{}}
}

// start begins a run with an id, and gives its number.
func (s *story) start(id string) uint64 {
	s.t.Helper()
	run := s.next
	r := s.record(run, 2, "start "+id)
	put(s.t, s.j, &journal.Batch{Records: []journal.Record{r}, Heads: []journal.Head{{Run: run, ID: id, Workflow: "order", Version: 1, LastSeq: run, Events: 2, CreatedAt: r.At}}})
	return run
}

// record makes the run's next record.
func (s *story) record(run uint64, count uint32, body string) journal.Record {
	r := journal.Record{Seq: s.next, Count: count, Run: run, N: 1, At: 1_790_000_000_000 + int64(s.next), Body: []byte(body)}
	if before := s.last[run]; before != nil {
		r.Prev, r.N = before.Seq, before.Last()+1
	}
	s.next = r.End()
	s.last[run] = &r
	return r
}

// step writes one more record of a run.
func (s *story) step(run uint64, body string) journal.Record {
	s.t.Helper()
	r := s.record(run, 1, body)
	put(s.t, s.j, &journal.Batch{Records: []journal.Record{r}})
	return r
}

// end ends a run.
func (s *story) end(run uint64, id string, state uint8) {
	s.t.Helper()
	r := s.record(run, 1, "end "+id)
	put(s.t, s.j, &journal.Batch{Records: []journal.Record{r}, Snapshots: []journal.Snapshot{{Run: run}}, Heads: []journal.Head{{Run: run, ID: id, Workflow: "order",
		Version: 1, State: state, LastSeq: r.Seq, Events: r.Last(), CreatedAt: 1_790_000_000_000 + int64(run), EndedAt: r.At, Digest: []byte("digest of " + id)}}})
}

func same(a, b journal.Record) bool {
	return a.Seq == b.Seq && a.Count == b.Count && a.Run == b.Run && a.Prev == b.Prev && a.N == b.N && a.At == b.At && bytes.Equal(a.Body, b.Body)
}

func TestWhatWasAppendedIsReadAgainAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "agnt5.db")
	j := open(t, path)
	s := tell(t, j)
	a, b := s.start("a"), s.start("b")
	var want []journal.Record
	for i := range 40 {
		want = append(want, s.step([]uint64{a, b}[i%2], fmt.Sprint("step ", i)))
	}
	secret := bytes.Clone(j.Secret())
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, path)
	if j.NextSeq() != s.next || !bytes.Equal(j.Secret(), secret) || len(secret) != 32 {
		t.Fatalf("next %d, want %d", j.NextSeq(), s.next)
	}
	for _, r := range want {
		got, err := j.Get(r.Seq)
		if err != nil || !same(got, r) {
			t.Fatalf("got %+v, %v, want %+v", got, err, r)
		}
	}
	if got, err := j.Get(a + 1); err != nil || got.Seq != a {
		t.Fatalf("the second event of record %d: %+v, %v", a, got, err)
	}
	if _, err := j.Get(s.next); !errors.Is(err, journal.ErrNotFound) {
		t.Fatalf("an event that is not there yet: %v", err)
	}
}

func TestBatchesThatPileUpAreCommittedTogether(t *testing.T) {
	j := fresh(t)
	s := tell(t, j)
	run := s.start("a")
	before := j.Stats()
	hold := make(chan struct{})
	var order []int
	var all sync.WaitGroup
	all.Add(101)
	j.Append(&journal.Batch{Records: []journal.Record{s.record(run, 1, "first")}}, func(error) { <-hold; all.Done() })
	for i := range 100 {
		j.Append(&journal.Batch{Records: []journal.Record{s.record(run, 1, "x")}}, func(err error) {
			if err != nil {
				t.Error(err)
			}
			order = append(order, i)
			all.Done()
		})
	}
	close(hold)
	all.Wait()
	after := j.Stats()
	if n := after.Commits - before.Commits; n > 3 || after.Batches-before.Batches != 101 {
		t.Errorf("%d commits for %d batches", n, after.Batches-before.Batches)
	}
	if !slices.IsSorted(order) || len(order) != 100 {
		t.Errorf("answered in the order %v", order)
	}
}

func TestABatchThatDoesNotGoOnWhereTheLogEndsIsRefusedAlone(t *testing.T) {
	j := fresh(t)
	s := tell(t, j)
	run := s.start("a")
	err := try(j, &journal.Batch{Records: []journal.Record{{Seq: s.next + 1, Count: 1, Run: run, Prev: run, N: 3}}})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("begins at %d, the log goes on at %d", s.next+1, s.next)) {
		t.Fatalf("got %v", err)
	}
	s.step(run, "goes on")
}

func TestAClosedJournalRefuses(t *testing.T) {
	j := fresh(t)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := try(j, &journal.Batch{}); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if _, err := j.Get(1); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("get: %v", err)
	}
	if err := j.Probe(); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("probe: %v", err)
	}
}
