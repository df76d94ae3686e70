package shard

import (
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/worker"
)

// LocalBeat is a heartbeat of a handler in this process.
type LocalBeat struct {
	Slot    *leases.Slot
	Details []byte
}

func (in *LocalBeat) reads() {}

func (in *LocalBeat) admit(r *Shard) {
	if in.Slot.State == leases.Leased {
		r.Hub.Beat(in.Slot, r.now.Mono, true, in.Details)
	}
}

// LocalLog is what a handler in this process wrote to its log while it goes on.
type LocalLog struct {
	Slot    *leases.Slot
	Attempt uint32
	Log     *worker.LogPart
}

func (in *LocalLog) reads() {}

func (in *LocalLog) admit(r *Shard) {
	if s := in.Slot; s.Attempt == in.Attempt && (s.State == leases.Leased || s.State == leases.Cancelled) {
		r.said(leases.Token{Run: s.Run, Step: s.Step, Attempt: s.Attempt}, in.Log)
	}
}

// said keeps what an attempt wrote to its log. Nothing is decided by it: it is let go when there is no space, or no such run in memory.
func (r *Shard) said(of leases.Token, log *worker.LogPart) {
	if log == nil || log.Text == "" || r.full {
		return
	}
	run, err := r.run(of.Run)
	if err != nil || run == nil {
		return
	}
	text := []byte(log.Text)
	at := log.At
	if over := len(text) - journal.MaxSaid; over > 0 {
		text, at = text[over:], at+uint64(over)
	}
	r.b.Said = append(r.b.Said, journal.Said{Run: of.Run, Step: run.S.Name(of.Step), Attempt: of.Attempt, At: at, Text: text})
}

// Serve says how this process runs a handler. It reports false when it does already.
func (r *Shard) Serve(service, name string, fn worker.Func) bool {
	h := r.Hub.Handler(service, name)
	if h.Local != nil {
		return false
	}
	h.Local = fn
	return true
}
