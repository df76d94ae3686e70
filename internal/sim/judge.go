package sim

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/naive"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// Judge looks at what became durable and at what was acknowledged. What must hold:
//
//  1. The journal of each run folds without an impossible event, with positions 1..n and unbroken links.
//  2. The shard's state equals that fold whenever nothing is under way; folding twice gives the same.
//  3. What was acknowledged is in the journal: starts, signals, cancels, outcomes. What is shown is durable.
//  4. For each step at most one completion, time-out or skip, ever; at most one final failure between two reopenings.
//  5. A step starts, or is skipped, only as the definition says, worked out here a second time, naively.
//  6. Attempts grow. A task is handed out only when its schedule is durable, and to one worker at a time.
//  7. An object key has one holder; grants go in the order of requests on every key; each completed step counts each of its
//     objects up exactly once.
//  8. A signal is consumed by at most one wait; a timer fires at most once by itself, and never early.
//  9. A run that has ended holds nothing but the keys of attempts still out, and nothing happens in it but their end.
//  10. An outcome is recorded for the attempt that it was made for, and for no other: neither of another history, when a copy of
//     the journal was put back, nor when its step was given to another since. Leases end however often the engine is started.
//  11. In the quiet phase everything that is open comes to its end.
//  12. Two handlers whose tasks name the same key do not work at once, whatever the shard believes: each works until it returns, or
//     until the journal says that its attempt is over.
//  13. The books of the shards and of the hub are in order (Shard.Check, Hub.Check), and agree.
//  14. A service runs no more attempts at once than its bound, over all shards.
//  15. The items of a list are each completed once, see listed.
//  16. A run that is deleted had ended, and nothing of it comes back.
//  17. Each due time of a schedule has exactly one row in its ledger, and its run is started once: see book.
//  18. The tags of a run are those that were asked for: see tags.
//  19. A run is compensated in the right order and once, and its finally comes last: see settling.
//
// With several shards each rule holds over all of them, but for 7 and 12: an object key belongs to one shard in this step, and the
// same key at another shard is another key. (Keys across shards come with home shards; a process opens one shard today.)
//
// Of a damaged run the shard knows what stands in front of the damage, and so does the Judge from then on. What was lost with the
// record (a grant, an attempt, a signal) binds nobody any more.
type Judge struct {
	w        *World
	byRun    map[uint64]*track
	byID     map[string]*track
	byInput  map[string]bool // started with the other input
	order    []*track
	holders  map[object]place // key -> who holds it
	wanted   map[object][]uint64
	counts   map[object]int // key -> completed increments since it was last removed
	ahead    int64          // of the planted clock
	given    map[place]given
	working  []handler
	archives []*archive.Archive // by shard
	models   map[flow.Digest]*naive.Model
	books    map[string]*book  // by schedule
	births   map[string]uint64 // the run that started a child, by its id
}

// handler is somebody who was given a task.
type handler struct {
	spec  *shard.Spec
	who   string
	epoch int
}

// traced is a run whose events are printed as they become durable, for debugging a seed.
var traced uint64

// object is an object key at one shard: each has its own of that name.
type object struct {
	shard journal.Shard
	key   string
}

func key(run uint64, k string) object { return object{journal.ShardOf(run), k} }

type place struct {
	run  uint64
	step int32
}

type given struct {
	epoch   int
	attempt uint32
	who     string
}

// track is the Judge's own copy of a run.
type track struct {
	gave     map[int32]string // by items whose children completed: what those gave
	s        *replay.State
	id       string
	input    []byte
	lists    map[int32]*listed // of steps that go over one
	final    map[int32]int     // completions, time-outs and skips by step, or item
	failed   map[int32]int     // final failures since the run was last reopened
	fired    map[int32]int
	attempts map[int32]uint32
	due      map[int32]int64
	requests map[int32]uint64    // the newest by step
	asked    map[uint64]int32    // step by request
	wants    map[uint64][]string // its keys: a damaged run may not know them any more
	payloads map[string][]byte
	outcomes map[attemptOf]uint64 // recorded outcomes: hash
	origins  map[attemptOf]origin
	started  map[int32]uint32     // the newest attempt that somebody had, by step
	begun    map[attemptOf]bool   // the journal knows that it started
	over     map[attemptOf]bool   // the journal says that nothing is expected of it any more
	had      map[attemptOf]string // who had it
	cancels  int
	reopened int
	damaged  uint64 // the record of it that cannot be read; 0: none
	hurt     bool   // it was quarantined
	gone     bool   // deleted
	end      settling
	tags     tags
	tagged   []string // all tags that it has had
}

type attemptOf struct {
	step    int32
	attempt uint32
}

func newJudge(w *World) *Judge {
	j := &Judge{w: w, byRun: map[uint64]*track{}, byID: map[string]*track{}, byInput: map[string]bool{}, holders: map[object]place{},
		wanted: map[object][]uint64{}, counts: map[object]int{}, given: map[place]given{}, models: map[flow.Digest]*naive.Model{}, books: map[string]*book{}, births: map[string]uint64{}}
	for _, n := range w.nodes {
		j.archives = append(j.archives, archive.New(n.disk))
	}
	return j
}

func (j *Judge) archive(run uint64) *archive.Archive { return j.archives[journal.ShardOf(run)] }

// reported hears of damage that the shard has found.
func (j *Judge) reported(d journal.Damage) {
	if t := j.byRun[d.Run]; t == nil || t.damaged != d.Seq {
		j.w.fail("the shard reports damage: %+v", d)
	}
}

// durable looks at records as they are committed. What the shard has forgotten with a damage that it met while it folded the journal, it
// forgot before it decided anything in the batch that says so: a key that the run held may be granted in front of that.
func (j *Judge) durable(records []journal.Record) {
	for i := range records {
		if t := j.byRun[records[i].Run]; t != nil && metWhileFolding(&records[i]) {
			j.forgets(t)
		}
	}
	for i := range records {
		rec := &records[i]
		if rec.Run == 0 {
			j.system(rec)
			continue
		}
		t := j.byRun[rec.Run]
		var s *replay.State
		if t != nil {
			if t.gone {
				j.w.fail("run %s was deleted, and record %d is of it", t.id, rec.Seq)
			}
			s = t.s
		}
		// Rules about what follows are checked against the state before each event, so the events are folded one by one.
		s = j.fold(t, s, rec)
		_ = s
	}
}

// metWhileFolding says whether the record quarantines its run because the shard met the damage while it folded the journal: at a
// start, or after a full disk. Then it knows no more than what stands in front of it.
func metWhileFolding(rec *journal.Record) bool {
	events, err := event.DecodeAll(rec.Body)
	return err == nil && slices.ContainsFunc(events, func(e event.Event) bool {
		return e.Kind == event.RunQuarantined && strings.Contains(e.Message, fmt.Sprintf("record %d:", e.Ref))
	})
}

// forgets folds a run as the shard has folded it that met its damage: what is known of it from now on is what stands in front of the
// damage. Its place in the journal goes on behind its last record.
func (j *Judge) forgets(t *track) {
	var s *replay.State
	var err error
	records := j.w.at(t.s.Run).disk.records
	for i := range records {
		if r := &records[i]; r.Run == t.s.Run && r.Seq < t.damaged {
			if s, err = archive.Fold(s, r, j.archive(t.s.Run).Graph, nil); err != nil {
				j.w.fail("%v", err)
			}
		}
	}
	j.w.op("the fold meets the damage")
	s.Released()
	s.LastSeq, s.Events = t.s.LastSeq, t.s.Events
	t.s = s
	known := map[uint64]bool{}
	for _, st := range s.All() {
		known[st.Request] = true
	}
	for _, o := range s.Outs {
		known[o.Request] = true
	}
	for request := range t.asked {
		if !known[request] {
			j.free(request, t)
		}
	}
}

func (j *Judge) system(rec *journal.Record) {
	events, err := event.DecodeAll(rec.Body)
	if err != nil {
		j.w.fail("record %d: %v", rec.Seq, err)
	}
	for _, e := range events {
		j.w.op("event " + e.Kind.String())
		if e.Kind == event.RunsDeleted {
			j.deleted(rec, &e)
		}
	}
}

func (j *Judge) fold(t *track, s *replay.State, rec *journal.Record) *replay.State {
	w := j.w
	if s != nil && (rec.Prev != s.LastSeq || rec.N != s.Events+1) {
		w.fail("record %d of run %s follows %d at position %d, but the run's last record is %d with %d events", rec.Seq, s.ID, rec.Prev, rec.N, s.LastSeq, s.Events)
	}
	events, err := event.DecodeAll(rec.Body)
	if err != nil {
		w.fail("record %d: %v", rec.Seq, err)
	}
	for i := range events {
		e := &events[i]
		w.op("event " + e.Kind.String())
		if s == nil {
			g, err := j.archive(rec.Run).Graph(flow.Digest(e.Digest))
			if err != nil {
				w.fail("record %d: %v", rec.Seq, err)
			}
			s = replay.New(g)
			t = &track{s: s, id: e.ID, input: bytes.Clone(e.Payload), lists: map[int32]*listed{}, final: map[int32]int{}, failed: map[int32]int{}, fired: map[int32]int{}, attempts: map[int32]uint32{}, due: map[int32]int64{},
				requests: map[int32]uint64{}, asked: map[uint64]int32{}, wants: map[uint64][]string{}, payloads: map[string][]byte{}, outcomes: map[attemptOf]uint64{},
				origins: map[attemptOf]origin{}, started: map[int32]uint32{}, begun: map[attemptOf]bool{}, over: map[attemptOf]bool{}, had: map[attemptOf]string{}, end: settling{tried: map[int32]bool{}}}
			if old := j.byID[e.ID]; old != nil && !old.gone {
				w.fail("run %s was started twice, in records %d and %d", e.ID, old.s.Run, rec.Seq)
			} else if old != nil {
				w.op("a run has the id of one that was deleted")
			}
			j.byRun[rec.Run], j.byID[e.ID] = t, t
			j.order = append(j.order, t)
		}
		if rec.Run == traced {
			fmt.Printf("%5d @%d %s step %d attempt %d %s\n", rec.Seq+uint64(i), rec.At, e.Kind, e.Step, e.Attempt, e.Code)
		}
		j.before(t, rec, e, rec.Seq+uint64(i))
		if err := s.Apply(rec.Seq+uint64(i), rec.At, e); err != nil {
			w.fail("run %s: %v", t.id, err)
		}
		j.after(t, rec, e, rec.Seq+uint64(i))
	}
	s.EndRecord(rec.Seq)
	j.stops(s, events)
	return s
}

// whole checks what concerns the run as a whole: the time for which its first steps wait, its time limit, what it gives.
func (j *Judge) whole(t *track, rec *journal.Record, e *event.Event) {
	s := t.s
	if s.Held && e.OfStep() {
		j.w.fail("run %s starts later, and there is %s", t.id, e.Kind)
	}
	switch {
	case e.Kind == event.RunBegan && rec.At < s.StartAt:
		j.w.fail("run %s begins at %d, before its time %d", t.id, rec.At, s.StartAt)
	case (e.Kind == event.RunFailed || e.Kind == event.RunFinishing) && e.Code == failure.RunTimeout && s.Status == replay.Running:
		j.w.op("a run is over its time")
		if rec.At < s.Deadline || s.Deadline == 0 {
			j.w.fail("run %s is over its time at %d, which ends at %d", t.id, rec.At, s.Deadline)
		}
	case (e.Kind == event.RunCompleted && s.Status == replay.Running || e.Kind == event.RunFinishing && e.Name == replay.Completed.String()) && s.Graph.Def.Output != nil:
		j.w.op("a template says what a run gives")
		if want := fmt.Sprintf(`{"s":%q,"v":%d}`, s.Steps[0].State, s.Version); string(e.Payload) != want {
			j.w.fail("run %s gives %s, want %s", t.id, e.Payload, want)
		}
	}
}

// templates checks what a step's templates came to.
func (j *Judge) templates(t *track, e *event.Event) {
	spec := t.s.Spec(e.Step)
	want := strings.ReplaceAll(string(spec.Input), `"${ 1 + 1 }"`, "2")
	_, index, _ := t.s.ItemOf(e.Step)
	if string(e.Payload) != want {
		j.w.fail("%s/%s: its input came to %s, want %s", t.id, spec.Name, e.Payload, want)
	}
	var keys, got []string
	for _, k := range spec.ObjectKeys {
		keys = append(keys, strings.NewReplacer("${ index }", strconv.Itoa(index), "${ ", "", " }", "").Replace(k))
	}
	for _, o := range e.Objects {
		got = append(got, o.Key)
	}
	if templated := t.s.Graph.KeyTemplates(t.s.Shared(e.Step)); templated && !slices.Equal(keys, got) || !templated && got != nil {
		j.w.fail("%s/%s: its keys came to %q, want %q", t.id, spec.Name, got, keys)
	}
}

// stops counts the ways in which a run stops while somebody works for it.
func (j *Judge) stops(s *replay.State, events []event.Event) {
	begins := false
	for i := range events {
		e := &events[i]
		begins = begins || e.Kind == event.AttemptStarted
		if !e.Kind.Stops() {
			continue
		}
		if begins && s.Status == replay.Quarantined {
			j.w.op("a run is quarantined whose attempt has just begun")
		}
		for _, o := range s.Outs {
			if o.Request != 0 {
				j.w.op("a run ends while a handler holds a key")
			}
			if e.Kind == event.RunFailed && s.Status == replay.Failed && s.Fault == nil && s.At(s.FailedBy).Error.Code == failure.SignalTimeout && *s.Spec(s.FailedBy).Signal.TimeoutMS == 0 {
				j.w.op("a wait of 0 ms ends a run in which somebody works")
			}
		}
	}
}

// before checks an event against the state that it meets.
func (j *Judge) before(t *track, rec *journal.Record, e *event.Event, seq uint64) {
	w, s := j.w, t.s
	step := e.Step
	name := func() string { return t.id + "/" + s.Name(step) }
	if e.Kind == event.RunQuarantined && t.damaged == 0 {
		w.fail("run %s is quarantined, and nothing of it is damaged", t.id)
	}
	if s.Status.Ended() && e.Kind != event.AttemptEnded && e.Kind != event.ChildEnded && e.Kind != event.RunReopened && e.Kind != event.RunQuarantined && e.Kind != event.RunTagged {
		w.fail("run %s has ended, and then came %s", t.id, e.Kind)
	}
	j.ofChildren(t, rec.Run, e)
	j.whole(t, rec, e)
	j.ofEndings(t, e)
	j.overLists(t, e)
	j.ofTags(t, e)
	switch e.Kind {
	case event.StepBlocked, event.SignalAwaited, event.TimerSet, event.StepSkipped, event.ItemsSet:
		j.mayBegin(t, e)
	case event.ConditionEvaluated:
		if s.At(step).State == replay.StepWaiting {
			j.until(t, e)
		} else {
			j.condition(t, e)
		}
	case event.TemplatesEvaluated:
		j.templates(t, e)
	case event.StepScheduled:
		if len(s.Keys(step)) == 0 {
			j.mayBegin(t, e)
		}
		if e.Attempt <= t.attempts[step] {
			w.fail("%s: attempt %d is scheduled after attempt %d", name(), e.Attempt, t.attempts[step])
		}
		t.attempts[step] = e.Attempt
	case event.KeysGranted:
		for _, k := range s.Keys(step) {
			if at, taken := j.holders[key(s.Run, k)]; taken {
				w.fail("%s is granted key %s, which run %d step %d holds", name(), k, at.run, at.step)
			}
			if q := j.wanted[key(s.Run, k)]; len(q) == 0 || q[0] != t.requests[step] {
				w.fail("%s is granted key %s out of order: its request is %d, the queue %v", name(), k, t.requests[step], q)
			}
			j.holders[key(s.Run, k)] = place{s.Run, step}
		}
	case event.StepCompleted, event.RoundCompleted:
		if s.Spec(step).Type == flow.TypeWaitTimer && s.At(step).State != replay.StepWaiting {
			w.fail("timer %s completes while it is %s", name(), s.At(step).State)
		}
		for _, o := range e.Objects {
			j.counts[key(s.Run, o.Key)]++
			if string(o.State) != strconv.Itoa(j.counts[key(s.Run, o.Key)]) {
				w.fail("%s sets object %s to %s, it has been counted up %d times", name(), o.Key, o.State, j.counts[key(s.Run, o.Key)])
			}
			if o.Version != uint64(j.counts[key(s.Run, o.Key)]) {
				w.fail("%s writes version %d of object %s, its %d. time", name(), o.Version, o.Key, j.counts[key(s.Run, o.Key)])
			}
		}
	case event.TimerFired:
		if !e.Forced {
			if t.fired[step]++; t.fired[step] > 1 {
				w.fail("timer %s fires twice", name())
			}
			j.notEarly(t, rec, step)
		}
	case event.StepTimedOut:
		if s.At(step).Due != 0 {
			j.notEarly(t, rec, step)
		}
	}
}

func (j *Judge) notEarly(t *track, rec *journal.Record, step int32) {
	if due := t.s.At(step).Due; rec.At-j.ahead < due {
		j.w.fail("%s/%s is over at %d, before its time %d", t.id, t.s.Name(step), rec.At-j.ahead, due)
	}
}

// after keeps the books.
func (j *Judge) after(t *track, rec *journal.Record, e *event.Event, seq uint64) {
	w, s, step := j.w, t.s, e.Step
	switch attempt := (attemptOf{step, e.Attempt}); e.Kind {
	case event.AttemptStarted:
		t.begun[attempt] = true
	case event.StepCompleted, event.RoundCompleted, event.AttemptFailed, event.AttemptLost, event.AttemptEnded:
		t.over[attempt] = true
	}
	switch e.Kind {
	case event.StepScheduled:
		t.origins[attemptOf{step, e.Attempt}] = origin{seq, rec.At}
	case event.AttemptStarted:
		t.started[step], t.had[attemptOf{step, e.Attempt}] = e.Attempt, e.Name
	case event.StepBlocked:
		t.requests[step], t.asked[seq], t.wants[seq] = seq, step, s.Keys(step)
		for _, k := range s.Keys(step) {
			j.wanted[key(s.Run, k)] = append(j.wanted[key(s.Run, k)], seq)
		}
	case event.StepCompleted, event.StepTimedOut, event.StepSkipped:
		if t.final[step]++; t.final[step] > 1 {
			w.fail("%s/%s is settled twice, the second time by %s", t.id, s.Name(step), e.Kind)
		}
		if e.Kind == event.StepCompleted && e.Attempt != 0 && s.Spec(step).Type != flow.TypeWorkflow { // see ofChildren
			j.recorded(t, step, e.Attempt, e.Hash)
			if want := strconv.Quote(t.id + "/" + s.Name(step)); string(e.Payload) != want {
				w.fail("%s is completed with the output of %s", want, e.Payload)
			}
		}
	case event.AttemptFailed:
		j.recorded(t, step, e.Attempt, e.Hash)
	case event.RoundCompleted:
		if s.Spec(step).Type == flow.TypeWorkflow {
			break
		}
		j.recorded(t, step, e.Attempt, e.Hash)
		if want := strconv.Quote(t.id + "/" + s.Name(step)); string(e.Payload) != want {
			w.fail("a round of %s is completed with the output of %s", want, e.Payload)
		}
	case event.StepFailed:
		if t.failed[step]++; t.failed[step] > 1 {
			w.fail("%s/%s fails for good twice", t.id, s.Name(step))
		}
	case event.RunReopened:
		t.reopened++
		clear(t.failed)
	case event.RunQuarantined:
		t.hurt = true
	case event.RunFinishing:
		if e.Name == replay.Cancelled.String() {
			t.cancels++
		}
	case event.RunCancelled:
		if t.cancels++; t.hurt {
			w.op("cancel of a quarantined run")
		}
	case event.SignalReceived:
		t.payloads[e.ID] = bytes.Clone(e.Payload)
	}
	for _, request := range s.Released() {
		j.free(request, t)
	}
}

func (j *Judge) recorded(t *track, step int32, attempt uint32, hash uint64) {
	k := attemptOf{step, attempt}
	if _, twice := t.outcomes[k]; twice {
		j.w.fail("%s/%s: two outcomes of attempt %d are recorded", t.id, t.s.Name(step), attempt)
	}
	t.outcomes[k] = hash
	if newest := t.started[step]; attempt < newest {
		j.w.fail("%s/%s: an outcome of attempt %d is recorded, and attempt %d was given to somebody since", t.id, t.s.Name(step), attempt, newest)
	}
}

// free gives back the keys of a request.
func (j *Judge) free(request uint64, t *track) {
	step, ok := t.asked[request]
	if !ok {
		j.w.fail("run %s gives back request %d, which it never made", t.id, request)
	}
	for _, k := range t.wants[request] {
		q := j.wanted[key(t.s.Run, k)]
		for i, x := range q {
			if x == request {
				if i == 0 && j.holders[key(t.s.Run, k)] == (place{t.s.Run, step}) {
					delete(j.holders, key(t.s.Run, k))
				}
				j.wanted[key(t.s.Run, k)] = append(q[:i:i], q[i+1:]...)
				break
			}
		}
	}
}

// mayBegin works out, naively, whether a step that has not been ready before may start or be skipped now.
func (j *Judge) mayBegin(t *track, e *event.Event) {
	s, i := t.s, e.Step
	if _, _, item := s.ItemOf(i); item || s.Target(i) != i { // its step may have begun, see ofItem; or it is compensated, see ofEndings
		return
	}
	st := s.At(i)
	if st.State != replay.StepPending && st.State != replay.StepDormant {
		return // retried, deferred or lost: it has been ready before
	}
	if t.reopened > 0 && t.attempts[i] > 0 || t.reopened > 0 {
		return // becomes ready anew after a retry of the run; what it was is not kept here
	}
	if e.Kind == event.StepScheduled && st.Attempt > 0 {
		return // released by a timer that was fired
	}
	if st.Attempt > 0 {
		return
	}
	what := naive.Start
	if e.Kind == event.StepSkipped {
		what = naive.Skip
	}
	m, at := j.moment(s)
	want, reason := m.Look(s.Name(i), at)
	if e.Kind == event.StepSkipped && e.Code == "when" {
		c, known := s.Condition(i)
		if !known || c.Yes || want != naive.Start {
			j.w.fail("%s/%s: skipped by its condition: %+v, %v; it may %q", t.id, s.Name(i), c, known, want)
		}
		return
	}
	if want != what || e.Code != "" && e.Code != reason {
		j.w.fail("%s/%s: %s %s, but the definition says %q %s", t.id, s.Name(i), e.Kind, e.Code, want, reason)
	}
	if c, _ := s.Condition(i); what == naive.Start && s.Spec(i).When != "" && !c.Yes {
		j.w.fail("%s/%s: %s, but its condition is not known to be true", t.id, s.Name(i), e.Kind)
	}
}

// condition holds what a condition came to against the second model. The conditions of the simulator name no outputs.
func (j *Judge) condition(t *track, e *event.Event) {
	m, at := j.moment(t.s)
	name := t.s.Name(e.Step)
	if what, _ := m.Look(name, at); what != naive.Start {
		j.w.fail("%s/%s: its condition was looked at before its time", t.id, name)
	}
	if want, err := m.Condition(name, at); err != nil || want != e.Forced {
		j.w.fail("%s/%s: its condition is %v, want %v: %v", t.id, name, e.Forced, want, err)
	}
}

// until holds whether a round was the last one: in the simulator each step that repeats has a number of rounds, "round == N".
func (j *Judge) until(t *track, e *event.Event) {
	n, _ := t.s.Round(e.Step)
	if want := fmt.Sprintf("round == %d", n) == t.s.Spec(e.Step).Repeat.Until; e.Forced != want {
		j.w.fail("%s/%s: round %d is the last one: %v, want %v", t.id, t.s.Name(e.Step), n, e.Forced, want)
	}
}

// moment is how a run stands, for the second model.
func (j *Judge) moment(s *replay.State) (*naive.Model, naive.Moment) {
	m := j.models[s.Graph.Digest]
	if m == nil {
		def := *s.Graph.Def
		def.Steps, def.Finally = def.Steps[:s.Graph.Main], def.Steps[s.Graph.Main:]
		body, err := flow.Canonical(&def)
		if err == nil {
			m, err = naive.Parse(body)
		}
		if err != nil {
			j.w.fail("%v", err)
		}
		j.models[s.Graph.Digest] = m
	}
	at := naive.Moment{Steps: map[string]string{}, Reasons: map[string]string{}, Caught: map[string]bool{}, Fate: s.Fate.String(), Finally: s.Final}
	for i, why := range s.SkipReasons() {
		at.Reasons[s.Name(i)] = why.String()
	}
	for i := range s.Steps {
		name := s.Name(replay.Instance(i))
		at.Steps[name], at.Caught[name] = s.Steps[i].State.String(), s.Steps[i].Caught
	}
	return m, at
}

// compare holds the shard against the fold, when nothing is under way.
func (j *Judge) compare(n *node) {
	w := j.w
	if len(n.disk.queue) > 0 || w.rng.IntN(4) != 0 {
		return
	}
	for _, t := range j.order {
		if w.at(t.s.Run) != n {
			continue
		}
		if t.damaged == 0 && !t.gone {
			j.sameTags(t)
		}
		if run := n.shard.Peek(t.s.Run); run != nil && run.S.LastSeq == t.s.LastSeq && !t.gone {
			if a, b := run.S.Append(nil), t.s.Append(nil); !bytes.Equal(a, b) {
				w.fail("run %s: the shard's state is not the fold of the journal\nring %x\nfold %x", t.id, a, b)
			}
		}
	}
}

// refold folds a run from the disk.
func (j *Judge) refold(t *track) (*replay.State, error) {
	return j.archive(t.s.Run).FoldRun(t.s.Run, t.s.LastSeq)
}
