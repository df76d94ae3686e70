package shard

import (
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/meter"
	"github.com/agnt5/agnt5d/replay"
)

// meters counts by workflow, step and handler. Its labels are bounded: what comes after the first few hundred shares one.
type meters struct {
	flows    meter.Family[string, FlowMeter]
	steps    meter.Family[StepKey, meter.Histogram]
	handlers meter.Family[*leases.Handler, HandlerMeter]
	timerLag meter.Histogram

	schedules meter.Family[ScheduleKey, uint64]
}

// ScheduleKey names an outcome of the due times of a schedule.
type ScheduleKey struct{ Schedule, Outcome string }

// FlowMeter is what is counted of a workflow's runs.
type FlowMeter struct {
	Open                         int // running or quarantined
	Completed, Failed, Cancelled uint64
	Took                         [3]meter.Histogram // completed, failed, cancelled
}

// StepKey names a step of a workflow.
type StepKey struct{ Workflow, Step string }

// HandlerMeter is what is counted of a handler's attempts.
type HandlerMeter struct {
	Completed, Failed, Lost uint64
	Waited                  meter.Histogram // from the step's scheduling to the attempt's start
}

func newMeters() *meters {
	m := &meters{}
	m.flows.Rest = meter.Other
	m.schedules.Limit, m.schedules.Rest = 900, ScheduleKey{meter.Other, meter.Other}
	m.steps.Limit, m.steps.Rest = 900, StepKey{meter.Other, meter.Other}
	return m
}

// open counts a run that is open, or is so no more.
func (m *meters) open(workflow string, n int) { m.flows.Of(workflow).Open += n }

// ended counts a run that has ended.
func (m *meters) ended(s *replay.State) {
	f := m.flows.Of(s.Workflow)
	f.Open--
	took := s.EndedAt - s.CreatedAt
	switch s.Status {
	case replay.Completed:
		f.Completed++
		f.Took[0].Milliseconds(took)
	case replay.Failed:
		f.Failed++
		f.Took[1].Milliseconds(took)
	case replay.Cancelled:
		f.Cancelled++
		f.Took[2].Milliseconds(took)
	}
}

// started counts how long a step waited until a worker took it.
func (m *meters) started(run *Run, slot *leases.Slot) {
	m.handler(run, slot.Step).Waited.Milliseconds(slot.StartedAt - slot.OfferedAt)
}

// answered counts an attempt's outcome, and how long it took. slot is nil for one that outlived a restart.
func (m *meters) answered(run *Run, step int32, slot *leases.Slot, now int64, completed bool) {
	h := m.handler(run, step)
	began := run.S.At(step).Since
	if slot != nil {
		began = slot.StartedAt
	}
	if !completed {
		h.Failed++
		return
	}
	h.Completed++
	m.step(run, step).Milliseconds(now - began)
}

// lost counts an attempt whose worker went away.
func (m *meters) lost(run *Run, step int32) { m.handler(run, step).Lost++ }

// handler gives the meter of the handler that a task of the run wants.
func (m *meters) handler(run *Run, step int32) *HandlerMeter {
	served := run.def.served
	step = run.S.Shared(step)
	if int(step) >= len(served) {
		return m.handlers.Of(run.handlerOf(step))
	}
	if served[step] == nil {
		served[step] = m.handlers.Of(run.handlerOf(step))
	}
	return served[step]
}

// step gives the meter of a step. Most definitions belong to one workflow, whose meters stand with it.
func (m *meters) step(run *Run, step int32) *meter.Histogram {
	def := run.def
	step = run.S.Shared(step)
	if def.metered == nil {
		def.metered, def.meteredAs = make([]*meter.Histogram, len(def.handlers)), run.S.Workflow
	}
	if def.meteredAs != run.S.Workflow || int(step) >= len(def.metered) {
		return m.steps.Of(StepKey{run.S.Workflow, run.S.Spec(step).Name})
	}
	if def.metered[step] == nil {
		def.metered[step] = m.steps.Of(StepKey{run.S.Workflow, run.S.Spec(step).Name})
	}
	return def.metered[step]
}

// Figures are the meters at one moment.
type Figures struct {
	Flows    map[string]FlowMeter
	Steps    map[StepKey]meter.Histogram
	Handlers map[HandlerKey]HandlerFigures
	TimerLag meter.Histogram

	Schedules map[ScheduleKey]uint64 // due times that were decided
	Overdue   int64                  // ms for which the oldest due time that is not decided has been due
}

// HandlerKey names a handler.
type HandlerKey struct{ Service, Handler string }

// HandlerFigures are a handler's meter, and what waits for it now.
type HandlerFigures struct {
	HandlerMeter
	Queued int
	Oldest int64 // Unix ms: since when the step waits that has waited longest; 0: none does
}

// Figures copies the meters.
func (r *Shard) Figures() Figures {
	f := Figures{Flows: r.meters.flows.Snapshot(), Steps: r.meters.steps.Snapshot(), Handlers: map[HandlerKey]HandlerFigures{}, TimerLag: r.meters.timerLag,
		Schedules: r.meters.schedules.Snapshot(), Overdue: r.Overdue()}
	counted := r.meters.handlers.Snapshot()
	for h := range r.Hub.Handlers {
		key := HandlerKey{h.Service, h.Name}
		mine, own := counted[h]
		if !own && len(f.Handlers) >= 2*meter.Most {
			key = HandlerKey{meter.Other, meter.Other}
		}
		got := f.Handlers[key]
		if own {
			got.HandlerMeter = mine
		}
		got.Queued += h.Queued()
		if at := h.Oldest(); at != 0 && (got.Oldest == 0 || at < got.Oldest) {
			got.Oldest = at
		}
		f.Handlers[key] = got
	}
	if rest, some := counted[nil]; some {
		key := HandlerKey{meter.Other, meter.Other}
		got := f.Handlers[key]
		got.HandlerMeter = rest
		f.Handlers[key] = got
	}
	return f
}

// sleeps counts a run that is put away, by the state that its snapshot holds.
func (m *meters) sleeps(state []byte, n int) {
	if name, err := replay.WorkflowOf(state); err == nil {
		m.open(name, n)
	}
}

// closeAll forgets which runs are open, before they are counted anew.
func (m *meters) closeAll() {
	for f := range m.flows.All {
		f.Open = 0
	}
}
