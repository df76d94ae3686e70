package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/crew"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/worker"
)

// attempt is one attempt in this process, and the context of its handler. All that it needs lies in one place.
type attempt struct {
	crew.Attempt
	task worker.Task
	spec shard.Spec
	out  shard.Outcome
	log  worker.LogBuffer
	eng  *Engine
}

// LogDue brings what the handler wrote to its log to the shard.
func (a *attempt) LogDue() {
	if p := a.log.Part(); p != nil {
		a.eng.send(&shard.LocalLog{Slot: a.spec.Slot, Attempt: a.spec.Attempt, Log: p})
		a.log.Taken(p)
	}
}

// room makes an attempt, and gives where its Spec lies. The loop calls it.
func (e *Engine) room(slot *leases.Slot) *shard.Spec {
	a := &attempt{eng: e}
	a.Task = &a.task
	a.log.Taker = a
	slot.Data = a
	return &a.spec
}

// execute runs an attempt that has its Spec in a goroutine of its own while it lasts. The loop calls it.
func (e *Engine) execute(spec *shard.Spec) {
	a := spec.Slot.Data.(*attempt)
	e.tasks.Add(1)
	e.crew.Hand(a, runAttempt)
}

func runAttempt(a *attempt) { a.eng.run(a) }

func (e *Engine) run(a *attempt) {
	var got worker.Outcome
	defer e.tasks.Done()
	defer func() { e.ended(a, &got) }() // deferred: a handler may end this goroutine
	if err := e.fillTask(&a.spec, &a.task); err != nil {
		got = *unfilled(err)
		return
	}
	a.task.OnLog(&a.log)
	a.task.OnHeartbeat(a)
	worker.Run(a, a.spec.Slot.Handler.Local, &a.task, &got)
}

// ended brings what came of an attempt to the shard.
func (e *Engine) ended(a *attempt, got *worker.Outcome) {
	a.Cancel(context.Canceled) // what the handler left running
	a.out.Slot = a.spec.Slot
	a.log.Close()
	got.Log = a.log.Part()
	e.send(e.outcome(&a.out, got))
}

// outcome checks what a handler answered, wherever it runs, and makes the shard's input of it. Its texts are cut here.
func (e *Engine) outcome(in *shard.Outcome, o *worker.Outcome) *shard.Outcome {
	in.Log = o.Log
	switch o.Status {
	case worker.Completed:
		if why := e.fill(in, o); why != nil {
			return invalid(in, why.Error())
		}
		return in
	case worker.Failed:
	default:
		return invalid(in, fmt.Sprintf("status %q: want completed or failed", worker.Cut(o.Status, 64)))
	}
	f := &replay.AttemptError{Code: failure.HandlerError, Message: "the handler failed without a message", Hash: in.Hash}
	if o.Error != nil {
		told := *o.Error
		told.Cut()
		f.Code, f.Message, f.Type, f.Stack = orString(told.Code, worker.CodeOf(told.Retryable)), told.Message, told.Type, told.Stack
		f.Final = o.Error.Retryable != nil && !*o.Error.Retryable
		if o.Error.RetryAfterMS > 0 {
			f.NotBefore = e.o.Clock.Now().UnixMilli() + o.Error.RetryAfterMS
		}
	}
	in.Fail = f
	return in
}

// invalid makes of an outcome that cannot be recorded a failure for good.
func invalid(in *shard.Outcome, why string) *shard.Outcome {
	in.Invalid = true
	in.Fail = &replay.AttemptError{Code: failure.OutcomeInvalid, Message: worker.Cut(why, worker.MaxMessage), Final: true, Hash: in.Hash}
	return in
}

func orString(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func (e *Engine) fill(in *shard.Outcome, o *worker.Outcome) error {
	in.Output = o.Output
	if len(in.Output) == 0 {
		in.Output = json.RawMessage("null")
	}
	if err := e.checkPayload("output", in.Output); err != nil {
		return err
	}
	size := len(in.Output)
	for key, state := range o.Objects {
		if size += len(state); size > maxOutcome {
			return &PayloadError{What: "outcome", Detail: fmt.Sprintf("output and object state are over %d bytes together", maxOutcome), TooBig: true}
		}
		if len(state) == 0 {
			state = json.RawMessage("null")
		}
		if err := flow.ValidObjectKey(key); err != nil {
			return err
		}
		if err := e.checkPayload("object "+key, state); err != nil {
			return err
		}
		in.Objects = append(in.Objects, event.ObjectWrite{Key: key, State: state})
	}
	return nil
}

// PayloadError says that bytes from outside are no good as a payload.
type PayloadError struct {
	What   string // "input", "payload", ...
	Detail string
	TooBig bool
}

func (e *PayloadError) Error() string { return e.What + ": " + e.Detail }

func (e *Engine) checkPayload(what string, b []byte) error {
	if len(b) == 4 && string(b) == "null" {
		return nil
	}
	if len(b) > e.o.MaxPayload {
		return &PayloadError{What: what, Detail: fmt.Sprintf("%d bytes, the limit is %d", len(b), e.o.MaxPayload), TooBig: true}
	}
	if err := flow.CheckJSON(b, e.o.MaxPayload); err != nil {
		return &PayloadError{What: what, Detail: err.Error()}
	}
	return nil
}

// fillTask fills an empty task, and reads what it carries and is not in memory.
func (e *Engine) fillTask(spec *shard.Spec, t *worker.Task) error {
	def := spec.What
	t.WorkflowID, t.WorkflowName, t.Step, t.ServiceName, t.HandlerName = spec.ID, spec.Workflow, spec.Name, def.Service, def.Handler
	t.Attempt, t.IdempotencyKey, t.InputData = spec.Attempt, spec.ID+"/"+spec.Name, def.InputData
	t.ObjectKeys, t.TraceParent, t.TimeoutMS, t.HeartbeatMS = spec.Keys, spec.Trace, spec.Slot.TimeoutMS, spec.Slot.BeatMS
	if t.InputData == nil {
		t.InputData = json.RawMessage("null")
	}
	read := e.archive.Payload
	if spec.Item != nil { // the other items are sent the same
		read = e.archive.Shared
	}
	var err error
	if t.WorkflowInput, err = read(spec.Input); err != nil {
		return fmt.Errorf("workflow input: %w", err)
	}
	if spec.Filled != nil {
		if t.Input, err = e.archive.Payload(*spec.Filled); err != nil {
			return fmt.Errorf("input of the step: %w", err)
		}
	}
	if len(spec.Deps) > 0 {
		if err := e.fillDependencies(spec, t); err != nil {
			return err
		}
	}
	if spec.Undo {
		t.IdempotencyKey = spec.ID + "/" + spec.Name + "/undo"
	} else if spec.Nth > 1 {
		t.IdempotencyKey += fmt.Sprintf("/f%d", spec.Nth)
	}
	if t.Fate = spec.Fate; spec.Undo {
		t.Output = json.RawMessage("null")
		if spec.Output != nil {
			if t.Output, err = e.archive.Payload(*spec.Output); err != nil {
				return fmt.Errorf("output of the step: %w", err)
			}
		}
	}
	if i := spec.Item; i != nil {
		t.Index = &i.Index
		if t.Item, err = e.archive.Item(i.List, i.Index); err != nil {
			return fmt.Errorf("item %d: %w", i.Index, err)
		}
	}
	if r := spec.Round; r != nil {
		t.Round = &r.N
		if r.N > 0 {
			t.IdempotencyKey += fmt.Sprintf("/r%d", r.N+1)
		}
		if t.Previous, err = e.archive.Payload(r.Previous); err != nil {
			return fmt.Errorf("output of the round before: %w", err)
		}
	}
	if len(spec.Errors) > 0 {
		t.Errors = make(map[string]worker.StepError, len(spec.Errors))
		for step, e := range spec.Errors {
			t.Errors[step] = worker.StepError{Code: e.Code, Message: e.Message, Type: e.Type, Attempt: e.Attempt}
		}
	}
	if len(spec.Keys) > 0 {
		t.Objects = make(map[string]worker.Object, len(spec.Keys))
		for _, k := range spec.Keys {
			o, _, err := e.j.Object(k)
			if err != nil {
				return fmt.Errorf("object %q: %w", k, err)
			}
			if o.State == nil {
				o.State = []byte("null")
			}
			t.Objects[k] = worker.Object{State: o.State, Version: o.Version, Fence: spec.Fence}
		}
	}
	return nil
}

// cancelAttempt tells a handler in this process that nobody waits for it. The loop calls it.
func (e *Engine) cancelAttempt(slot *leases.Slot, why string) {
	if a, ok := slot.Data.(*attempt); ok {
		a.Cancel(errors.New(why))
	}
}

// Beat carries a handler's heartbeat to the loop.
func (a *attempt) Beat(details json.RawMessage) error {
	if err := context.Cause(a); err != nil {
		return err
	}
	if len(details) > maxDetails {
		return fmt.Errorf("heartbeat details of %d bytes, the limit is %d", len(details), maxDetails)
	}
	a.eng.send(&shard.LocalBeat{Slot: a.spec.Slot, Details: details})
	return nil
}

const (
	maxDetails = 4 << 10
	maxOutcome = 128 << 20 // bytes of all payloads of one outcome: they stand in one record
)
