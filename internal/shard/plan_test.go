package shard_test

import (
	"fmt"

	"github.com/agnt5/agnt5d/internal/shard"
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
	return func() {
		if answers == 1 && fmt.Sprint(refused) != fmt.Sprint(err) {
			s.t.Errorf("%+v of run %s: the plan says %v, and then it was %v", d, id, err, refused)
		}
		if err != nil || refused != nil || before.Status == replay.Cancelled && !d.Retry {
			return
		}
		after := s.nextRecord(before)
		if after == nil {
			s.t.Errorf("%+v of run %s was done, and nothing is recorded", d, id)
			return
		}
		if got, want := planText(plan), planText(replay.Between(before, after)); got != want {
			s.t.Errorf("%+v of run %s: the plan says\n%s\nand then it was\n%s", d, id, got, want)
		}
		if s.foreseen == nil {
			s.foreseen = map[replay.Correction]int{}
		}
		s.foreseen[d.As]++
	}
}

// nextRecord is the state of a run after the first record that follows; nil: there is none.
func (s *story) nextRecord(before *replay.State) *replay.State {
	first := uint64(0)
	_ = s.disk.Scan(before.LastSeq, 1<<30, func(r journal.Record) error {
		if r.Run == before.Run && r.Seq > before.LastSeq && first == 0 {
			first = r.Seq
		}
		return nil
	})
	if first == 0 {
		return nil
	}
	after, err := s.archive().FoldRun(before.Run, first)
	if err != nil {
		s.t.Fatal(err)
	}
	return after
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
