package replay

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/pack"
	"github.com/agnt5/agnt5d/signals"
)

// Encoding is the version byte of a state's encoding. An older one is read for ever; a newer one is an error that wraps
// event.ErrFormat, and the state is folded from the log instead (a snapshot is a cache). A release that adds a field here, or a
// kind or a field of an event that changes a state, raises it: what the state then holds only that release knows.
//
//	state   = Encoding(1 byte) fields
//	fields  = msgpack map: field number -> value, ascending, zero values left out
//	payload = msgpack array [sequence, length] or [sequence, length, bytes] when length is at most 48
//
// A state of a definition with compensations or finally, of a run with children, or of a child, has encoding 7, of one that is paused or a fork, or of which an operator skipped a step, encoding 6, one with tags has encoding 5, one with items has encoding 4, any other of a definition that uses more of the language than dependencies, waits and timers, or of a
// run that started later, has encoding 3. Another one with instances
// beyond its definition, or with answers, has encoding 2, and any other is encoded as it was before there were such. Answers came to it later than instances: a release that knows only these says of the field that a newer one wrote it.
const Encoding = 7

const (
	encodingOfSteps    = 1 // of a state that holds the steps of its definition and nothing else
	encodingOfAdded    = 2
	encodingOfLanguage = 3
	encodingOfItems    = 4
	encodingOfTags     = 5
	encodingOfPause    = 6
)

// Numbers of the fields of a state; they are the format.
const (
	kRun = iota
	kID
	kWorkflow
	kVersion
	kDigest
	kStatus
	kInput
	kTrace
	kSteps
	kArrivals
	kOuts
	kFailedBy // plus one
	kReason
	kCreatedAt
	kEndedAt
	kLastAt
	kLastSeq
	kEvents
	kSkipped
	kWaits
	kHurt
	kBoot
	kAdded      // from encoding 2 on
	kAnswers    // the same
	kConditions // from encoding 3 on
	kUncaught   // the same
	kRounds     // the same
	kFilled     // the same
	kItems      // from encoding 4 on
	kFault      // from encoding 3 on
	kRunOutput  // the same
	kStartAt    // the same
	kHeld       // the same
	kDeadline   // the same
	kTags       // from encoding 5 on

	kPause = 40 // from encoding 6 on
	kFork  = 41 // the same

	kParent     = 50 // from encoding 7 on
	kChildren   = 51 // the same
	kStops      = 52 // the same
	kFate       = 65 // this, and what follows, from encoding 7 on
	kDecided    = 66
	kFinal      = 67
	kEnds       = 68
	kTouched    = 69
	kDone       = 70
	kUndone     = 71
	kUndoFailed = 72
	kUndo       = 73
	kFloors     = 74
)

// Numbers of the fields of a step.
const (
	kState = iota
	kWas
	kLocal
	kTimer
	kAttempt
	kFailures
	kLosses
	kDue
	kSince
	kRequest
	kFence
	kOutput
	kWorker
	kError
	kFloor
	kStepBoot
	kBefore
	kHad
	kSkip   // from encoding 3 on
	kCaught // the same

	kKept  = 30 // from encoding 6 on: 1, or 2 when it was set
	kTried = 31 // from encoding 7 on
)

// fields collects the fields of a map that are not zero.
type fields struct {
	buf []byte
	n   int
}

func (f *fields) uint(k int, v uint64) {
	if v != 0 {
		f.key(k)
		f.buf = pack.AppendUint(f.buf, v)
	}
}

func (f *fields) int(k int, v int64) {
	if v != 0 {
		f.key(k)
		f.buf = pack.AppendInt(f.buf, v)
	}
}

func (f *fields) string(k int, v string) {
	if v != "" {
		f.key(k)
		f.buf = pack.AppendString(f.buf, v)
	}
}

func (f *fields) payload(k int, p Payload) {
	if p.Seq == 0 {
		return
	}
	f.key(k)
	f.buf = appendPayload(f.buf, p)
}

func appendPayload(dst []byte, p Payload) []byte {
	n := 2
	if p.Len <= snapshotBytes {
		n = 3
	}
	dst = pack.AppendArray(dst, n)
	dst = pack.AppendUint(dst, p.Seq)
	dst = pack.AppendUint(dst, uint64(p.Len))
	if n == 3 {
		dst = pack.AppendBin(dst, p.Data)
	}
	return dst
}

func (f *fields) key(k int) {
	f.n++
	f.buf = pack.AppendUint(f.buf, uint64(k))
}

// flush appends the map to dst and makes f empty again.
func (f *fields) flush(dst []byte) []byte {
	dst = append(pack.AppendMap(dst, f.n), f.buf...)
	f.buf, f.n = f.buf[:0], 0
	return dst
}

// Append appends the state's canonical encoding.
func (s *State) Append(dst []byte) []byte { return s.append(dst, true) }

func (s *State) append(dst []byte, answers bool) []byte {
	var f, in fields
	return s.encode(&f, &in, dst, answers)
}

// encode is append with space for the fields of the state and of a step, which is empty.
func (s *State) encode(f, in *fields, dst []byte, answers bool) []byte {
	f.uint(kRun, s.Run)
	f.string(kID, s.ID)
	f.string(kWorkflow, s.Workflow)
	f.uint(kVersion, uint64(s.Version))
	f.string(kDigest, string(s.Graph.Digest))
	f.uint(kStatus, uint64(s.Status))
	f.payload(kInput, s.Input)
	f.string(kTrace, s.Trace)
	f.key(kSteps)
	f.buf = pack.AppendArray(f.buf, len(s.Steps))
	byHand := false
	for i := range s.Steps {
		byHand = byHand || s.Steps[i].Skip == SkipOperator
		s.Steps[i].fields(in)
		f.buf = in.flush(f.buf)
	}
	s.arrivals(f)
	if len(s.Outs) > 0 {
		f.key(kOuts)
		f.buf = pack.AppendArray(f.buf, len(s.Outs))
		for _, o := range s.Outs {
			n := 5
			if o.Boot != 0 {
				n = 6
			}
			f.buf = pack.AppendArray(f.buf, n)
			f.buf = pack.AppendUint(f.buf, uint64(o.Step))
			f.buf = pack.AppendUint(f.buf, uint64(o.Attempt))
			f.buf = pack.AppendUint(f.buf, o.Request)
			f.buf = pack.AppendBool(f.buf, o.Local)
			f.buf = pack.AppendString(f.buf, o.Worker)
			if n == 6 {
				f.buf = pack.AppendUint(f.buf, o.Boot)
			}
		}
	}
	f.uint(kFailedBy, uint64(s.FailedBy+1))
	f.string(kReason, s.Reason)
	f.int(kCreatedAt, s.CreatedAt)
	f.int(kEndedAt, s.EndedAt)
	f.int(kLastAt, s.LastAt)
	f.uint(kLastSeq, s.LastSeq)
	f.uint(kEvents, s.Events)
	f.uint(kSkipped, uint64(s.Skipped))
	s.waits(f)
	if s.Hurt {
		f.uint(kHurt, 1)
	}
	f.uint(kBoot, s.Boot)
	encoding := byte(encodingOfSteps)
	if s.Grown() {
		encoding = encodingOfAdded
		s.appendAdded(f)
	}
	if answers && s.appendAnswers(f) {
		encoding = encodingOfAdded
	}
	if s.Graph.Language {
		encoding = encodingOfLanguage
		s.appendConditions(f)
		s.appendFailures(f)
		s.appendRounds(f)
		s.appendFilled(f)
	}
	if slices.ContainsFunc(s.lists, func(l *items) bool { return l != nil }) { // a retry forgets those of finally
		encoding = encodingOfItems
		byHand = s.appendItems(f, answers) || byHand
	}
	if s.appendWhole(f) {
		encoding = max(encoding, encodingOfLanguage)
	}
	if len(s.Tags) > 0 {
		f.key(kTags)
		f.buf = event.AppendTags(f.buf, s.Tags)
		encoding = encodingOfTags
	}
	if s.appendPause(f) {
		encoding = encodingOfPause
	}
	if s.appendFork(f) || byHand {
		encoding = encodingOfPause
	}
	if s.appendChildren(f) {
		encoding = Encoding
	}
	if answers {
		s.appendStops(f)
	}
	if s.appendEnding(f, answers) {
		encoding = Encoding
	}
	return f.flush(append(dst, encoding))
}

// appendAnswers writes what was recorded of instances, if there is any: [instance, attempt, hash], and the boot when it is not that
// of the run's newest events.
func (s *State) appendAnswers(f *fields) bool {
	n := 0
	for i, st := range s.All() { // those of items and of a compensation stand with them
		if st.Answer.Hash != 0 && !s.isItem(i) && !s.isUndo(i) {
			n++
		}
	}
	if n == 0 {
		return false
	}
	f.key(kAnswers)
	f.buf = pack.AppendArray(f.buf, n)
	for i, st := range s.All() {
		a := st.Answer
		if a.Hash == 0 || s.isItem(i) || s.isUndo(i) {
			continue
		}
		n := 3
		if a.Boot != s.Boot {
			n = 4
		}
		f.buf = pack.AppendArray(f.buf, n)
		f.buf = pack.AppendUint(f.buf, uint64(i))
		f.buf = pack.AppendUint(f.buf, uint64(a.Attempt))
		f.buf = pack.AppendUint(f.buf, a.Hash)
		if n == 4 {
			f.buf = pack.AppendUint(f.buf, a.Boot)
		}
	}
	return true
}

func (s *State) readAnswers(r *pack.Reader) error {
	for range r.Array() {
		n := r.Array()
		i, a := Instance(r.Uint()), Answer{Attempt: uint32(r.Uint()), Hash: r.Uint(), Boot: s.Boot}
		if n == 4 {
			a.Boot = r.Uint()
		}
		if r.Err() != nil {
			return nil // the caller says so
		}
		st := s.At(i)
		if st == nil {
			return fmt.Errorf("replay: encoded state: an answer of instance %d, which is not there: %w", i, event.ErrFormat)
		}
		st.Answer = a
	}
	return nil
}

// appendAdded writes how many instances were added, and those that are kept: number, step, name, spec (a definition of one step; empty:
// that of the step), fields of a step.
func (s *State) appendAdded(f *fields) {
	var in fields
	f.key(kAdded)
	f.buf = pack.AppendArray(f.buf, 1+len(s.added))
	f.buf = pack.AppendUint(f.buf, uint64(s.grown))
	for _, a := range s.added {
		f.buf = pack.AppendArray(f.buf, 5)
		f.buf = pack.AppendUint(f.buf, uint64(a.i))
		f.buf = pack.AppendUint(f.buf, uint64(a.of))
		f.buf = pack.AppendString(f.buf, a.name)
		f.buf = pack.AppendBin(f.buf, a.body)
		a.fields(&in)
		f.buf = in.flush(f.buf)
	}
}

func (s *State) readAdded(r *pack.Reader) error {
	n := r.Array()
	if n == 0 {
		return errors.New("replay: encoded state: no count of added instances")
	}
	s.grown = int32(r.Uint())
	last := s.Graph.Numbers() - 1
	for range n - 1 {
		r.Array()
		a := &added{i: Instance(r.Uint()), of: Instance(r.Uint()), name: r.String(), body: append([]byte(nil), r.Bin()...)}
		if err := a.read(r); err != nil {
			return err
		}
		if r.Err() != nil {
			return nil // the caller says so
		}
		if a.i <= last || a.i >= s.next() || uint(a.of) >= uint(len(s.Steps)) {
			return fmt.Errorf("replay: encoded state: instance %d of step %d: %w", a.i, a.of, event.ErrFormat)
		}
		last = a.i
		if len(a.body) > 0 {
			def, problems := flow.Parse(a.body)
			if len(problems) > 0 || len(def.Steps) != 1 {
				return fmt.Errorf("replay: encoded state: the spec of instance %d: %v: %w", a.i, problems, event.ErrFormat)
			}
			a.own = &def.Steps[0]
		}
		s.added = append(s.added, a)
		a.kind = kindOf(s.Spec(a.i).Type)
	}
	return nil
}

func (st *Step) fields(f *fields) {
	f.uint(kState, uint64(st.State))
	f.uint(kWas, uint64(st.Was))
	if st.Local && st.State == StepRunning {
		f.uint(kLocal, 1)
	}
	if st.State == StepDeferred || st.Was == StepDeferred {
		f.uint(kTimer, uint64(st.Timer))
	}
	f.uint(kAttempt, uint64(st.Attempt))
	f.uint(kFailures, uint64(st.Failures))
	f.uint(kLosses, uint64(st.Losses))
	f.int(kDue, st.Due)
	f.int(kSince, st.Since)
	f.uint(kRequest, st.Request)
	f.uint(kFence, st.Fence)
	f.payload(kOutput, st.Output)
	f.string(kWorker, st.Worker)
	if e := st.Error; e != nil {
		f.key(kError)
		f.buf = appendError(f.buf, e)
	}
	f.uint(kFloor, uint64(st.Floor))
	f.uint(kStepBoot, st.Boot)
	f.uint(kBefore, st.Before)
	f.string(kHad, st.Had)
	f.uint(kSkip, uint64(st.Skip))
	if st.Caught {
		f.uint(kCaught, 1)
	}
	if st.Kept {
		f.uint(kKept, uint64(1+count(st.Set)))
	}
	if st.Tried {
		f.uint(kTried, 1)
	}
}

func appendError(b []byte, e *StepError) []byte {
	b = pack.AppendArray(b, 5)
	for _, v := range []string{e.Code, e.Message, e.Type, e.Stack} {
		b = pack.AppendString(b, v)
	}
	return pack.AppendUint(b, uint64(e.Attempt))
}

func readError(r *pack.Reader) *StepError {
	r.Array()
	return &StepError{Code: r.String(), Message: r.String(), Type: r.String(), Stack: r.String(), Attempt: uint32(r.Uint())}
}

func (s *State) arrivals(f *fields) {
	all := s.Mail.Arrivals()
	if len(all) == 0 {
		return
	}
	f.key(kArrivals)
	f.buf = pack.AppendArray(f.buf, len(all))
	for _, a := range all {
		var small []byte
		if a.By == signals.Unconsumed && a.Size <= snapshotBytes {
			small = s.arrived[a.Seq]
		}
		f.buf = pack.AppendArray(f.buf, 7)
		f.buf = pack.AppendString(f.buf, a.ID)
		f.buf = pack.AppendString(f.buf, a.Name)
		f.buf = pack.AppendUint(f.buf, a.Seq)
		f.buf = pack.AppendUint(f.buf, a.Payload)
		f.buf = pack.AppendUint(f.buf, uint64(a.Size))
		f.buf = pack.AppendUint(f.buf, uint64(a.By+1))
		f.buf = pack.AppendBin(f.buf, small)
	}
}

// waits writes the waiting steps in the order in which they became ready, when that is not the order of the definition.
func (s *State) waits(f *fields) {
	order := s.Mail.Waits()
	sorted := true
	for i := 1; i < len(order); i++ {
		sorted = sorted && order[i-1] < order[i]
	}
	if sorted {
		return
	}
	f.key(kWaits)
	f.buf = pack.AppendArray(f.buf, len(order))
	for _, i := range order {
		f.buf = pack.AppendUint(f.buf, uint64(i))
	}
}

// Digest is the first 16 bytes of the SHA-256 of the canonical encoding without answers.
func (s *State) Digest() []byte {
	e := encoders.Get().(*encoder)
	e.out = s.encode(&e.f, &e.in, e.out[:0], false)
	sum := sha256.Sum256(e.out)
	if cap(e.out) <= 64<<10 {
		encoders.Put(e)
	}
	return sum[:16:16]
}

// encoder is space for an encoding that nobody keeps: every run has its digest taken when it ends.
type encoder struct {
	out   []byte
	f, in fields
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}
