package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/internal/event"
)

// explain prints the history of the runs that a violation names.
func explain(t *testing.T, w *World, err error) {
	for _, tr := range w.judge.order {
		if !strings.Contains(err.Error(), fmt.Sprintf("run %d ", tr.s.Run)) && !strings.Contains(err.Error(), fmt.Sprintf("%q", tr.id)) && !strings.Contains(err.Error(), tr.id+" ") && !strings.Contains(err.Error(), tr.id+"/") && !strings.Contains(err.Error(), tr.id+":") {
			continue
		}
		snap, ok := w.at(tr.s.Run).disk.snapshots[tr.s.Run]
		t.Logf("%s: damaged record %d, head %+v, snapshot %d %v, base %d", tr.id, tr.damaged, w.at(tr.s.Run).disk.heads[tr.s.Run], snap.Seq, ok, w.at(tr.s.Run).disk.base)
		for _, r := range w.at(tr.s.Run).disk.records {
			if r.Run != tr.s.Run {
				continue
			}
			events, _ := event.DecodeAll(r.Body)
			for i, e := range events {
				name := ""
				if e.OfStep() {
					name = tr.s.Name(e.Step)
				}
				t.Logf("%5d @%d %s %s %d due=%d %s", r.Seq+uint64(i), r.At, e.Kind, name, e.Attempt, e.Due, e.Code)
			}
		}
		for i := range tr.s.Steps {
			if slot := w.at(tr.s.Run).shard.Hub.Slot(tr.s.Run, int32(i)); slot != nil {
				t.Logf("handler %s/%s queued %d, offers %d", slot.Handler.Service, slot.Handler.Name, slot.Handler.Queued(), w.at(tr.s.Run).shard.Hub.Offers())
				t.Logf("slot of %s: %+v", tr.s.Graph.Def.Steps[i].Name, *slot)
			}
		}
		if run := w.at(tr.s.Run).shard.Peek(tr.s.Run); run != nil {
			t.Logf("shard: %s", open(run.S))
		}
	}
	for _, session := range w.hub.Sessions() {
		t.Logf("session %s of %d, waiting %v", session.ID, session.Capacity, session.Waiting())
		for _, slot := range session.Leases() {
			t.Logf("  has %+v", *slot)
		}
	}
	for _, n := range w.nodes {
		for _, k := range n.shard.Keys() {
			holder, queue, _ := n.shard.Key(k)
			t.Logf("shard %d, key %s: held by %+v, wanted by %+v", n.no, k, holder, queue)
		}
		t.Logf("now wall %d mono %d wake %+v, hub %+v", w.wall, w.mono, n.shard.NextWake(), w.hub.NextWake())
	}
}
