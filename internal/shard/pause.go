package shard

import (
	"cmp"

	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/replay"
)

// Pause pauses a run, or lets it go on. One that is as wished stays so.
type Pause struct {
	By         string // who asks
	ID, Reason string
	Resume     bool
	Reply      func(error)
}

func (in *Pause) refuse(err error) { in.Reply(err) }
func (in *Pause) asks()            {}

func (in *Pause) admit(r *Shard) {
	r.giveTo(in.ID, nil, in)
}

func (in *Pause) fold(r *Shard, run *Run, t *replay.Turn) {
	t.By = in.By
	is, err := run.S.MatchPause(!in.Resume)
	if err == nil && !is {
		if r.noRoom(in) {
			return
		}
		t.Decide() // what came before it in this turn may have ended the run: then it comes too late
		is, err = run.S.MatchPause(!in.Resume)
	}
	switch {
	case err != nil || is:
	case in.Resume:
		t.Resume(in.Reason)
	default:
		t.Pause(in.Reason)
	}
	r.tell(in, func(failed error) { in.Reply(cmp.Or(failed, err)) })
}

// paused takes back the offers of a run that is paused. What workers have, they go on with.
func (r *Shard) paused(run *Run) {
	r.pauseChildren(run)
	for i := range run.S.All() {
		if slot := r.Hub.Slot(run.S.Run, i); slot != nil && slot.State == leases.Queued {
			r.Hub.Withdraw(run.S.Run, i)
		}
	}
}

// resumed offers what became ready while the run was paused, and puts its times back into the queue.
func (r *Shard) resumed(run *Run) {
	r.pushTimes(run.S)
	r.handOn(run, false)
}
