package sim

import (
	"cmp"
	"slices"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/schedules"
)

// kept is for how long, in milliseconds, runs are kept that have ended.
const kept = 30_000

// keeper deletes the runs of a shard that ended long enough ago, a few at a time, as the engine's does. It goes by what it has read of
// the journal: what became of the runs since, it does not know. When the engine ends it begins anew.
type keeper struct {
	epoch int
	asks  bool     // for a slice
	ids   []string // of runs that were over when it looked
}

// act reads which runs are over, or has the next of them deleted.
func (k *keeper) act(n *node) {
	w := n.w
	if k.epoch != w.epoch {
		*k = keeper{epoch: w.epoch}
	}
	if k.asks {
		return
	}
	if len(k.ids) == 0 {
		var over []journal.Head
		for _, h := range n.disk.heads {
			if h.EndedAt != 0 && h.EndedAt < w.wall-kept {
				over = append(over, h)
			}
		}
		slices.SortFunc(over, func(a, b journal.Head) int {
			return cmp.Or(cmp.Compare(b.EndedAt, a.EndedAt), cmp.Compare(b.Run, a.Run))
		})
		for _, h := range over {
			k.ids = append(k.ids, h.ID)
		}
		return
	}
	w.op("the keeper deletes a slice")
	epoch, slice := w.epoch, k.ids[:min(len(k.ids), 1+w.rng.IntN(3))]
	k.asks = true
	n.send(&shard.Delete{By: "keeper", IDs: slice, Reason: "retention", Reply: func(got shard.Deleted, err error) {
		if epoch != w.epoch {
			return
		}
		k.asks = false
		if err == nil {
			k.ids = k.ids[got.Seen:]
			if got.Done < got.Seen {
				w.op("the keeper leaves a run that is no longer over")
			}
		}
	}})
}

// deleted looks at runs that were deleted: each had ended, and nobody worked for it any more.
func (j *Judge) deleted(rec *journal.Record, e *event.Event) {
	for _, d := range event.ReadDeleted(e.Payload) {
		t := j.byRun[d.Run]
		switch {
		case t == nil || t.id != d.ID:
			j.w.fail("record %d says that run %s, number %d, is deleted, which there is not", rec.Seq, d.ID, d.Run)
		case t.gone:
			j.w.fail("run %s, number %d, is deleted twice, the second time in record %d", d.ID, d.Run, rec.Seq)
		case t.damaged == 0 && (!t.s.Status.Ended() || len(t.s.Outs) > 0):
			j.w.fail("run %s is deleted in record %d, and it is %s, and %d attempts are out", d.ID, rec.Seq, t.s.Status, len(t.s.Outs))
		}
		t.gone = true
	}
}

// stayGone looks whether anything is left of runs that were deleted.
func (j *Judge) stayGone() {
	for _, n := range j.w.nodes {
		for i := range n.disk.records {
			if t := j.byRun[n.disk.records[i].Run]; t != nil && t.gone {
				j.w.fail("run %s was deleted, and record %d of it is there", t.id, n.disk.records[i].Seq)
			}
		}
		for number, h := range n.disk.heads {
			if t := j.byRun[number]; t != nil && t.gone {
				j.w.fail("run %s was deleted, and its head is there: %+v", t.id, h)
			}
		}
	}
}

// startAgain asks for a run under the id of one that was deleted: it is refused until the id is free.
func (w *World) startAgain() {
	var gone []*track
	for _, t := range w.judge.order {
		if _, _, scheduled := schedules.NameOf(t.id); t.gone && !scheduled && w.judge.byID[t.id] == t {
			gone = append(gone, t)
		}
	}
	if len(gone) > 0 {
		w.start(gone[w.rng.IntN(len(gone))].id)
	}
}
