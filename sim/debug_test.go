package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/event"
)

// explain prints the history of the runs that a violation names.
func explain(t *testing.T, w *World, err error) {
	for _, tr := range w.judge.order {
		if !strings.Contains(err.Error(), tr.id+" ") && !strings.Contains(err.Error(), tr.id+"/") && !strings.Contains(err.Error(), tr.id+":") {
			continue
		}
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
				t.Log(fmt.Sprintf("%5d @%d %s %s %d due=%d %s", r.Seq+uint64(i), r.At, e.Kind, name, e.Attempt, e.Due, e.Code))
			}
		}
		for i := range tr.s.Steps {
			if slot := w.ring.Hub.Slot(tr.s.Run, int32(i)); slot != nil {
				t.Logf("slot of %s: %+v", tr.s.Graph.Def.Steps[i].Name, *slot)
			}
		}
		if run := w.ring.Peek(tr.s.Run); run != nil {
			t.Logf("ring: %s", open(run.S))
		}
	}
	t.Logf("now wall %d mono %d wake %+v", w.wall, w.mono, w.ring.NextWake())
}
