package queue_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/agnt5/agnt5d/internal/queue"
	"github.com/agnt5/agnt5d/journal"
)

// store is a committer that waits for leave before each commit, and answers as it is told.
type store struct {
	q      *queue.Queue
	began  chan int // how many batches the group has
	answer chan func() error
	probed error
}

func (s *store) Check(b *journal.Batch, next uint64) error { return b.Check(next) }
func (s *store) Alone(b *journal.Batch) bool               { return b.Sweep != 0 }
func (s *store) Probe() error                              { return s.probed }
func (s *store) Commit(group []queue.Item) error {
	s.began <- len(group)
	return (<-s.answer)()
}

func one(seq uint64) *journal.Batch {
	return &journal.Batch{Records: []journal.Record{{Seq: seq, Count: 1, Run: 1, N: seq, Body: []byte("b")}}}
}

// TestTheWayOfABatch: what comes during a commit is committed together, next; everybody is answered in the order of the calls; what is
// wrong, full or broken is refused in its turn.
func TestTheWayOfABatch(t *testing.T) {
	s := &store{began: make(chan int), answer: make(chan func() error)}
	s.q = queue.New(s, 1<<20)
	var got []string
	add := func(name string, b *journal.Batch) {
		s.q.Append(b, func(err error) {
			switch {
			case err == nil:
				name += " ok"
			case errors.Is(err, journal.ErrFull):
				name += " full"
			case errors.Is(err, journal.ErrBroken):
				name += " broken"
			case errors.Is(err, journal.ErrClosed):
				name += " closed"
			default:
				name += " wrong"
			}
			got = append(got, name)
		})
	}
	want := func(names ...string) {
		t.Helper()
		if err := s.q.Between(func() {}); err != nil && !errors.Is(err, journal.ErrClosed) { // all before it has been answered
			t.Fatal(err)
		}
		if !slices.Equal(got, names) {
			t.Fatalf("answered %q, want %q", got, names)
		}
		got = nil
	}
	commit := func(n int, answer func() error) {
		t.Helper()
		if k := <-s.began; k != n {
			t.Fatalf("a group of %d, want %d", k, n)
		}
		s.answer <- answer
	}
	fine := func() error { return nil }
	full := func() error { return s.q.Fill(journal.ErrFull, 4) }

	add("early", one(1))
	if want := []string{"early closed"}; !slices.Equal(got, want) {
		t.Fatalf("before the start: %q", got)
	}
	got = nil
	s.q.Start(1, nil)

	add("a", one(1))
	if k := <-s.began; k != 1 {
		t.Fatalf("a group of %d", k)
	}
	add("b", one(2))
	add("not the next", one(7))
	add("c", one(3))
	add("alone", &journal.Batch{Sweep: 1})
	s.answer <- fine
	commit(3, fine) // b, the wrong one, c
	commit(1, fine)
	want("a ok", "b ok", "not the next wrong", "c ok", "alone ok")

	add("d", one(4))
	if k := <-s.began; k != 1 {
		t.Fatalf("a group of %d", k)
	}
	add("e", one(5))
	s.answer <- full
	want("d full", "e full")
	add("f", one(4))
	want("f full")
	s.probed = journal.ErrFull
	if err := s.q.Probe(); !errors.Is(err, journal.ErrFull) {
		t.Fatal(err)
	}
	add("g", one(4))
	want("g full")
	s.probed = nil
	if err := s.q.Probe(); err != nil {
		t.Fatal(err)
	}
	add("h", one(4))
	commit(1, fine)
	want("h ok")

	add("i", one(5))
	commit(1, func() error { return s.q.Fail(journal.ErrBroken) })
	add("j", one(6))
	want("i broken", "j broken")
	<-s.q.Broken()
	if err := s.q.Fail(journal.ErrFull); !errors.Is(err, journal.ErrBroken) { // the first reason stays
		t.Fatal(err)
	}
	if err := s.q.Probe(); !errors.Is(err, journal.ErrBroken) {
		t.Fatal(err)
	}
	if !s.q.Close() || s.q.Close() {
		t.Fatal("only the first Close is the first")
	}
	add("k", one(6))
	want("k closed")
}

// TestCloseCommitsWhatCame: everything that came before Close is committed, and last comes behind it.
func TestCloseCommitsWhatCame(t *testing.T) {
	s := &store{began: make(chan int), answer: make(chan func() error)}
	s.q = queue.New(s, 1) // each batch for itself
	var got []string
	s.q.Start(1, func() { got = append(got, "last") })
	for i := range uint64(3) {
		s.q.Append(one(i+1), func(err error) { got = append(got, "done") })
	}
	closed := make(chan struct{})
	go func() { s.q.Close(); close(closed) }()
	for range 3 {
		if k := <-s.began; k != 1 {
			t.Fatalf("a group of %d", k)
		}
		s.answer <- func() error { return nil }
	}
	<-closed
	if want := []string{"done", "done", "done", "last"}; !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
}
