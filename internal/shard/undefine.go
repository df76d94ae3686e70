package shard

import (
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
)

// Whether a run uses a version of a workflow the journal knows, and it takes a while to look. So a deletion goes in two steps: Usage says
// how many runs were started with each version, when all of these are in the journal; and Undefine, after a look there, deletes unless
// one was started meanwhile.

// Usage is how many runs were started with each version of a workflow, in order, since the shard was made.
type Usage struct {
	Name  string
	Reply func([]uint64, error)
}

func (in *Usage) refuse(err error) { in.Reply(nil, err) }
func (in *Usage) asks()            {}

func (in *Usage) admit(r *Shard) {
	started := r.flows[in.Name].used()
	r.tell(in, func(err error) { in.Reply(started, err) })
}

func (w *Workflow) used() (started []uint64) {
	if w != nil {
		for _, v := range w.Versions {
			started = append(started, v.started)
		}
	}
	return started
}

// Undefine deletes a version of a workflow that no run uses, or every one.
type Undefine struct {
	By      string // who asks
	Name    string
	Version uint32   // 0: all of them
	Started []uint64 // as Usage gave it
	Reply   func(error)
}

func (in *Undefine) refuse(err error) { in.Reply(err) }
func (in *Undefine) asks()            {}

func (in *Undefine) admit(r *Shard) {
	w := r.flows[in.Name]
	if w == nil || w.Current == 0 || int(in.Version) > len(w.Versions) || in.Version != 0 && w.Versions[in.Version-1].Digest == "" {
		in.refuse(refusal.ErrWorkflowNotFound)
		return
	}
	if in.Version == w.Current {
		r.tell(in, func(err error) { in.answer(err, refusal.ErrVersionCurrent) })
		return
	}
	if r.noRoom(in) {
		return
	}
	for i := range w.Versions {
		v := &w.Versions[i]
		if meant := in.Version == 0 || in.Version == v.Version; meant && (i >= len(in.Started) || v.started != in.Started[i]) {
			in.refuse(refusal.ErrWorkflowInUse)
			return
		}
	}
	for i := range w.Versions {
		v := &w.Versions[i]
		if in.Version != 0 && in.Version != v.Version || v.Digest == "" {
			continue
		}
		r.b.Definitions = append(r.b.Definitions, journal.Definition{Name: in.Name, Version: v.Version, At: v.At})
		r.system(event.Event{Kind: event.WorkflowDeleted, Name: in.Name, Version: v.Version, Digest: string(v.Digest), By: in.By})
		v.Digest = ""
	}
	if in.Version == 0 {
		w.Current = 0
	}
	r.tell(in, func(err error) { in.answer(err, nil) })
}

func (in *Undefine) answer(err, why error) {
	if err == nil {
		err = why
	}
	in.Reply(err)
}
