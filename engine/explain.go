package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/nearest"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/signals"
)

// nobody has the books of an engine without a worker.
func nobody() books {
	return books{Shard: shard.New(shard.Config{}), hub: hub.New(hub.Config{})}
}

// ReasonsThen says why a run did not move at a moment of its past, or when its journal was last written, as far as its history tells:
// who served a handler, and who held a key, other histories tell. No command helps there.
func ReasonsThen(s *replay.State) []Reason {
	r := nobody()
	r.past = true
	told := reasons(r, &shard.Run{S: s}, nil)
	for i := range told {
		told[i].Command = ""
	}
	return told
}

// reasons explains every open step of a run in memory, and counts the steps by their state when counts is not nil. The loop calls
// it.
func reasons(r books, run *shard.Run, counts *archive.Counts) []Reason {
	s := run.S
	if counts == nil {
		counts = &archive.Counts{}
	}
	if s.Status == replay.Quarantined {
		return []Reason{{Code: model.ReasonQuarantined, Detail: s.Reason, Command: "agnt5d cancel " + ids.Word(s.ID)}}
	}
	if s.Status.Ended() {
		return nil
	}
	var all []Reason
	if r.Full() {
		all = append(all, Reason{Code: model.ReasonDiskFull, Detail: "the disk is full: nothing is dispatched until there is space"})
	}
	all = append(all, r.pauses(s)...)
	if s.Held {
		all = append(all, Reason{Code: "timer", Detail: "its first steps wait until " + rfc3339.Format(s.StartAt) + r.overdue(s, s.StartAt)})
	}
	if s.Asks(replay.RunItself) != replay.AskNothing {
		all = append(all, Reason{Code: "running", Detail: "every step is settled, and it is worked out what the run gives"})
	}
	if s.Status == replay.Finishing {
		all = append(all, finishing(r, s))
	}
	f := folder{all: all, same: map[*leases.Handler]int{}, more: map[string]int{}, said: map[string]int{}}
	for i, st := range s.All() {
		state := s.Shown(i)
		if state.Open() && f.add(r, run, i, st) {
			state = replay.StepRunning
		}
		if _, _, item := s.ItemOf(i); !item && s.Target(i) == i {
			counts[state]++
		}
	}
	return append(f.all, unknownSignals(s)...)
}

// finishing says what is left to do in a run whose fate is decided.
func finishing(r books, s *replay.State) Reason {
	out := Reason{Code: model.ReasonFinishing}
	fate := map[replay.RunState]string{replay.Completed: "completes", replay.Failed: "fails", replay.Cancelled: "is cancelled"}[s.Fate]
	c, _ := s.Compensation()
	over := len(c.Done) + len(c.Failed)
	switch {
	case s.Final:
		out.Detail = "its finally steps run"
	case len(s.Outs) > 0 && c.Now < 0:
		out.Detail, out.Command = "it waits until "+answers(s), "agnt5d workers"
	case s.Unwanted() > 0 && c.Now < 0:
		text, first := ends(s)
		out.Detail, out.Command = "it waits until "+text, "agnt5d explain "+ids.Word(first)
		if child := r.Of(first); !r.past && child != nil && child.S.Status.Ended() {
			out.Detail, out.Command = out.Detail+", "+resting(child.S), restingHelp(child.S)
		}
	case c.Now < 0: // as of a moment at which what is left to do had not begun
		out.Detail = "what is left to do begins"
	default:
		step := s.Name(s.Target(c.Now))
		out.Detail = fmt.Sprintf("it compensates %s, %d of %d", step, over+1, len(c.All))
		if st := s.At(c.Now); st != nil && st.Error != nil {
			out.Detail += ", which has failed before: complete it when you have done that by hand, or skip it"
			out.Command = "agnt5d complete " + ids.Word(s.ID) + " " + ids.Word(step)
		}
	}
	out.Detail += "; then it " + fate
	return out
}

// answers says for which attempts that were cancelled a run waits.
func answers(s *replay.State) string {
	o := s.Outs[0]
	text := fmt.Sprintf("%s answered, or lost the lease: attempt %d of step %s on worker %s",
		some(len(s.Outs), "attempt that was cancelled has", "attempts that were cancelled have"), o.Attempt, s.Name(o.Step), nameOf(o.Worker))
	if n := len(s.Outs) - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	return text + "; a worker whose handler hangs must be restarted"
}

// ends says for which children that were cancelled a run waits, and gives the first.
func ends(s *replay.State) (text, first string) {
	s.EachUnwanted(func(i replay.Instance, id string) {
		if first == "" {
			first, text = id, fmt.Sprintf("run %s of step %s", id, s.Name(i))
		}
	})
	text = fmt.Sprintf("%s ended: %s", some(s.Unwanted(), "child that was cancelled has", "children that were cancelled have"), text)
	if n := s.Unwanted() - 1; n > 0 {
		text += fmt.Sprintf(", and %d more", n)
	}
	return text, first
}

// resting says for what a child that has ended makes its parent wait.
func resting(s *replay.State) string {
	text := "which is " + s.Status.String() + ", and is over for its parent when "
	if len(s.Outs) > 0 {
		return text + answers(s)
	}
	more, _ := ends(s)
	return text + more
}

// restingHelp gives the command that shows for what a child that has ended makes its parent wait.
func restingHelp(s *replay.State) string {
	if len(s.Outs) > 0 {
		return "agnt5d workers"
	}
	return ""
}

func some(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// pauses says why nothing of a run is handed out: its own pause, and the hold of all runs.
func (r books) pauses(s *replay.State) (all []Reason) {
	const what = ": until it is resumed no task of it is handed out, and no time of it comes"
	late := ""
	if s.Deadline != 0 && s.Deadline <= r.now.Wall && s.Status == replay.Running {
		late = "; its timeout_ms was over at " + rfc3339.Format(s.Deadline) + ", and it fails by that when it is resumed"
	}
	if p := s.Pause; p != nil {
		all = append(all, Reason{Code: model.ReasonPaused, Detail: "it " + pausedText(p.At, p.By, p.Why) + what + late, Command: "agnt5d resume " + ids.Word(s.ID)})
	}
	if h, held := r.HeldBack(s.Run); held {
		all = append(all, Reason{Code: model.ReasonPaused, Detail: "it " + heldText(h) + what + late, Command: "agnt5d resume --all"})
	}
	return all
}

// still says that a run is paused, or held.
func (r books) still(s *replay.State) bool {
	if s.Pause != nil {
		return true
	}
	_, held := r.HeldBack(s.Run)
	return held
}

// overdue says of a time that has come in a run that is paused or held that it comes later, as the end of a sentence.
func (r books) overdue(s *replay.State, due int64) string {
	if due == 0 || due > r.now.Wall || !r.still(s) {
		return ""
	}
	return "; that time has come, and counts when the run is resumed"
}

// pausedText says when something was paused, by whom and why, as the end of a sentence.
func pausedText(at int64, by, why string) string {
	text := "was paused at " + rfc3339.Format(at)
	if by != "" {
		text += " by " + by
	}
	if why != "" {
		text += " (" + why + ")"
	}
	return text
}

// unknownSignals are the names of signals that the run received, and for which no step of its workflow waits: they are misspelt.
func unknownSignals(s *replay.State) (all []Reason) {
	told := map[string]bool{}
	for _, a := range s.Mail.Arrivals() {
		if a.By != signals.Unconsumed || told[a.Name] || len(all) == explained {
			continue
		}
		told[a.Name] = true
		if why := neverTaken(s.Graph.Def, a.Name); why != "" {
			all = append(all, Reason{Code: model.ReasonUnknownSignal, Detail: fmt.Sprintf("received signal %q, but %s", a.Name, why)})
		}
	}
	return all
}

// books are what says why a step waits: those of its shard, and of the hub that has the workers.
type books struct {
	*shard.Shard
	hub  *hub.Hub
	now  shard.Now
	past bool // there is no engine: the run's history alone is asked
}

// How many steps are explained one by one before the rest of the same code is only counted, and how many of those are named.
const (
	explained = 5
	examples  = 10
)

// folder puts reasons that are alike together: steps that wait for the same handler are one reason, and of the others so many
// of a code are told one by one. It works out no sentence for a step that is only counted.
type folder struct {
	all  []Reason
	same map[*leases.Handler]int // reason that all queued steps of a handler share
	more map[string]int          // by code: the reason that counts the rest
	said map[string]int          // by code: how many were told one by one
	def  *flow.Step              // the one whose handler was looked up last
	of   *leases.Handler
}

// add explains an open step. working: a worker has it.
func (f *folder) add(r books, run *shard.Run, i int32, st *replay.Step) (working bool) {
	if (st.State == replay.StepScheduled || st.State == replay.StepRunning) && !st.Kind().Children() {
		slot := r.Hub.Slot(run.S.Run, i)
		working = slot != nil && slot.State == leases.Leased
		if _, out := run.S.Out(i); !out && !r.still(run.S) && (slot == nil || slot.State == leases.Queued) {
			if h := f.handler(r, run.S.Spec(i)); h != nil {
				f.queued(r, run, i, h)
				return working
			}
		}
	}
	code := r.codeOf(run.S, i)
	if code == model.ReasonQueued && st.Kind().Children() && r.Lacks(run.S.Spec(i)) {
		code = model.ReasonNoWorkflow
	}
	if working {
		code = model.ReasonRunning
	}
	if at, ok := f.more[code]; ok {
		f.count(at, run, i)
		return working
	}
	why := reason(r, run, i, 0)
	if f.said[code]++; f.said[code] > explained {
		f.more[code] = len(f.all)
		why = Reason{Step: why.Step, Code: code, Detail: why.Detail, Command: why.Command}
	}
	f.all = append(f.all, why)
	return working
}

// queued adds a step that waits for the turn of its handler.
func (f *folder) queued(r books, run *shard.Run, i int32, h *leases.Handler) {
	if at, ok := f.same[h]; ok {
		f.count(at, run, i)
		return
	}
	f.same[h] = len(f.all)
	f.all = append(f.all, reason(r, run, i, 0))
}

// handler gives the handler of a step's definition, which is often that of the step before.
func (f *folder) handler(r books, def *flow.Step) *leases.Handler {
	if f.def == nil || f.def.Service != def.Service || f.def.Handler != def.Handler {
		f.def, f.of = def, r.Hub.Handler(def.Service, def.Handler)
	}
	return f.of
}

func (f *folder) count(at int, run *shard.Run, i int32) {
	why := &f.all[at]
	if why.Count == 0 {
		why.Count, why.Steps = 1, []string{why.Step}
	}
	why.Count++
	if len(why.Steps) < examples {
		why.Steps = append(why.Steps, run.S.Name(i))
	}
}

// codeOf is the code of a step's reason.
func (r books) codeOf(s *replay.State, i int32) string {
	if st := s.At(i); st.State == replay.StepWaiting && st.Kind().Children() && s.Shown(i) == replay.StepRunning {
		if _, over := s.ItemCounts(i); !over {
			return model.ReasonChild
		}
	}
	switch s.Shown(i) {
	case replay.StepWaiting:
		return s.At(i).Kind().Reason
	case replay.StepRetrying:
		return model.ReasonRetryAt
	case replay.StepDeferred:
		return model.ReasonTimer
	case replay.StepBlocked:
		return model.ReasonKeyHeld
	case replay.StepScheduled:
		if r.still(s) {
			return model.ReasonPaused
		}
		return model.ReasonQueued
	}
	return model.ReasonRunning
}

func reason(r books, run *shard.Run, i int32, depth int) Reason {
	s := run.S
	def, st := s.Spec(i), s.At(i)
	out := Reason{Step: s.Name(i), Code: r.codeOf(s, i)}
	due := rfc3339.Format(st.Due)
	if n, over := s.ItemCounts(i); over {
		out.Detail = itemsOf(n)
		return out
	}
	switch {
	case out.Code == model.ReasonChild:
		explainChild(r, s, i, &out, depth)
		return out
	case st.State == replay.StepScheduled && st.Kind().Children():
		explainBirth(r, s, i, &out)
		return out
	}
	switch st.State {
	case replay.StepWaiting:
		detail, verb, arg := s.At(i).Kind().Explain(def, st)
		if out.Detail = detail + r.overdue(s, st.Due); verb != "" {
			out.Command = fmt.Sprintf("agnt5d %s %s %s", verb, ids.Word(s.ID), arg)
		}
	case replay.StepRetrying:
		policy := flow.RetryPolicy(def)
		out.Detail = fmt.Sprintf("failed attempt %d of %d (%s); retry %d of %d", st.Failures, policy.MaxAttempts, errorText(st.Error), st.Failures, policy.MaxAttempts-1)
		if st.Due != 0 { // 0: between the failure and its RetrySet
			out.Detail += " at " + due + r.overdue(s, st.Due)
			if s.Parent != nil && !s.Parent.Abandon { // its parent decides whether it is retried
				break
			}
			out.Detail += "; only a cancel and a retry of the whole run would begin the step anew sooner"
			if id := ids.Word(s.ID); !r.past { // two commands, of which neither alone helps: they stand in the text
				out.Detail += fmt.Sprintf(": agnt5d cancel %s, then agnt5d retry %s", id, id)
			}
		}
	case replay.StepDeferred:
		key := s.Spec(st.Timer).Timer.Key
		out.Detail = fmt.Sprintf("failed (%s) and waits for timer %q again until %s", errorText(st.Error), key, due)
		out.Detail += r.overdue(s, st.Due)
		out.Command = fmt.Sprintf("agnt5d fire %s %s", ids.Word(s.ID), key)
	case replay.StepBlocked:
		if r.past {
			out.Detail = "waits for its object keys: " + strings.Join(s.Keys(i), ", ")
		} else {
			out.Detail, out.Command = keyHeld(r, st, depth)
		}
	case replay.StepScheduled, replay.StepRunning:
		if r.past && out.Code == model.ReasonPaused {
			out.Detail = fmt.Sprintf("is handed out to %s/%s when the run is resumed", def.Service, def.Handler)
		} else if r.past {
			out.Detail = thenOf(def, st)
		} else {
			explainTask(r, run, i, &out)
		}
	}
	return out
}

// itemsOf says how the items stand that a step waits for.
func itemsOf(n replay.ItemCounts) string {
	if n.Completed+n.Failed == n.Total {
		return fmt.Sprintf("all of its %d items have ended, and their outputs are put together", n.Total)
	}
	text := fmt.Sprintf("%d of its %d items have completed", n.Completed, n.Total)
	if n.Failed > 0 {
		text += fmt.Sprintf(", %d have failed", n.Failed)
	}
	return text + fmt.Sprintf("; %d are open", n.Open)
}

func errorText(e *replay.StepError) string {
	if e == nil {
		return "unknown"
	}
	if e.Message == "" {
		return e.Code
	}
	return e.Code + ": " + e.Message
}

// keyHeld says who has the key that a step waits for, and which command tells more.
func keyHeld(r books, st *replay.Step, depth int) (detail, command string) {
	key, owner, held, between, ok := r.Before(st.Request)
	if !ok {
		return "its object keys are being granted", ""
	}
	how := "wanted earlier"
	if held {
		how = "held"
	}
	other := r.Peek(owner.Run)
	if _, s := r.Waits(owner.Run); s != nil {
		return fmt.Sprintf("waits for key %q, which is %s by run %s; that one waits for a newer release of agnt5d", key, how, s.ID), "agnt5d explain " + s.ID
	}
	if other == nil {
		return fmt.Sprintf("waits for key %q, which is %s by another run", key, how), ""
	}
	text := fmt.Sprintf("waits for key %q, which is %s by run %s, step %s", key, how, other.S.ID, other.S.Name(owner.Step))
	switch {
	case between == 1:
		text += "; 1 other is before this one"
	case between > 1:
		text += fmt.Sprintf("; %d others are before this one", between)
	}
	if depth < 3 {
		text += ". That step " + why(r, other, owner.Step, depth+1)
	}
	return text, "agnt5d explain " + ids.Word(other.S.ID)
}

// why is what another run's step does, as the end of a sentence.
func why(r books, run *shard.Run, step int32, depth int) string {
	if run.S.Status == replay.Quarantined {
		return "is quarantined (agnt5d cancel " + ids.Word(run.S.ID) + ")"
	}
	if o, out := run.S.Out(step); out {
		return fmt.Sprintf("was cancelled while worker %s has attempt %d: it keeps the key until that answers or its lease runs out", nameOf(o.Worker), o.Attempt)
	}
	if !run.S.At(step).State.Open() {
		return "is " + run.S.At(step).State.String()
	}
	return reason(r, run, step, depth).Detail
}

func nameOf(w string) string {
	if w == "" {
		return replay.InProcess
	}
	return w
}

// began is when a worker got an attempt: what the run's history says, so that a restart changes nothing, or what the hub knows while the
// start is not recorded yet.
func began(s *replay.State, slot *leases.Slot) int64 {
	if st := s.At(slot.Step); st != nil && st.State == replay.StepRunning && st.Attempt == slot.Attempt {
		return st.Since
	}
	return slot.StartedAt
}

func where(s *leases.Slot) string {
	if s.Local {
		return "in the engine's own process"
	}
	return "on worker " + s.Worker
}

// thenOf says what a task did, as far as its history tells.
func thenOf(def *flow.Step, st *replay.Step) string {
	if st.State == replay.StepScheduled {
		return fmt.Sprintf("is queued for %s/%s", def.Service, def.Handler)
	}
	on := "in the engine's own process"
	if !st.Local {
		on = "on worker " + st.Worker
	}
	return fmt.Sprintf("is running attempt %d %s since %s", st.Attempt, on, rfc3339.Format(st.Since))
}

func explainTask(r books, run *shard.Run, i int32, out *Reason) {
	s := run.S
	def, st := s.Spec(i), s.At(i)
	slot := r.Hub.Slot(s.Run, i)
	h := r.hub.Look(def.Service, def.Handler)
	limit, full := h.Full()
	p, isPaused := r.hub.Paused(def.Service)
	out.Code = model.ReasonRunning
	if o, is := s.Out(i); is {
		out.Detail = fmt.Sprintf("waits until attempt %d, which was cancelled while worker %s had it, answers or its lease runs out", o.Attempt, nameOf(o.Worker))
		return
	}
	switch {
	case st.State == replay.StepScheduled && slot == nil && r.still(s):
		out.Code, out.Detail = model.ReasonPaused, fmt.Sprintf("is handed out to %s/%s when run %s is resumed", def.Service, def.Handler, s.ID)
	case slot != nil && slot.State != leases.Queued:
		out.Detail = fmt.Sprintf("is running attempt %d %s since %s", st.Attempt, where(slot), rfc3339.Format(began(s, slot)))
		if silent, until := r.Silence(slot, r.now); until != 0 && silent >= 1000 && silent > until-r.now.Wall { // it has missed a heartbeat: more than half of the lease is over
			out.Detail += fmt.Sprintf("; the worker was last heard of %d s ago: unless it speaks, its lease ends at %s and the step is offered to others", silent/1000, rfc3339.Format(until))
			out.Command = "agnt5d workers"
		}
	case isPaused:
		out.Code, out.Command = model.ReasonServicePaused, "agnt5d services resume "+ids.Word(def.Service)
		out.Detail = fmt.Sprintf("waits: service %s %s; nobody gets a task of it until it is resumed", def.Service, pausedText(p.At, p.By, p.Why))
	case h.Sessions() == 0:
		out.Code, out.Detail = model.ReasonNoWorker, fmt.Sprintf("waits for a worker: no worker or push service serves %s/%s", def.Service, def.Handler)
		if served := r.hub.Served(def.Service); len(served) > 0 {
			out.Detail += fmt.Sprintf("; those of service %s serve: %s", def.Service, strings.Join(served, ", "))
		} else {
			out.Detail += fmt.Sprintf(`; start the program that does, with Worker(%[1]q) in Python or client.NewWorker(c, %[1]q) in Go, or name a web service: agnt5d services put %[2]s URL --handler %[3]s`,
				def.Service, ids.Word(def.Service), ids.Word(def.Handler))
			if meant := nearest.Word(def.Service, r.hub.Services()); meant != "" {
				out.Detail += fmt.Sprintf(". There are workers of service %q: is that what the definition means?", meant)
			}
		}
		out.Command = "agnt5d workers"
	case full:
		out.Code, out.Detail = model.ReasonServiceFull, fmt.Sprintf("waits its turn: service %s runs its max_concurrent of %d", def.Service, limit)
	case r.Hub.Handler(def.Service, def.Handler).Queued() == 0:
		out.Code, out.Detail = model.ReasonQueued, fmt.Sprintf("is about to be offered to the workers that serve %s/%s", def.Service, def.Handler)
	default:
		out.Code, out.Detail = model.ReasonQueued, fmt.Sprintf("waits its turn: %d queued for %s/%s, %s", r.Hub.Handler(def.Service, def.Handler).Queued(), def.Service, def.Handler, busy(h.Heard(r.now.Mono), r.now.Wall))
		if slices.ContainsFunc(h.Heard(r.now.Mono), func(s hub.Heard) bool { return s.Silent >= 1000 }) {
			out.Command = "agnt5d workers"
		}
		if hung, of := r.hub.HungFor(h); hung > 0 {
			out.Detail += fmt.Sprintf("; %d of the %d places of its workers are taken by handlers that hang: their attempts are over, but they have not returned", hung, of)
			out.Command = "agnt5d workers"
		}
	}
}

// busy says of the sessions that serve a handler that they have no room, and which of them may be dead.
func busy(heard []hub.Heard, now int64) string {
	silent := heard[0]
	if len(heard) == 1 {
		if silent.Silent < 1000 {
			return "its one worker is busy"
		}
		return fmt.Sprintf("its one worker, %s, was last heard of %d s ago: unless it speaks, it counts as gone at %s", silent.Worker, silent.Silent/1000, rfc3339.Format(now+silent.Left))
	}
	text := fmt.Sprintf("all %d workers are busy", len(heard))
	if silent.Late {
		text += fmt.Sprintf("; %s was last heard of %d s ago: unless it speaks, it counts as gone at %s", silent.Worker, silent.Silent/1000, rfc3339.Format(now+silent.Left))
	}
	return text
}
