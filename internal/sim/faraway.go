package sim

import (
	"errors"

	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/worker"
)

// What a journal on the other side of a connection does: it answers reads late and out of order, the connection breaks in the middle
// of a commit, and another engine takes it over.

// reading is a question that is under way. Its rows are those of the moment in which the journal looked.
type reading struct {
	want *shard.Want
	rows *shard.Rows // nil: it has not looked yet
	slow int         // how many times it is passed over
}

// inquire sends what the shard wants to know on its way, or answers it at once.
func (w *World) inquire() {
	for want := w.shard.Wanted(); want != nil; want = w.shard.Wanted() {
		if w.calm || w.chance(50) {
			w.shard.Give(w.disk.Reader().Read(want))
			continue
		}
		q := &reading{want: want}
		if w.chance(20) {
			q.slow = w.rng.IntN(60)
		}
		w.reads = append(w.reads, q)
	}
}

// readSome lets one question come a step further.
func (w *World) readSome() {
	if len(w.reads) == 0 {
		return
	}
	i := w.rng.IntN(len(w.reads))
	q := w.reads[i]
	if q.slow > 0 && q.rows != nil && !w.calm {
		q.slow--
		return
	}
	if q.rows == nil {
		q.rows = w.disk.Reader().Read(q.want)
		return
	}
	w.op("a read is answered late")
	if i > 0 {
		w.op("a read is answered before an earlier one")
	}
	if w.shard.Held() > 0 {
		w.op("an input waits for a read")
	}
	w.reads = append(w.reads[:i:i], w.reads[i+1:]...)
	stale := w.shard.Stats.Stale
	w.shard.Give(q.rows)
	if w.shard.Stats.Stale > stale {
		w.op("an answer is too old")
	}
}

// readAll answers every question.
func (w *World) readAll() {
	for len(w.reads) > 0 {
		w.readSome()
	}
}

// doubt is commits of which it is not known whether they were recorded. The journal finds that out by itself: for the shard they take
// long, and nothing behind them is committed meanwhile.
type doubt struct{ recorded []*shard.Batch }

// loseConnection breaks off a commit.
func (w *World) loseConnection(n int) {
	w.op("the connection is lost in a commit")
	w.doubt = &doubt{}
	if w.chance(50) {
		w.doubt.recorded = w.disk.Commit(n)
		for _, b := range w.doubt.recorded {
			w.judge.durable(b.Records)
		}
	}
}

// connect finds out what became of the commit. If it was not recorded it stands in the queue still.
func (w *World) connect() {
	if w.doubt == nil {
		return
	}
	recorded := w.doubt.recorded
	w.doubt = nil
	if len(recorded) == 0 {
		w.op("connected again: it was not recorded")
		return
	}
	w.op("connected again: it was recorded")
	for _, b := range recorded {
		w.shard.Committed(b, nil, w.now())
		w.check()
	}
	w.judge.compare()
}

// fence lets another engine take the journal over while this one works. Nothing that this one appends is recorded from then on, and
// when it hears of that it stops, cancels what runs in its process, and hands out no batch any more.
func (w *World) fence() {
	w.op("another engine takes the journal over")
	w.doubt = nil
	lost := w.disk.Lose()
	if b := w.shard.Turn(w.now(), w.inbox); b != nil { // it does not know yet
		lost = append(lost, b)
	}
	w.inbox = nil
	for _, b := range lost {
		w.shard.Committed(b, journal.ErrFenced, w.now())
	}
	if len(lost) == 0 { // it has nothing to write: its journal tells it
		w.shard.Stop(journal.ErrFenced)
	}
	if err := w.shard.Broken(); !errors.Is(err, journal.ErrFenced) {
		w.fail("the engine was fenced, and goes on: %v", err)
	}
	if b := w.shard.Turn(w.now(), nil); b != nil {
		w.fail("the engine was fenced, and writes %d records", len(b.Records))
	}
	for _, s := range w.local {
		if s.Slot.State == worker.Leased && !w.cancelled[s.Slot] {
			w.fail("the engine was fenced, and lets its handler for %s go on", s.ID)
		}
	}
	w.restart()
}
