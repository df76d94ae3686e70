package sim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// overList makes a task go over a list: one that stands there, one of the input, or what a step before it gave, which went over a list.
func overList(rng *rand.Rand, s *flow.Step, after []string, lists map[string]bool) {
	source := json.RawMessage(`"input.list"`)
	if rng.IntN(2) == 0 {
		source = must(json.Marshal(randomList(rng)))
	}
	for _, dep := range after {
		if lists[dep] && rng.IntN(3) > 0 {
			source = must(json.Marshal("steps." + dep + ".output"))
		}
	}
	s.ForEach, lists[s.Name] = source, true
	if rng.IntN(2) == 0 {
		most := int64(1 + rng.IntN(2))
		s.MaxParallel = &most
	}
	switch rng.IntN(5) {
	case 0, 1:
		s.Tolerate = &flow.Tolerance{N: int64(1 + rng.IntN(2))}
	case 2:
		s.Tolerate = &flow.Tolerance{N: 50, Percent: true}
	}
	if rng.IntN(12) == 0 {
		room := int64(2)
		s.MaxItems = &room
	}
	if len(s.ObjectKeys) > 0 && rng.IntN(2) == 0 {
		s.ObjectKeys = []string{"key:${ index }"}
	}
}

func randomList(rng *rand.Rand) []int {
	list := make([]int, rng.IntN(5))
	for i := range list {
		list[i] = rng.IntN(100)
	}
	return list
}

// listed is the Judge's own copy of where the items of a step stand. What must hold: the list is what its source gives; items begin in
// their order, no more at once than max_parallel; each is completed at most once; the step is completed when all of them have settled and
// no more have failed than it tolerates, with their outputs in order, and fails when more have.
type listed struct {
	source string // the list, in canonical form
	items  []itemState
	failed bool // the step has: none of its items begins any more
}

type itemState uint8

const (
	itemWaits itemState = iota
	itemOpen
	itemCompleted
	itemFailed
)

func (l *listed) count(state itemState) (n int) {
	for _, s := range l.items {
		if s == state {
			n++
		}
	}
	return n
}

// listAt says whether an instance is a step that goes over a list, or an item of one. Index -1: it is the step.
func (t *track) listAt(i int32) (spec *flow.Step, l *listed, index int) {
	step, index, is := t.s.ItemOf(i)
	if !is {
		step, index = i, -1
	}
	if int(step) >= len(t.s.Graph.Def.Steps) || t.s.Graph.Def.Steps[step].ForEach == nil {
		return nil, nil, 0
	}
	return &t.s.Graph.Def.Steps[step], t.lists[step], index
}

// overLists looks at an event that is about a list, before it is folded.
func (j *Judge) overLists(t *track, e *event.Event) {
	if e.Kind == event.RunReopened { // what has completed stays; the rest begins anew
		for step, l := range t.lists {
			if t.final[step] > 0 { // the step has completed
				continue
			}
			l.failed = false
			for i, s := range l.items {
				if s != itemCompleted {
					l.items[i] = itemWaits
				}
			}
		}
		return
	}
	if !e.OfStep() {
		return
	}
	spec, l, index := t.listAt(e.Step)
	switch {
	case spec == nil:
	case index < 0:
		j.ofList(t, e, spec, l)
	case l == nil || index >= len(l.items):
		j.w.fail("%s/%s: %s of an item of a list that is not known: %+v", t.id, t.s.Name(e.Step), e.Kind, l)
	default:
		j.ofItem(t, e, spec, l, index)
	}
}

// ofList looks at an event of a step that goes over a list.
func (j *Judge) ofList(t *track, e *event.Event, spec *flow.Step, l *listed) {
	w := j.w
	switch e.Kind {
	case event.ItemsSet:
		if (l == nil) != (e.Payload != nil) {
			w.fail("%s/%s: its list is set to %s, before it was %+v", t.id, spec.Name, e.Payload, l)
		}
		if l != nil {
			w.op("a step goes on with its list")
			return
		}
		l = &listed{source: j.listOf(t, spec)}
		if string(e.Payload) != l.source {
			w.fail("%s/%s goes over %s, its list is %s", t.id, spec.Name, e.Payload, l.source)
		}
		flow.EachItem(e.Payload, func([]byte) { l.items = append(l.items, itemWaits) })
		t.lists[e.Step] = l
		if len(l.items) == 0 {
			w.op("a step goes over an empty list")
		}
	case event.StepCompleted:
		failed := l.count(itemFailed)
		if l.count(itemCompleted)+failed < len(l.items) || failed > spec.TolerateOf(len(l.items)) {
			w.fail("%s/%s is completed, and its items are %v", t.id, spec.Name, l.items)
		}
		want := t.outputs(spec.Name, l)
		if spec.Type == flow.TypeWorkflow {
			want = t.childrenGave(e.Step, l)
		}
		if string(e.Payload) != want {
			w.fail("%s/%s is completed with %s, its items have %s", t.id, spec.Name, e.Payload, want)
		}
		if failed > 0 {
			w.op("a step tolerates that an item failed")
		}
	case event.StepFailed:
		if e.Code == failure.ItemFailed && (l == nil || l.count(itemFailed) <= spec.TolerateOf(len(l.items))) {
			w.fail("%s/%s fails because of its items, which are %+v", t.id, spec.Name, l)
		}
		w.op("a step over a list fails: " + e.Code)
		if l != nil {
			l.failed = true
		}
	}
}

// listOf works out what list a step goes over.
func (j *Judge) listOf(t *track, spec *flow.Step) string {
	var text string
	if json.Unmarshal(spec.ForEach, &text) != nil {
		return string(spec.ForEach)
	}
	if name, is := strings.CutPrefix(text, "steps."); is {
		name = strings.TrimSuffix(name, ".output")
		j.w.op("a list is what a step before it gave")
		source := t.s.Graph.Index[name]
		if l := t.lists[source]; l != nil && t.s.Spec(source).Type == flow.TypeWorkflow {
			return t.childrenGave(source, l)
		}
		return t.outputs(name, t.lists[source])
	}
	var input struct{ List json.RawMessage }
	if err := json.Unmarshal(t.input, &input); err != nil {
		j.w.fail("%s/%s goes over a list of the input %s", t.id, spec.Name, t.input)
	}
	return string(input.List)
}

// outputs gives what the items of a step came to, in order.
func (t *track) outputs(step string, l *listed) string {
	all := []string{}
	if l == nil {
		return "null"
	}
	for i, s := range l.items {
		text := "null"
		if s == itemCompleted {
			text = fmt.Sprintf("%q", t.id+"/"+flow.ItemName(step, i))
		}
		all = append(all, text)
	}
	return "[" + strings.Join(all, ",") + "]"
}

// ofItem looks at an event of an item.
func (j *Judge) ofItem(t *track, e *event.Event, spec *flow.Step, l *listed, index int) {
	w := j.w
	name := t.s.Name(e.Step)
	switch e.Kind {
	case event.StepBlocked, event.StepScheduled:
		if l.items[index] == itemOpen { // it goes on: granted its keys, retried, deferred or lost
			return
		}
		if l.failed || l.items[index] != itemWaits {
			w.fail("%s/%s: %s of an item of %v, its step has failed: %v", t.id, name, e.Kind, l.items, l.failed)
		}
		if first := slices.Index(l.items, itemWaits); first != index {
			w.fail("%s/%s begins before item %d: %v", t.id, name, first, l.items)
		}
		l.items[index] = itemOpen
		if open := l.count(itemOpen); open > spec.ParallelOf() {
			w.fail("%s/%s begins, and %d items are open, of which there may be %d", t.id, name, open, spec.ParallelOf())
		} else if open == spec.ParallelOf() && index+1 < len(l.items) {
			w.op("items wait for others to end")
		}
	case event.StepCompleted:
		if l.failed || l.items[index] != itemOpen {
			w.fail("%s/%s is completed, and the items of its step were %v, it had failed: %v", t.id, name, l.items, l.failed)
		}
		l.items[index] = itemCompleted
		w.op("an item is completed")
	case event.StepFailed:
		if l.failed || l.items[index] == itemCompleted || l.items[index] == itemFailed {
			w.fail("%s/%s fails, and the items of its step were %v, it had failed: %v", t.id, name, l.items, l.failed)
		}
		l.items[index] = itemFailed
		w.op("an item fails")
	}
}

// handsOut looks at an item that a worker gets: it must be open, and the one that its task says.
func (j *Judge) handsOut(t *track, s *shard.Spec) {
	_, l, index := t.listAt(s.Step)
	switch {
	case s.Undo:
		if _, of, is := t.s.ItemOf(t.s.Target(s.Step)); is != (s.Item != nil) || is && of != s.Item.Index {
			j.w.fail("%s: %s is handed out as item %+v", t.id, t.s.Name(s.Step), s.Item)
		}
	case l == nil || index < 0:
		if s.Item != nil {
			j.w.fail("%s step %d is handed out as item %d, and is none", t.id, s.Step, s.Item.Index)
		}
	case s.Item == nil || s.Item.Index != index:
		j.w.fail("%s step %d is item %d, and is handed out as %+v", t.id, s.Step, index, s.Item)
	case l.items[index] != itemOpen && t.s.Status == replay.Running && !l.failed:
		j.w.fail("%s step %d is handed out, and the items of its step are %v", t.id, s.Step, l.items)
	}
}
