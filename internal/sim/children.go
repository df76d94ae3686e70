package sim

import (
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/replay"
)

// ofChildren holds that each child is started once, by the step that says so, and that its end is told as it was.
func (j *Judge) ofChildren(t *track, run uint64, e *event.Event) {
	w := j.w
	switch e.Kind {
	case event.ChildStarted:
		_, known := j.births[e.ID]
		if known != e.Forced {
			w.fail("%s/%s: the child %s was started before: %v, it goes on: %v", t.id, t.s.Name(e.Step), e.ID, known, e.Forced)
		}
		if e.Forced {
			w.op("a child goes on for a step that was reopened")
		}
		j.births[e.ID] = run
	case event.RunStarted:
		if e.Parent == nil {
			return
		}
		if parent, known := j.births[e.ID]; !known || parent != e.Parent.Run || j.byRun[parent] == nil {
			w.fail("run %s is the child of run %d, which does not know: %d", e.ID, e.Parent.Run, parent)
		}
	case event.ChildStopped:
		w.op("a child is stopped")
	case event.StepCompleted, event.RoundCompleted:
		c, has := t.s.Child(e.Step)
		if !has || t.s.Spec(e.Step).Type != flow.TypeWorkflow || e.Payload == nil || !c.Open || c.Leaving {
			return
		}
		if _, over := t.s.ItemCounts(e.Step); over {
			return
		}
		if t.gave == nil {
			t.gave = map[int32]string{}
		}
		t.gave[e.Step] = string(e.Payload)
		child := j.byID[c.ID]
		switch {
		case child == nil:
			w.fail("%s/%s completes by the child %s, which nobody knows", t.id, t.s.Name(e.Step), c.ID)
		case child.damaged != 0 || child.gone:
		case child.s.Status != replay.Completed:
			w.fail("%s/%s completes by the child %s, which is %s", t.id, t.s.Name(e.Step), c.ID, child.s.Status)
		default:
			if out, inline := child.s.InlineOutput(); inline && string(out) != string(e.Payload) {
				w.fail("%s/%s gives %s, its child gave %s", t.id, t.s.Name(e.Step), e.Payload, out)
			}
		}
	}
}

// childrenGave is what the children of a list's items gave, together.
func (t *track) childrenGave(step int32, l *listed) string {
	all := make([]string, len(l.items))
	for k, state := range l.items {
		if all[k] = "null"; state == itemCompleted {
			all[k] = t.gave[t.s.ItemNumber(step, k)]
		}
	}
	return "[" + strings.Join(all, ",") + "]"
}

// childrenEnd holds, when everything has ended, that nobody waits for a child.
func (j *Judge) childrenEnd() {
	for id := range j.births {
		if j.byID[id] == nil {
			j.w.fail("the child %s was started, and there is no such run", id)
		}
	}
	for _, t := range j.order {
		if !t.gone && t.damaged == 0 && t.s.Unwanted() > 0 {
			j.w.fail("run %s is %s, and waits for the end of %d children", t.id, t.s.Status, t.s.Unwanted())
		}
	}
	for _, n := range j.w.nodes {
		if rows, err := n.disk.Rows("child-end/"); err != nil || len(rows) > 0 {
			j.w.fail("the ends of %d children were told to nobody: %v", len(rows), err)
		}
	}
}
