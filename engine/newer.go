package engine

import (
	"encoding/json"
	"sync"

	"github.com/agnt5/agnt5d/internal/fold"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// newerCode is the reason of a run that waits for a newer release.
const newerCode = "newer_release"

// NewerError refuses what was asked of a run that a newer release of agnt5d wrote on.
type NewerError = shard.NewerError

// Newer makes a NewerError of an error that wraps ErrNewerRelease.
func Newer(run uint64, err error) *NewerError {
	n, _ := shard.IsNewer(run, err)
	return n
}

// newerRuns is the runs that wait for a newer release, by number.
type newerRuns struct {
	mu  sync.Mutex
	all map[uint64]shard.Newer
}

func (n *newerRuns) of(run uint64) (*shard.NewerError, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	got, ok := n.all[run]
	return &shard.NewerError{Newer: got}, ok
}

func (n *newerRuns) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.all)
}

// waits hears of a run that waits for a newer release.
func (e *Engine) waits(n shard.Newer) {
	e.newer.mu.Lock()
	if e.newer.all == nil {
		e.newer.all = map[uint64]shard.Newer{}
	}
	e.newer.all[n.Run] = n
	e.newer.mu.Unlock()
	e.o.Logger.Warn("a run waits for the newer release of agnt5d that wrote it", "run", n.Run, "record", n.Seq, "why", n.Why)
}

// newerLook is what is known of a run that waits, beside what its understood events say.
type newerLook struct {
	head journal.Head
	why  *shard.NewerError
}

// lookNewer reads a run that a newer release wrote on: its events up to the first that is not understood, and its head.
func (e *Engine) lookNewer(id string, err error) (*look, error) {
	h, herr := e.head(id)
	if herr != nil {
		return nil, herr
	}
	why, _ := shard.IsNewer(h.Run, err)
	if n, waits := e.newer.of(h.Run); waits {
		why = n
	}
	s, err := fold.Run(e.j, h.Run, max(h.LastSeq, why.Last), e.graph)
	if err != nil && s == nil {
		if _, newer := shard.IsNewer(h.Run, err); !newer {
			return nil, e.hurt(h.Run, err)
		}
	}
	return newerLookOf(id, s, h, why), nil
}

func newerLookOf(id string, s *replay.State, h journal.Head, why *NewerError) *look {
	return &look{s: s, newer: &newerLook{h, why}, reasons: []Reason{{Code: newerCode, Detail: why.Error(), Command: "agnt5d history " + id}}}
}

// statusNewer gives a run that waits: where it stands its head says, its steps are those of the events that are understood.
func (e *Engine) statusNewer(l *look, o statusOptions) (*Status, error) {
	h := &l.newer.head
	out := &Status{WorkflowID: h.ID, WorkflowName: h.Workflow, Version: h.Version, CreatedAt: replay.FormatTime(h.CreatedAt), Steps: map[string]StepStatus{},
		StepCounts: map[string]int{}, Reasons: l.reasons, Input: json.RawMessage("null"), Output: json.RawMessage("null")}
	if l.s != nil {
		var err error
		if out, err = e.statusOf(l, o); err != nil {
			return nil, err
		}
	}
	out.State, out.Reason, out.CompletedAt = replay.RunState(h.State).String(), l.newer.why.Error(), ""
	if h.EndedAt != 0 {
		out.CompletedAt = replay.FormatTime(h.EndedAt)
	}
	out.LastSeq, out.Events = max(h.LastSeq, l.newer.why.Last), max(h.Events, l.newer.why.Events)
	return out, nil
}
