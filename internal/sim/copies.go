package sim

import (
	"maps"
	"slices"

	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// clone is a copy of the file, as it is at one moment.
func (d *Disk) clone() *Disk {
	c := *d
	c.queue = nil
	c.records, c.defs = slices.Clone(d.records), slices.Clone(d.defs)
	c.heads, c.ids, c.bodies = maps.Clone(d.heads), maps.Clone(d.ids), maps.Clone(d.bodies)
	c.dead, c.entries = maps.Clone(d.dead), maps.Clone(d.entries)
	c.objects, c.snapshots, c.rows = maps.Clone(d.objects), maps.Clone(d.snapshots), maps.Clone(d.rows)
	c.damaged = maps.Clone(d.damaged)
	return &c
}

// copyOrPutBack takes a copy of the file, or puts the one that was taken in the place of the file. Everything that came after the
// copy is gone, but the workers: they have tasks of it, and bring their outcomes. Those who asked for something ask no more.
func (w *World) copyOrPutBack() {
	if w.copy == nil {
		for _, n := range w.nodes {
			if len(n.disk.damaged) > 0 { // the Judge begins anew from the records: they must all be there
				return
			}
		}
		if w.Ops["event RunsDeleted"] == 0 {
			for _, n := range w.nodes {
				w.copy = append(w.copy, n.disk.clone())
			}
		}
		return
	}
	w.op("a copy is put back")
	w.wall, w.mono = w.wall+60_000, w.mono+60_000 // it takes its time
	for _, r := range w.remotes {
		r.engineGone()
	}
	w.clients = nil
	for i, n := range w.nodes {
		n.disk = w.copy[i]
	}
	w.copy = nil
	before := w.judge
	w.judge = newJudge(w)
	w.judge.byInput = before.byInput
	w.moments = map[string]*moments{}
	for _, n := range w.nodes {
		w.judge.durable(n.disk.records)
		rows, _ := n.disk.Rows("")
		w.judge.scheduled(rows, false)
	}
	w.boot()
}

// restartsInARow is an engine that is started anew again and again, and no worker comes back meanwhile. What they had must be lost
// though each start gives their leases time.
func (w *World) restartsInARow() {
	w.op("restarts in a row")
	for range 12 {
		w.crash()
		w.wall, w.mono = w.wall+100, w.mono+100
	}
	w.turnAll()
	w.commitAll()
	for _, t := range w.judge.order {
		for i, st := range t.s.All() {
			if !t.gone && t.s.Status == replay.Running && st.State == replay.StepRunning && !st.Local {
				w.fail("%s/%s: worker %s has attempt %d still, after twelve starts without it", t.id, t.s.Name(i), st.Worker, st.Attempt)
			}
		}
		for _, o := range t.s.Outs {
			if !t.gone && !o.Local {
				w.fail("%s: attempt %d of step %d is out still, after twelve starts without worker %s", t.id, o.Attempt, o.Step, o.Worker)
			}
		}
	}
}

// origin is the event by which an attempt was scheduled, and when. Two histories may give an attempt the same numbers, but not at the
// same time.
type origin struct {
	seq uint64
	at  int64
}

// originOf says where the attempt that somebody is given comes from.
func (j *Judge) originOf(s *shard.Spec) origin {
	return j.byRun[s.Slot.Run].origins[attemptOf{s.Step, s.Attempt}]
}

// ours says whether the outcome is of an attempt of this history.
func (t *track) ours(o *reply) bool {
	from, ok := t.origins[attemptOf{o.token.Step, o.token.Attempt}]
	return ok && from == o.origin
}
