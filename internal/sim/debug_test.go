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
		snap, ok := w.disk.snapshots[tr.s.Run]
		t.Logf("%s: damaged record %d, head %+v, snapshot %d %v, base %d", tr.id, tr.damaged, w.disk.heads[tr.s.Run], snap.Seq, ok, w.disk.base)
		for _, r := range w.disk.records {
			if r.Run != tr.s.Run {
				continue
			}
			events, _ := event.DecodeAll(r.Body)
			for i, e := range events {
				name := ""
				if e.Kind.HasStep() {
					name = tr.s.Graph.Def.Steps[e.Step].Name
				}
				t.Logf("%5d @%d %s %s %d due=%d %s", r.Seq+uint64(i), r.At, e.Kind, name, e.Attempt, e.Due, e.Code)
			}
		}
		for i := range tr.s.Steps {
			if slot := w.shard.Hub.Slot(tr.s.Run, int32(i)); slot != nil {
				t.Logf("handler %s/%s queued %d full %v sessions %d, offers %d", slot.Handler.Service.Name, slot.Handler.Name, slot.Handler.Queued(), slot.Handler.Full(), slot.Handler.Sessions(), w.shard.Hub.Offers())
				t.Logf("slot of %s: %+v", tr.s.Graph.Def.Steps[i].Name, *slot)
			}
		}
		if run := w.shard.Peek(tr.s.Run); run != nil {
			t.Logf("shard: %s", open(run.S))
		}
	}
	for _, session := range w.shard.Hub.Sessions() {
		t.Logf("session %s: %d of %d, wants %d", session.ID, session.Leases(), session.Capacity, session.Wants)
		for slot := range session.Slots {
			t.Logf("  has %+v", *slot)
		}
	}
	for _, k := range w.shard.Keys() {
		holder, queue, _ := w.shard.Key(k)
		t.Logf("key %s: held by %+v, wanted by %+v", k, holder, queue)
	}
	t.Logf("now wall %d mono %d wake %+v", w.wall, w.mono, w.shard.NextWake())
}
