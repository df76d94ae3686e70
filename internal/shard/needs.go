package shard

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/objects"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/timers"
)

// The shard never waits for the journal. What an input, or a time that has come, has to look at and memory does not have is a
// need: the shard asks for it with Wanted, Give brings the answer, and until then the input is held back, with those behind it
// that are about the same run or the same worker. All others go on.
//
//	r.Take(now, inputs)              // what do they need?
//	for w := r.Wanted(); w != nil; w = r.Wanted() {
//		r.Give(reader.Read(w))   // here, or in a goroutine, and later, and in any order
//	}
//	batch := r.Turn(now, nil)        // of what is there
//
// An answer that comes late may not be true any more. For as long as memory knows better than the journal, memory is asked first:
// an id is in its books from the start until the end is durable, or it is among the ids that are being deleted. When memory lets it
// go, whatever was read of it until then is thrown away, and asked anew if it is still needed.

// needer is an Input that may have to look at what memory does not have.
type needer interface {
	// needs asks for what is missing, and reports whether nothing is.
	needs(r *Shard) bool
}

// subject is what an input is about: a run, by its id or number, or a worker.
type subject struct {
	id     string
	worker string
	run    uint64
}

// aboutOne is an Input whose place among others about the same subject counts.
type aboutOne interface{ about() subject }

// needs is what was asked, and what came of it.
type needs struct {
	want    *Want // not taken yet
	ids     asked[string, idRow]
	runs    asked[uint64, error] // answered: why it could not be read; what could be is in memory
	heads   asked[uint64, headRow]
	objects asked[string, error]      // likewise
	graphs  asked[flow.Digest, error] // likewise
	past    asked[string, Past]       // by the id of the run of a due time
	look    uint64                    // counts the looks at what is held back
	given   bool                      // something was, since the last look
	moved   bool                      // something left memory's books since then

	dozing map[uint64][]timers.Entry // times that have come, of runs that are being read
	dozes  int                       // how many these are
	due    []timers.Entry            // times that have come, for the next turn

	behind map[subject]bool // what the inputs that are held back are about
	spare  []Input
}

// asked is questions of one kind by what they are about.
type asked[K comparable, V any] map[K]*question[V]

type question[V any] struct {
	want  *Want
	given bool // row is the answer
	stale bool // the answer will be too old
	row   V
	used  uint64 // the last look that needed it
}

func newNeeds() needs {
	return needs{ids: asked[string, idRow]{}, runs: asked[uint64, error]{}, heads: asked[uint64, headRow]{}, objects: asked[string, error]{},
		graphs: asked[flow.Digest, error]{}, past: asked[string, Past]{}, dozing: map[uint64][]timers.Entry{}, behind: map[subject]bool{}, given: true}
}

// ask says whether the answer is there, and asks for it if nobody has: fresh is true then, and the caller puts the question into
// the Want.
func (a asked[K, V]) ask(n *needs, k K) (there, fresh bool) {
	q := a[k]
	if q == nil {
		if n.want == nil {
			n.want = &Want{}
		}
		q = &question[V]{want: n.want}
		a[k], fresh = q, true
	}
	q.used = n.look
	return q.given, fresh
}

// row gives an answer that is there.
func (a asked[K, V]) row(k K) (*V, bool) {
	if q := a[k]; q != nil && q.given {
		return &q.row, true
	}
	return nil, false
}

// take gives the question to which an answer comes, if it is still good. One that is not is forgotten, to be asked anew.
func (a asked[K, V]) take(r *Shard, w *Want, k K) *question[V] {
	q := a[k]
	switch {
	case q == nil || q.want != w || q.given:
		return nil
	case q.stale:
		delete(a, k)
		r.Stats.Stale++
		return nil
	}
	q.given = true
	return q
}

// left makes what was read until now worthless.
func (a asked[K, V]) left(k K) {
	switch q := a[k]; {
	case q == nil:
	case q.given:
		delete(a, k)
	default:
		q.stale = true
	}
}

// forget drops the answers that nothing needed in the last look.
func (a asked[K, V]) forget(look uint64) {
	for k, q := range a {
		if q.given && q.used < look {
			delete(a, k)
		}
	}
}

// left says that the journal, and not memory, knows of the run from now on.
func (r *Shard) left(id string, number uint64) {
	r.needs.moved = true
	r.needs.ids.left(id)
	r.needs.past.left(id)
	r.needs.heads.left(number)
}

// needID says whether it is known what the id stands for, and asks if not.
func (r *Shard) needID(id string) bool {
	if !r.needRow(id) {
		return false
	}
	row, read := r.needs.ids.row(id)
	return r.ids[id] != nil || r.gone[id] != 0 || !read || row.err != nil || row.Run == 0 || r.needRun(row.Run)
}

// needRow says whether the run of the id is in memory, or its rows were read, and asks if neither.
func (r *Shard) needRow(id string) bool {
	if r.ids[id] != nil || r.gone[id] != 0 {
		return true
	}
	there, fresh := r.needs.ids.ask(&r.needs, id)
	if fresh {
		r.needs.want.IDs = append(r.needs.want.IDs, id)
	}
	return there
}

// needPast says whether it is known that the due time of the run had it before, and asks if not. Of a run that is in the books, or is
// being deleted, nothing is asked.
func (r *Shard) needPast(id string) bool {
	if r.ids[id] != nil || r.gone[id] != 0 {
		return true
	}
	there, fresh := r.needs.past.ask(&r.needs, id)
	if fresh {
		r.needs.want.Past = append(r.needs.want.Past, id)
	}
	return there
}

// hadRun says whether the due time of a run that is not in the books had it before. Its ledger knows, also when the run was deleted.
// Where the ledger cannot be read nothing is started: a run must not come twice.
func (r *Shard) hadRun(id string) bool {
	if r.ids[id] != nil {
		return false
	}
	row, known := r.needs.past.row(id)
	return r.gone[id] != 0 || known && (row.Started || row.Err != nil)
}

// needRun says whether the run, if it is in the books, is in memory, and asks if not.
func (r *Shard) needRun(number uint64) bool {
	if r.runs[number] != nil {
		return true
	}
	p, ok := r.parked[number]
	if !ok || p.state != nil {
		return true
	}
	there, fresh := r.needs.runs.ask(&r.needs, number)
	if fresh {
		r.needs.want.Runs = append(r.needs.want.Runs, Sleeper{number, p.last})
	}
	return there
}

// needHead says whether the run is in memory, or its head was read, and asks if neither.
func (r *Shard) needHead(number uint64) bool {
	if _, parked := r.parked[number]; parked || r.runs[number] != nil || r.newer[number] != nil {
		return r.needRun(number)
	}
	there, fresh := r.needs.heads.ask(&r.needs, number)
	if fresh {
		r.needs.want.Heads = append(r.needs.want.Heads, number)
	}
	return there
}

// needVersion says whether the object's version is known, and asks if not.
func (r *Shard) needVersion(key string) bool {
	if _, known := r.versions[key]; known {
		return true
	}
	there, fresh := r.needs.objects.ask(&r.needs, key)
	if fresh {
		r.needs.want.Objects = append(r.needs.want.Objects, key)
	}
	return there
}

// needDef says whether the definition is in memory, and asks if not.
func (r *Shard) needDef(d flow.Digest) bool {
	if r.defs[d] != nil {
		return true
	}
	there, fresh := r.needs.graphs.ask(&r.needs, d)
	if fresh {
		r.needs.want.Digests = append(r.needs.want.Digests, d)
	}
	return there
}

// Take takes inputs for the next turn, and asks for what they and the times that have come need.
func (r *Shard) Take(now Now, inputs []Input) {
	r.now = now
	if !r.full {
		r.comeDue()
		if due := r.comeScheduled(); due != nil {
			inputs = append(due, inputs...)
		}
		if children := r.comeChildren(); children != nil {
			inputs = append(children, inputs...)
		}
	}
	r.lookAgain()
	for _, in := range inputs {
		if len(r.held) == 0 && r.met(in) {
			r.ready = append(r.ready, in)
			continue
		}
		r.held = append(r.held, in)
		r.sort(len(r.held) - 1)
	}
	for _, in := range r.retold {
		r.met(in)
	}
}

func (r *Shard) met(in Input) bool {
	n, ok := in.(needer)
	return !ok || n.needs(r)
}

// lookAgain looks whether what is held back has what it needs, if that may have changed.
func (r *Shard) lookAgain() {
	n := &r.needs
	again := n.given || n.moved && len(r.ready) > 0 // what they were let go for may have left memory
	n.given, n.moved = false, false
	if !again {
		return
	}
	n.look++
	all := append(append(n.spare[:0], r.ready...), r.held...)
	clear(r.held)
	clear(r.ready)
	r.held, n.spare, r.ready = all, r.held[:0], r.ready[:0]
	clear(n.behind)
	r.sort(0)
	for _, in := range r.retold {
		r.met(in)
	}
	n.ids.forget(n.look)
	n.runs.forget(n.look)
	n.heads.forget(n.look)
	n.objects.forget(n.look)
	n.graphs.forget(n.look)
	n.past.forget(n.look)
}

// sort lets go the inputs, from that place among the held ones on, that have what they need and stand behind no other about the
// same.
func (r *Shard) sort(from int) {
	held := r.held[:from]
	for _, in := range r.held[from:] {
		met := r.met(in)
		of, ok := in.(aboutOne)
		if met && (!ok || !r.needs.behind[of.about()]) {
			r.ready = append(r.ready, in)
			continue
		}
		held = append(held, in)
		if ok {
			r.needs.behind[of.about()] = true
		}
	}
	clear(r.held[len(held):])
	r.held = held
}

// Wanted gives what must be read so that what is held back goes on; nil: nothing that was not asked for before. Give must bring the
// answer to each.
func (r *Shard) Wanted() *Want {
	w := r.needs.want
	r.needs.want = nil
	return w
}

// Held is how many inputs wait for an answer of the journal.
func (r *Shard) Held() int { return len(r.held) }

// Give brings what was read.
func (r *Shard) Give(rows *Rows) {
	n, w := &r.needs, rows.want
	for i, d := range w.Digests {
		if q := n.graphs.take(r, w, d); q != nil {
			if q.row = rows.graphs[i].err; q.row == nil {
				r.define(rows.graphs[i].g)
				delete(n.graphs, d)
			}
		}
	}
	for i, run := range w.Runs {
		if q := n.runs.take(r, w, run.Run); q != nil {
			if q.row = r.wakes(run, &rows.runs[i]); q.row == nil {
				delete(n.runs, run.Run)
			}
		}
	}
	for i, id := range w.IDs {
		if q := n.ids.take(r, w, id); q != nil {
			q.row = rows.ids[i]
		}
	}
	for i, id := range w.Past {
		if q := n.past.take(r, w, id); q != nil {
			q.row = rows.past[i]
		}
	}
	for i, run := range w.Heads {
		if q := n.heads.take(r, w, run); q != nil {
			q.row = rows.heads[i]
		}
	}
	for i, key := range w.Objects {
		if q := n.objects.take(r, w, key); q != nil {
			if q.row = rows.objects[i].err; q.row == nil {
				delete(n.objects, key)
				if _, known := r.versions[key]; !known {
					r.versions[key] = version{n: rows.objects[i].version}
				}
			}
		}
	}
	n.given = true
	r.toldWaits = false
	r.lookAgain()
}

// wakes puts a sleeper into memory again. One that is not understood leaves the books.
func (r *Shard) wakes(run Sleeper, row *runRow) error {
	dues := r.needs.dozing[run.Run]
	r.needs.dozes -= len(dues)
	delete(r.needs.dozing, run.Run)
	p, ok := r.parked[run.Run]
	is := ok && p.last == run.Last // else it is not the one that was asked for
	err := row.err
	if err != nil {
		err = fmt.Errorf("run %d: %w", run.Run, err)
	}
	if undefined(err) { // it sleeps on: it can be read when its definition is there again, and its time is looked at at the next start
		return err
	}
	if _, damaged := damageOf(run.Run, err); is && damaged { // not even its first record can be read: as a start does, it is left to "verify"
		delete(r.parked, run.Run)
		return err
	}
	for _, e := range dues {
		r.due.Push(e)
	}
	switch {
	case !is:
		return nil
	case errors.Is(err, refusal.ErrNewerRelease):
		r.tooNew(run.Run, p, row.s, row.err)
		return nil
	case row.hurt != nil:
		r.riseHurt(p, row)
	case err == nil:
		r.rise(run.Run, p, row.s)
	case len(dues) > 0:
		r.fail(err)
	}
	return err
}

// undefined says whether it is the definition of a run that cannot be read, and nothing of the run itself.
func undefined(err error) bool {
	var gone *archive.UndefinedError
	return errors.As(err, &gone)
}

// riseHurt takes a run that was put away, and whose records are damaged, into memory, to be quarantined in the next turn.
func (r *Shard) riseHurt(p parked, row *runRow) {
	run := r.rise(row.s.Run, p, row.s)
	run.S.Released()
	claims(run.S, func(o objects.Owner, keys []string, holds bool) {
		r.table.Request(o, keys)
		if holds {
			r.table.Granted(o.Seq)
		}
	})
	r.give(run, quarantineFor(row.hurt))
}

// comeDue takes the times that have come from the queue, up to DueLimit. Those of runs that must be read first come later.
func (r *Shard) comeDue() {
	n := &r.needs
	for kept := 0; len(n.due)+n.dozes+kept < DueLimit; {
		e, ok := r.due.Peek()
		if !ok || e.Due > r.now.Wall {
			return
		}
		r.due.Pop()
		if r.keepDue(e) {
			kept++
			continue
		}
		if r.needRun(e.Run) {
			n.due = append(n.due, e)
			continue
		}
		n.dozing[e.Run] = append(n.dozing[e.Run], e)
		n.dozes++
	}
}

// overdue says whether a time that has come is left.
func (r *Shard) overdue() bool {
	e, ok := r.due.Peek()
	return len(r.needs.due) > 0 || r.needs.dozes > 0 || ok && e.Due <= r.now.Wall
}

// keptVersions is how many versions of objects are kept though nobody has to know them.
const keptVersions = 1 << 16

// version is that of an object. written is the sequence of the event that wrote it last; 0: it was read.
type version struct{ n, written uint64 }

// shed forgets versions that the journal knows as well, when there are many, but those of keys that somebody holds or wants. What
// was read of them until now may be older.
func (r *Shard) shed() {
	if len(r.versions) < r.shedAt {
		return
	}
	for key, v := range r.versions {
		if _, _, wanted := r.table.Key(key); !wanted && v.written <= r.durable {
			delete(r.versions, key)
			r.needs.objects.left(key)
		}
	}
	r.needs.moved = true
	r.shedAt = max(keptVersions, 2*len(r.versions))
}

// What each input needs, and what it is about.

func (in *Start) needs(r *Shard) bool {
	there := !in.Given || r.needID(in.ID)
	if v, ok := in.pick(r); ok {
		return r.needDef(v.Digest) && there
	}
	return there
}

func (in *Signal) needs(r *Shard) bool  { return r.needID(in.ID) }
func (in *Cancel) needs(r *Shard) bool  { return r.needID(in.ID) }
func (in *Retry) needs(r *Shard) bool   { return r.needID(in.ID) }
func (in *Tag) needs(r *Shard) bool     { return r.needID(in.ID) }
func (in *Fire) needs(r *Shard) bool    { return r.needID(in.ID) }
func (in *Pause) needs(r *Shard) bool   { return r.needID(in.ID) }
func (in *Correct) needs(r *Shard) bool { return r.needID(in.ID) }
func (in *Delete) needs(r *Shard) bool {
	all := true
	for _, id := range in.slice() { // what is missing is asked for together
		all = r.needID(id) && r.needAbove(id) && all
		if top := in.With[id]; top != "" {
			all = r.needID(top) && r.needAbove(top) && all
		}
	}
	return all
}
func (in *Query) needs(r *Shard) bool { return r.needID(in.ID) }
func (in *Await) needs(r *Shard) bool { return r.needID(in.ID) }

func (in *Quarantine) needs(r *Shard) bool { return r.needHead(in.Run) }

func (in *Outcome) needs(r *Shard) bool {
	there := in.Slot != nil || r.needRun(in.Token.Run) // who works in process works for a run in memory
	for i := range in.Objects {
		there = r.needVersion(in.Objects[i].Key) && there
	}
	return there
}

func (in *Start) about() subject      { return subject{id: in.ID} }
func (in *Signal) about() subject     { return subject{id: in.ID} }
func (in *Cancel) about() subject     { return subject{id: in.ID} }
func (in *Retry) about() subject      { return subject{id: in.ID} }
func (in *Tag) about() subject        { return subject{id: in.ID} }
func (in *Fire) about() subject       { return subject{id: in.ID} }
func (in *Pause) about() subject      { return subject{id: in.ID} }
func (in *Correct) about() subject    { return subject{id: in.ID} }
func (in *Delete) about() subject     { return subject{id: in.IDs[0]} }
func (in *Query) about() subject      { return subject{id: in.ID} }
func (in *Await) about() subject      { return subject{id: in.ID} }
func (in *Forget) about() subject     { return subject{id: in.ID} }
func (in *Quarantine) about() subject { return subject{run: in.Run} }
func (in *Outcome) about() subject    { return subject{run: in.claim().Run} }
func (in *Adopt) about() subject      { return subject{worker: in.Session.ID} }
func (in *Gone) about() subject       { return subject{worker: in.Session.ID} }
