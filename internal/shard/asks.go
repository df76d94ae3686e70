package shard

import (
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/replay"
)

// What a run's expressions come to is worked out outside of the loop: they read outputs that are not in memory, and take their time. The
// shard asks when what they read is durable, goes on with other things, and records the answer when it comes. An answer that nobody
// waits for any more is let go.

// Question is what the expressions of one instance need, with the names of the steps that are settled or that its expressions may name.
type Question struct {
	Ask      replay.Ask
	Run      uint64
	Step     replay.Instance
	No       uint64 // of the question
	ID       string
	Workflow string
	Version  uint32
	Created  int64  // Unix ms
	Parent   []byte // JSON: the run that started it, and for which step; nil: none did
	Name     string
	What     *replay.Spec
	Fill     bool // its templates are to be worked out, if it starts
	FillKeys bool // those of its object keys, too
	Input    replay.Payload
	Fate     []byte               // JSON: that of the run, of a step of finally; nil of others
	Steps    map[string]StepValue // those that its expressions name
	Output   replay.Payload       // of the round, when that is what is asked about
	Round    uint32               // from 0
	Template []byte               // of the run's output, when that is what is asked for
	When     bool                 // its condition is asked for
	ForEach  bool                 // the list that it goes over is, if that condition is true
	Item     *Item                // it is one of a list, or its items are of that list; nil: neither
	Items    []int                // whose templates are asked for
	Outputs  []replay.Payload     // of its items, in order, when they are to be put together
	Give     replay.ChildInput    // what a child that starts is given
	Child    uint64               // a run that has ended: what did it give? 0: this is not asked
	ChildID  string
}

// Item is an item of a list that a step goes over.
type Item struct {
	List  replay.Payload
	Index int
}

// itemOf gives the item that an instance is; nil: it is none.
func itemOf(s *replay.State, i replay.Instance) *Item {
	step, index, is := s.ItemOf(i)
	if !is {
		return nil
	}
	list, _ := s.List(step)
	return &Item{list, index}
}

// StepValue is what an expression sees of a step.
type StepValue struct {
	State  string
	Output *replay.Payload   // nil: it did not complete
	Error  *replay.StepError // nil: it did not fail
}

// Evaluated is the answer to a Question.
type Evaluated struct {
	Run  uint64
	Step replay.Instance
	No   uint64
	Got  replay.Evaluated

	Child *replay.State    // the child that the step had before, as it ended: then Got.Input is what it gave
	End   *replay.ChildEnd // how the child of the number Of ended, which its parent, Run, does not know
	Of    uint64           // End nil: that child was retried since
}

type pending struct {
	run  *Run
	step replay.Instance
	no   uint64
}

// want asks what an instance waits for, when all that the shard has decided by now is durable.
func (r *Shard) want(run *Run, i replay.Instance) {
	ask := run.S.Asks(i)
	if run.asked[i] != 0 || ask == replay.AskNothing || ask == replay.AskChild && r.isHeld(run.S.Run) {
		return
	}
	if run.asked == nil {
		run.asked = map[replay.Instance]uint64{}
	}
	r.asks++
	run.asked[i] = r.asks
	if ask == replay.AskChild {
		r.nursery.births = append(r.nursery.births, &birth{run: run.S.Run, step: i, no: r.asks})
		return
	}
	r.b.asks = append(r.b.asks, pending{run, i, r.asks})
}

// question puts a question, unless the state has moved on.
func (r *Shard) question(a pending) {
	s := a.run.S
	if a.run.asked[a.step] != a.no || r.cfg.Evaluate == nil {
		return
	}
	b := r.nursery.reads[a.no]
	q := &Question{Ask: s.Asks(a.step), Run: s.Run, Step: a.step, No: a.no, ID: s.ID, Workflow: s.Workflow, Version: s.Version, Created: s.CreatedAt,
		Parent: archive.ParentJSON(s.Parent), Input: s.Input}
	refs := s.Graph.OutputRefs
	if a.step == replay.RunItself {
		q.Template = s.Graph.Def.Output
	} else {
		q.ofStep(s, a.step)
		if c, had := s.Child(a.step); had && b != nil && !b.fresh {
			q.ChildID = c.ID
		}
		refs = s.Refs(a.step)
	}
	if len(refs) > 0 {
		q.Steps = make(map[string]StepValue, len(refs))
		for _, i := range refs {
			q.Steps[s.Name(i)] = stepValue(s.At(i))
		}
	}
	if q.Ask != replay.AskNothing {
		r.cfg.Evaluate(q)
	}
}

// ofStep puts in what a question about a step needs.
func (q *Question) ofStep(s *replay.State, i replay.Instance) {
	q.Name, q.What = s.Name(i), s.Spec(i)
	if s.KnowsFate(i) {
		q.Fate = s.FateJSON()
	}
	q.Fill, q.FillKeys = s.Templates(i)
	switch q.Ask {
	case replay.AskUntil:
		q.Output, q.Item = s.At(i).Output, itemOf(s, i)
		q.Round, _ = s.Round(i)
	case replay.AskStart:
		c, _ := s.Condition(i)
		_, known := s.List(i)
		q.When, q.ForEach = q.What.When != "" && !c.Yes, q.What.ForEach != nil && !known
	case replay.AskItems:
		q.Items, q.FillKeys = s.NextItems(i)
		list, _ := s.List(i)
		q.Item = &Item{List: list}
	case replay.AskOutput:
		q.Outputs = s.Outputs(i)
	case replay.AskChild:
		q.Give = s.ChildInput(i)
	}
}

func stepValue(st *replay.Step) StepValue {
	v := StepValue{State: st.State.String()}
	switch st.State {
	case replay.StepCompleted:
		v.Output = &st.Output
	case replay.StepFailed:
		v.Error = st.Error
	}
	return v
}

func (in *Evaluated) needs(r *Shard) bool { return in.End == nil || r.needRun(in.Run) }

func (in *Evaluated) admit(r *Shard) {
	if in.Of != 0 && in.End == nil {
		if r.inBooks(in.Of) { // else it has ended again, and that is told by itself
			r.told(in.Of)
		}
		return
	}
	if b := r.nursery.reads[in.No]; b != nil && in.End == nil {
		in.born(r, b)
		return
	}
	run, err := r.run(in.Run)
	switch {
	case run != nil && err == nil:
		r.give(run, in)
	case in.End != nil && err == nil && r.newer[in.Run] == nil: // nobody waits for it any more
		r.told(in.Of)
	}
}

func (in *Evaluated) fold(r *Shard, run *Run, t *replay.Turn) {
	if in.End != nil {
		t.ChildOver(in.Step, *in.End)
		r.told(in.Of)
		return
	}
	if run.asked[in.Step] != in.No {
		return
	}
	delete(run.asked, in.Step)
	t.Evaluated(in.Step, in.Got)
}
