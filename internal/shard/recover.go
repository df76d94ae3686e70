package shard

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/timers"
)

// Recover folds the journal: snapshots of open runs, then what came after them. What is owed is offered again. The first
// Turn after it journals what the restart itself decided.
func (r *Shard) Recover(now Now) error {
	r.now, r.j = now, r.cfg.Journal
	r.careful.since = now.Wall
	defer func() { r.j = nil }()
	if err := r.refoldAll(); err != nil {
		return err
	}
	clean := r.clean
	r.begin(now)
	r.system(event.Event{Kind: event.EngineStarted, Message: r.cfg.Release, Forced: !clean})
	r.readSilence()
	r.owe(true)
	r.beginSilence()
	for i := range r.b.offers { // also what was lost and is offered anew: it may be what ended the engine
		r.b.offers[i].careful = true
	}
	r.boot = r.finish()
	r.catching = true
	return nil
}

// Boot is the batch that Recover made. It must be written before anything else.
func (r *Shard) Boot() *Batch { return r.boot }

// again folds everything anew after a batch was dropped. What workers have, they keep.
func (r *Shard) again() error {
	r.j = r.cfg.Journal
	defer func() { r.j = nil }()
	r.Hub.Clear()
	waiting := map[uint64][]waiter{}
	for n, run := range r.runs {
		if len(run.waiters) > 0 {
			waiting[n] = run.waiters
		}
	}
	if err := r.refoldAll(); err != nil {
		return err
	}
	for n, w := range waiting {
		run, err := r.run(n)
		if err != nil {
			return err
		}
		if run != nil {
			run.waiters = w
			continue
		}
		for _, waiter := range w { // its start was dropped, or it has ended: the journal knows
			waiter.fn(nil)
		}
	}
	r.begin(r.now)
	r.b.Batch = &journal.Batch{}
	r.owe(false)
	b := r.b
	r.b = nil
	r.silence.at = max(r.now.Mono, 1) // what was written of it last, or removed, may have been dropped
	if len(b.Records) > 0 {
		return errors.New("shard: folding again after a full disk decided something new")
	}
	for _, slot := range r.Hub.Leases() { // nothing waits for these: what they answered was dropped, or was of no use
		if run := r.runs[slot.Run]; run == nil || !run.expects(slot) {
			r.Hub.Release(slot)
		}
	}
	for _, o := range b.offers {
		r.offer(o.run, o.step, o.attempt, true)
	}
	for _, slot := range b.handout {
		r.handOut(slot)
	}
	for _, a := range b.asks {
		r.question(a)
	}
	for _, e := range b.ends {
		r.askEnd(e)
	}
	return nil
}

func (r *Shard) refoldAll() error {
	r.forget()
	r.meters.closeAll()
	r.next = r.j.NextSeq()
	r.durable = r.next - 1
	defs, damages, err := r.archive.Versions()
	if err != nil {
		return err
	}
	for _, d := range damages {
		r.damaged(d)
	}
	for _, d := range defs {
		w := r.flows[d.Name]
		if w == nil {
			w = &Workflow{Name: d.Name}
			r.flows[d.Name] = w
		}
		w.Versions = append(w.Versions, Version{Version: d.Version, Digest: flow.Digest(d.Digest), At: d.At})
		if d.Current {
			w.Current = d.Version
		}
	}
	rec := &recovery{r: r, hurt: map[uint64]journal.Damage{}, newer: map[uint64]bool{}, unsure: map[uint64]*unsure{}}
	if err := r.j.Recover(rec); err != nil {
		return err
	}
	if err := rec.finish(); err != nil {
		return err
	}
	if err := r.readEnds(); err != nil {
		return err
	}
	if err := r.readDeleting(); err != nil {
		return err
	}
	return r.readSchedules()
}

// recovery is the journal.Visitor of a shard that starts.
type recovery struct {
	r     *Shard
	hurt  map[uint64]journal.Damage
	newer map[uint64]bool // runs with a snapshot or a record that a newer release wrote
	// unsure are runs that are not in the books, and of which there are records that follow others.
	unsure map[uint64]*unsure
}

// unsure is what was met of such a run: its first record that follows others, and the sequence of its last one.
type unsure struct{ seq, prev, last uint64 }

func (v *recovery) Clean(clean bool) { v.r.clean = clean }

func (v *recovery) Snapshot(s journal.Snapshot) error {
	r := v.r
	snap, err := archive.ParseSnapshot(s.State)
	if err == nil && snap.Idle && replay.Readable(snap.State) {
		for _, d := range snap.Dues {
			r.due.Push(timers.Entry{Due: d.At, Run: s.Run, Step: d.Step})
		}
		r.parked[s.Run] = parked{snap: s.Seq, last: s.Seq}
		r.meters.sleeps(snap.State, 1)
		return nil
	}
	var st *replay.State
	var def *Def
	if err == nil {
		st, def, err = r.decode(s.State)
	}
	if errors.Is(err, refusal.ErrNewerRelease) {
		v.newer[s.Run] = true
		return nil
	}
	if err != nil { // a snapshot is a cache: say so, and fold the run from the log
		return v.Damaged(journal.Damage{Run: s.Run, Kind: "snapshot", Detail: err.Error()})
	}
	r.keep(&Run{S: st, def: def, snap: s.Seq})
	return nil
}

func (r *Shard) keep(run *Run) {
	r.runs[run.S.Run], r.ids[run.S.ID] = run, run
}

func (v *recovery) Record(rec journal.Record) error {
	r := v.r
	if rec.Run == 0 {
		return nil
	}
	if _, hurt := v.hurt[rec.Run]; hurt || v.newer[rec.Run] {
		return nil // finish reads it
	}
	if u := v.unsure[rec.Run]; u != nil {
		u.last = rec.Seq
		return nil
	}
	p, slept := r.parked[rec.Run]
	if slept && rec.Seq <= p.last {
		return nil // in its snapshot already
	}
	run, err := r.run(rec.Run)
	if slept && run != nil {
		r.meters.open(run.S.Workflow, -1) // finish counts those in memory
	}
	if r.newer[rec.Run] != nil {
		v.newer[rec.Run] = true
		return nil
	}
	if err != nil {
		return v.Damaged(journal.Damage{Run: rec.Run, Kind: "snapshot", Detail: err.Error()})
	}
	var s *replay.State
	if run != nil {
		s = run.S
	} else if rec.Prev != 0 {
		v.unsure[rec.Run] = &unsure{rec.Seq, rec.Prev, rec.Seq}
		return nil
	}
	s, err = archive.Fold(s, &rec, r.archive.Graph, nil)
	if errors.Is(err, refusal.ErrNewerRelease) {
		v.newer[rec.Run] = true
		return nil
	}
	if err != nil {
		return v.Damaged(journal.Damage{Run: rec.Run, Seq: rec.Seq, Kind: "history", Detail: err.Error()})
	}
	if run == nil {
		run = r.runOf(s)
		r.keep(run)
	}
	s.Released()
	if !s.Hurt { // of one that is, finish must know that its damage is not new
		r.letGo(run)
	}
	return nil
}

// runOf gives the run of a state that was folded just now.
func (r *Shard) runOf(s *replay.State) *Run {
	def := r.defs[s.Graph.Digest]
	if def == nil {
		def = r.adopt(s.Graph)
	}
	return &Run{S: s, def: def}
}

// letGo takes a run that has ended out of the books.
func (r *Shard) letGo(run *Run) {
	if !run.S.Resident() && run.hurt == nil {
		delete(r.runs, run.S.Run)
		delete(r.ids, run.S.ID)
	}
}

// makeSure asks for the heads of the runs that are not in the books and have records that follow others. One that has ended, and whose
// snapshot is gone, is nothing to recovery; that damage was met in it since, as its head may say, changes nothing. Of any other the
// records before are missing.
func (v *recovery) makeSure() error {
	runs := slices.Sorted(maps.Keys(v.unsure))
	heads := ask(runs, func(part []uint64) []journal.Found[journal.Head] {
		return journal.Ask(v.r.j, &journal.Question{Heads: part}).Heads
	})
	for i, number := range runs {
		h, u := &heads[i], v.unsure[number]
		ended := h.Err == nil && h.OK && (replay.RunState(h.Row.State).Ended() || h.Row.EndedAt != 0)
		if ended && h.Row.LastSeq >= u.last {
			continue
		}
		d := journal.Damage{Run: number, Seq: u.seq, Kind: "history", Detail: fmt.Sprintf("the run's records before record %d, which follows record %d, are missing", u.seq, u.prev)}
		if ended {
			d.Seq, d.Detail = u.last, fmt.Sprintf("the run ended with record %d, and this one comes after it", h.Row.LastSeq)
		}
		if err := v.Damaged(d); err != nil {
			return err
		}
	}
	return nil
}

// damaged tells of damage.
func (r *Shard) damaged(d journal.Damage) {
	if r.cfg.Damage != nil {
		r.cfg.Damage(d)
	}
}

func (v *recovery) Damaged(d journal.Damage) error {
	v.r.damaged(d)
	if d.Run == 0 {
		return nil
	}
	if old, ok := v.hurt[d.Run]; !ok || d.Kind != "snapshot" && old.Kind == "snapshot" {
		v.hurt[d.Run] = d
	}
	return nil
}

// finish folds from their records the runs of which something is damaged or of a newer release. One with damage is brought to
// where its intact records end, and marked for quarantine: its place in the journal goes on behind its last record that can be
// found. One with a record that is not understood waits.
func (v *recovery) finish() error {
	if err := v.makeSure(); err != nil {
		return err
	}
	r := v.r
	todo := map[uint64]*refold{}
	for number, d := range v.hurt {
		_, slept := r.parked[number]
		run, err := r.run(number)
		if slept && run != nil {
			r.meters.open(run.S.Workflow, -1)
		}
		if err == nil && run != nil && run.S.Hurt && run.S.LastSeq > d.Seq {
			continue // it was quarantined for this before, and its snapshot stands behind the damage
		}
		todo[number] = &refold{hurt: &d}
	}
	for number := range v.newer {
		if todo[number] == nil {
			todo[number] = &refold{}
		}
	}
	first := r.next
	for number := range todo {
		first = min(first, number)
		_, todo[number].slept = r.parked[number]
		delete(r.parked, number)
		if run := r.runs[number]; run != nil {
			delete(r.ids, run.S.ID)
			delete(r.runs, number)
		}
	}
	for rec, err := range r.archive.Records(first - 1) {
		if _, gap := archive.Gap(err); gap { // the journal has told of it
			continue
		}
		if err != nil {
			return err
		}
		if f := todo[rec.Run]; f != nil {
			f.record(r.archive, rec)
		}
	}
	for number, f := range todo {
		v.settle(number, f)
	}
	for _, run := range r.runs { // a run that was quarantined and then cancelled has a snapshot still
		r.letGo(run)
	}
	for _, run := range r.runs {
		if !run.S.Status.Ended() {
			r.meters.open(run.S.Workflow, 1)
		}
	}
	return nil
}

// settle says what becomes of a run that was folded from its records.
func (v *recovery) settle(number uint64, f *refold) {
	r, s, d := v.r, f.s, f.hurt
	if n := f.newer; n != nil {
		n.Last, n.Events, n.State = f.last, f.events, s
		r.hold(n)
		return
	}
	if _, told := v.hurt[number]; d != nil && !told && r.cfg.Damage != nil {
		r.cfg.Damage(*d)
	}
	if s != nil && f.slept {
		r.meters.open(s.Workflow, -1)
	}
	if s == nil { // not even its first record can be read: reported, and left to "agnt5d verify"
		return
	}
	if !s.Resident() && (d == nil || d.Kind == "snapshot") { // it has ended, and only a cache of it is lost
		return
	}
	run := r.runOf(s)
	if d != nil && d.Kind != "snapshot" {
		run.hurt = d
		f.damaged()
	}
	r.keep(run)
}
