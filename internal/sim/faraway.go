package sim

import (
	"errors"

	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
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
func (n *node) inquire() {
	for want := n.shard.Wanted(); want != nil; want = n.shard.Wanted() {
		if n.w.calm || n.w.chance(50) {
			n.shard.Give(n.disk.Reader().Read(want))
			continue
		}
		q := &reading{want: want}
		if n.w.chance(20) {
			q.slow = n.w.rng.IntN(60)
		}
		n.reads = append(n.reads, q)
	}
}

// readSome lets one question come a step further.
func (n *node) readSome() {
	if len(n.reads) == 0 {
		return
	}
	i := n.w.rng.IntN(len(n.reads))
	q := n.reads[i]
	if q.slow > 0 && q.rows != nil && !n.w.calm {
		q.slow--
		return
	}
	if q.rows == nil {
		q.rows = n.disk.Reader().Read(q.want)
		return
	}
	n.w.op("a read is answered late")
	if i > 0 {
		n.w.op("a read is answered before an earlier one")
	}
	if n.shard.Held() > 0 {
		n.w.op("an input waits for a read")
	}
	n.reads = append(n.reads[:i:i], n.reads[i+1:]...)
	stale := n.shard.Stats.Stale
	n.shard.Give(q.rows)
	if n.shard.Stats.Stale > stale {
		n.w.op("an answer is too old")
	}
}

// readAll answers every question.
func (n *node) readAll() {
	for len(n.reads) > 0 {
		n.readSome()
	}
}

// doubt is commits of which it is not known whether they were recorded. The journal finds that out by itself: for the shard they take
// long, and nothing behind them is committed meanwhile.
type doubt struct{ recorded []*shard.Batch }

// loseConnection breaks off a commit.
func (n *node) loseConnection(some int) {
	n.w.op("the connection is lost in a commit")
	n.doubt = &doubt{}
	if n.w.chance(50) {
		n.doubt.recorded = n.disk.Commit(some)
		for _, b := range n.doubt.recorded {
			n.w.judge.durable(b.Records)
			n.w.judge.scheduled(b.Rows, true)
		}
	}
}

// connect finds out what became of the commit. If it was not recorded it stands in the queue still.
func (n *node) connect() {
	if n.doubt == nil {
		return
	}
	recorded := n.doubt.recorded
	n.doubt = nil
	if len(recorded) == 0 {
		n.w.op("connected again: it was not recorded")
		return
	}
	n.w.op("connected again: it was recorded")
	for _, b := range recorded {
		n.shard.Committed(b, nil, n.w.now())
		n.check()
	}
	n.w.dispatch()
	n.w.judge.compare(n)
}

// fence lets another engine take the journal over while this one works. Nothing that this one appends is recorded from then on, and
// when it hears of that it stops, cancels what runs in its process, and hands out no batch any more.
func (w *World) fence() {
	n := w.some()
	w.op("another engine takes the journal over")
	n.doubt = nil
	lost := n.disk.Lose()
	if b := n.shard.Turn(w.now(), n.inbox); b != nil { // it does not know yet
		lost = append(lost, b)
	}
	n.inbox = nil
	for _, b := range lost {
		n.shard.Committed(b, journal.ErrFenced, w.now())
	}
	if len(lost) == 0 { // it has nothing to write: its journal tells it
		n.shard.Stop(journal.ErrFenced)
	}
	if err := n.shard.Broken(); !errors.Is(err, journal.ErrFenced) {
		w.fail("the engine was fenced, and goes on: %v", err)
	}
	if b := n.shard.Turn(w.now(), nil); b != nil {
		w.fail("the engine was fenced, and writes %d records", len(b.Records))
	}
	for _, s := range w.local {
		if w.at(s.Slot.Run) == n && s.Slot.State == leases.Leased && !w.cancelled[s.Slot] {
			w.fail("the engine was fenced, and lets its handler for %s go on", s.ID)
		}
	}
	for _, o := range w.nodes {
		if o != n {
			o.crash()
		}
	}
	w.restart()
}
