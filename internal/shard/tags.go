package shard

import (
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/replay"
)

// Tag changes the tags of a run. State is the run folded from the journal when the shard said ErrAway.
type Tag struct {
	By      string // who asks
	ID      string
	Changes []event.Tag
	State   *replay.State
	Reply   func(now []event.Tag, err error)
}

func (in *Tag) refuse(err error) { in.Reply(nil, err) }
func (in *Tag) asks()            {}

func (in *Tag) admit(r *Shard) {
	r.giveTo(in.ID, in.State, in)
}

func (in *Tag) fold(r *Shard, run *Run, t *replay.Turn) {
	t.By = in.By
	if err := run.S.MatchTags(in.Changes); err != nil {
		r.deny(in, err)
		return
	}
	if r.noRoom(in) {
		return
	}
	t.Tagged(in.Changes)
	now := run.S.Tags
	r.tell(in, func(err error) { in.Reply(now, err) })
}
