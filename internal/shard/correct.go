package shard

import (
	"cmp"
	"fmt"

	"github.com/agnt5/agnt5d/replay"
)

// Correct ends a step as an operator says. State is the run folded from the journal when the shard said ErrAway.
type Correct struct {
	By       string // who asks
	ID, Step string
	As       replay.Correction
	Output   []byte // of one that is completed
	Reason   string
	State    *replay.State
	Reply    func(error)
}

func (in *Correct) refuse(err error) { in.Reply(err) }
func (in *Correct) asks()            {}

func (in *Correct) admit(r *Shard) {
	run, err := r.find(in.ID)
	if err == ErrAway && in.State != nil && !r.deleting[in.ID] {
		run, err = r.comeBack(in.State)
	}
	if err = cmp.Or(r.Deleting(in.ID), err); err != nil {
		in.refuse(err)
		return
	}
	r.give(run, in)
}

func (in *Correct) fold(r *Shard, run *Run, t *replay.Turn) {
	r.do(in, run, t, in.By, &replay.Deed{As: in.As, Step: in.Step, Output: in.Output, Reason: in.Reason}, in.Reply)
}

// corrected takes a step, and its items, from whoever has it.
func (r *Shard) corrected(run *Run, i replay.Instance) {
	why := fmt.Sprintf("an operator ended step %q", run.S.Name(i))
	delete(run.asked, i)
	r.stopOne(run, i, why)
	for item := range run.S.Items(i) {
		delete(run.asked, item)
		r.stopOne(run, item, why)
	}
}
