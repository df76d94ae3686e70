package shard_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/internal/sim"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// foresee plans what an operator is about to do, and says whether that came true: it is called for everything that stories, and comparisons with
// the second model, do.
func (s *story) foresee(in []any) (check func()) {
	if len(in) != 1 {
		return func() {}
	}
	var id string
	var d replay.Deed
	var refused error
	answers := 0
	answer := func(reply func(error)) func(error) {
		return func(err error) {
			answers++
			refused = err
			reply(err)
		}
	}
	switch in := in[0].(type) {
	case *shard.Correct:
		id, d, in.Reply = in.ID, replay.Deed{As: in.As, Step: in.Step, Output: in.Output, Reason: in.Reason}, answer(in.Reply)
	case *shard.Retry:
		id, d, in.Reply = in.ID, replay.Deed{Retry: true, Reason: in.Reason}, answer(in.Reply)
	case *shard.Cancel:
		id, d, in.Reply = in.ID, replay.Deed{Force: in.Force, Reason: in.Reason}, answer(in.Reply)
	default:
		return func() {}
	}
	before, working := s.ended(id), map[replay.Instance]string(nil)
	if run := s.shard.Of(id); run != nil {
		var err error
		if before, err = run.S.Copy(); err != nil {
			s.t.Fatal(err)
		}
		_, working = s.shard.Working(run)
	}
	if before == nil { // it is put away, or not there
		return func() {}
	}
	was := string(before.Append(nil))
	plan, err := before.PlanOf(&d, s.now.Wall, working)
	if string(before.Append(nil)) != was {
		s.t.Errorf("a plan of %+v changes the run", d)
	}
	kids := func() {}
	if err == nil {
		kids = s.children(d, before, plan)
	}
	return func() {
		if answers == 1 && fmt.Sprint(refused) != fmt.Sprint(err) {
			s.t.Errorf("%+v of run %s: the plan says %v, and then it was %v", d, id, err, refused)
		}
		if err != nil || refused != nil || before.Status == replay.Cancelled && !d.Retry {
			return
		}
		after := s.follows(before)
		if after == nil {
			s.t.Errorf("%+v of run %s was done, and nothing is recorded", d, id)
			return
		}
		if got, want := planText(plan), planText(replay.Between(before, after)); got != want {
			s.t.Errorf("%+v of run %s: the plan says\n%s\nand then it was\n%s", d, id, got, want)
		}
		if s.foreseen == nil {
			s.foreseen, s.kids = map[replay.Correction]int{}, map[string]int{}
		}
		kids()
		s.foreseen[d.As]++
	}
}

// follows is the state of a run after the next record, and after those in which times that are overdue then come; nil: there is no record.
func (s *story) follows(before *replay.State) (after *replay.State) {
	_ = s.disk.Scan(before.LastSeq, 1<<30, func(r journal.Record) error {
		if r.Run != before.Run || r.Seq <= before.LastSeq || after != nil && !overdue(after, s.now.Wall) {
			return nil
		}
		var err error
		if after, err = s.archive().FoldRun(before.Run, r.Seq); err != nil {
			s.t.Fatal(err)
		}
		return nil
	})
	return after
}

func overdue(s *replay.State, now int64) (is bool) {
	s.Dues(func(_ replay.Instance, due int64) { is = is || due <= now })
	return is && s.Status.Live()
}

// children says of each child that a plan knows of what becomes of it, and holds that against what then was: one that is taken up goes on for the next
// attempt of its step, if there is one, and one that is replaced does not.
func (s *story) children(d replay.Deed, before *replay.State, plan *replay.Plan) (check func()) {
	all := plan.Children()
	for k := range all {
		all[k].Known(before.Run, s.stateOf(all[k].ID), s.now.Wall)
	}
	return func() {
		starts := map[replay.Instance]*event.Event{}
		_ = s.disk.Scan(before.LastSeq, 1<<30, func(r journal.Record) error {
			if r.Run != before.Run || r.Seq <= before.LastSeq {
				return nil
			}
			events, _ := event.DecodeAll(r.Body)
			for i := range events {
				if e := &events[i]; e.Kind == event.ChildStarted && starts[e.Step] == nil {
					starts[e.Step] = e
				}
			}
			return nil
		})
		for _, c := range all {
			e := starts[c.Of]
			if taken := c.What == replay.ChildIsTaken; e != nil && taken != (e.ID == c.ID) && c.What != replay.ChildIsCancelled {
				s.t.Errorf("%+v of run %s: the plan says that child %s of %s is %s %s, and then %s started", d, before.ID, c.ID, plan.Name(c.Of), c.What, c.Why, e.ID)
			} else if e != nil {
				s.kids[c.What]++
			}
		}
		for i, e := range starts {
			if e.Forced && !slices.ContainsFunc(all, func(c replay.PlannedChild) bool { return c.Of == i && c.ID == e.ID }) {
				s.t.Errorf("%+v of run %s: child %s went on, and the plan does not name it", d, before.ID, e.ID)
			}
		}
	}
}

// stateOf is a run as it is now; nil: it is not there.
func (s *story) stateOf(id string) *replay.State {
	if run := s.shard.Of(id); run != nil {
		c, err := run.S.Copy()
		if err != nil {
			s.t.Fatal(err)
		}
		return c
	}
	return s.ended(id)
}

// planText is all that a plan says, but for the workers of attempts whose starts the journal did not know.
func planText(p *replay.Plan) string {
	text := fmt.Sprintf("%s, fate %s, reopened %v\n", p.After.Status, p.After.Fate, p.Reopens())
	for _, c := range p.Changes() {
		text += fmt.Sprintf("%s is %s %s\n", p.Name(c.Of), c.Is, c.Why)
	}
	for _, o := range p.Attempts() {
		text += fmt.Sprintf("attempt %d of %s is cancelled\n", o.Attempt, p.Name(o.Step))
	}
	for _, c := range p.Children() {
		text += fmt.Sprintf("child %s of %s is %s\n", c.ID, p.Name(c.Of), c.What)
	}
	return text + fmt.Sprint(p.Evaluates, p.Again, p.Compensates(), p.Finally())
}

const plannedFlows = `workflow parcel
  steps:
    - {name: label, service_name: svc, handler_name: h, compensate: {handler_name: undo}}
    - {name: hand, service_name: svc, handler_name: h, dependencies: [label], retry: {max_attempts: 1}}
workflow order
  steps:
    - {name: pack, type: workflow, workflow_name: parcel, for_each: "input"}
    - {name: nap, type: wait_timer, timer: {key: nap, delay_ms: 60000}}
    - {name: book, service_name: svc, handler_name: h, dependencies: [nap, pack]}
    - {name: ask, type: wait_signal, signal: {name: ok, timeout_ms: 50000}, dependencies: [nap]}
workflow plain
  steps:
    - {name: hand, service_name: svc, handler_name: h, retry: {max_attempts: 1}}
workflow one
  steps:
    - {name: pack, type: workflow, workflow_name: plain}
`

// What a plan says of waits that are overdue and of children is what then happens.
func TestAPlanKnowsWhatIsOverdueAndWhatChildrenAre(t *testing.T) {
	for _, c := range []struct {
		name, before string
		deed         replay.Deed
		want         []string // lines of the plan
		not          []string // what it does not say
		then         string   // the deed, and what comes to the test after it
	}{
		{"completing a step whose items have children leaves those", `start r order [1]
complete r/pack[0] label
fail r/pack[0] hand
complete r/pack[0] label/undo
advance 1s`,
			replay.Deed{As: replay.CorrectComplete, Step: "pack", Output: []byte("[1]")},
			[]string{"pack is completed", "nap is waiting"}, []string{"child "}, `correct r pack complete [1]`},
		{"waits that are overdue are over at once", `start r order [1]
complete r/pack[0] label
fail r/pack[0] hand
complete r/pack[0] label/undo
advance 2m`,
			replay.Deed{As: replay.CorrectSkip, Step: "pack"},
			[]string{"nap is completed", "book is skipped dependency", "ask is waiting"}, []string{"nap is waiting", "child "}, `correct r pack skip`},
		{"a child that was compensated is replaced", `start r order [1]
complete r/pack[0] label
fail r/pack[0] hand
complete r/pack[0] label/undo`,
			replay.Deed{Retry: true}, []string{"child of pack[0] is replaced steps of it were compensated"}, nil, `retry r`},
		{"a child that only failed is taken up", `start r one
fail r/pack hand`,
			replay.Deed{Retry: true}, []string{"child of pack is taken_up"}, nil, `retry r`},
		{"a child that was deleted is replaced", `start r one
fail r/pack hand
delete r/pack`,
			replay.Deed{Retry: true}, []string{"child of pack is replaced it was deleted"}, nil, `retry r`},
		{"a child that is cancelled compensates what it did", `start r order [1,2]
complete r/pack[0] label
complete r/pack[1] label`,
			replay.Deed{}, []string{"child of pack[0] is cancelled, compensates label", "child of pack[1] is cancelled, compensates label"}, nil, `cancel r`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &story{t: t, disk: sim.NewDisk(0), now: shard.Now{Wall: 1_800_000_000_000, Mono: 1}, tasks: map[string]*shard.Spec{}}
			s.boot()
			s.do(plannedFlows)
			s.do(c.before)
			before := s.stateOf("r")
			plan, err := before.PlanOf(&c.deed, s.now.Wall, nil)
			if err != nil {
				t.Fatal(err)
			}
			text := planText(plan)
			for _, k := range plan.Children() {
				k.Known(before.Run, s.stateOf(k.ID), s.now.Wall)
				line := fmt.Sprintf("child of %s is %s", plan.Name(k.Of), k.What)
				if k.Why != "" {
					line += " " + k.Why
				}
				if k.Compensates != nil {
					line += ", compensates " + strings.Join(k.Compensates, " ")
				}
				text += "\n" + line
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("the plan says\n%s\nwant %q", text, want)
				}
			}
			for _, not := range c.not {
				if strings.Contains(text, not) {
					t.Errorf("the plan says\n%s\nwithout %q", text, not)
				}
			}
			s.do(c.then)
			if s.said != nil || len(s.foreseen) == 0 {
				t.Errorf("nothing was held against the plan; %v", s.said)
			}
		})
	}
}
