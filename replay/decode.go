package replay

import (
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/pack"
	"github.com/agnt5/agnt5d/signals"
)

// DigestOf reads the definition's digest from an encoded state, so that its graph can be found.
func DigestOf(b []byte) (flow.Digest, error) {
	r, n, err := open(b)
	if err != nil {
		return "", err
	}
	for range n {
		switch r.Uint() {
		case kRun, kVersion:
			r.Uint()
		case kID, kWorkflow:
			_ = r.String()
		case kDigest:
			return flow.Digest(r.String()), r.Err()
		default:
			return "", errors.New("replay: encoded state without a digest")
		}
	}
	return "", errors.New("replay: encoded state without a digest")
}

// WorkflowOf reads the workflow's name from an encoded state.
func WorkflowOf(b []byte) (string, error) {
	r, n, err := open(b)
	if err != nil {
		return "", err
	}
	for range n {
		switch r.Uint() {
		case kRun:
			r.Uint()
		case kID:
			_ = r.String()
		case kWorkflow:
			return r.String(), r.Err()
		default:
			return "", errors.New("replay: encoded state without a workflow")
		}
	}
	return "", errors.New("replay: encoded state without a workflow")
}

// Readable says whether this release reads states of the encoding that b has.
func Readable(b []byte) bool { return len(b) > 0 && b[0] >= encodingOfSteps && b[0] <= Encoding }

func open(b []byte) (*pack.Reader, int, error) {
	if len(b) == 0 {
		return nil, 0, errors.New("replay: empty encoded state")
	}
	if !Readable(b) {
		return nil, 0, fmt.Errorf("replay: encoded state of version %d, this release reads %d: %w", b[0], Encoding, event.ErrFormat)
	}
	r := pack.NewReader(b[1:])
	return r, r.Map(), nil
}

// Decode gives the state back from its encoding. g must be the graph of DigestOf(b). Nothing of b is kept.
func Decode(b []byte, g *flow.Graph) (*State, error) {
	r, n, err := open(b)
	if err != nil {
		return nil, err
	}
	s := New(g)
	var waits []Instance
	for range n {
		if r.Err() != nil {
			break
		}
		switch k := r.Uint(); k {
		case kRun:
			s.Run = r.Uint()
		case kID:
			s.ID = r.String()
		case kWorkflow:
			s.Workflow = r.String()
		case kVersion:
			s.Version = uint32(r.Uint())
		case kDigest:
			if d := r.String(); d != string(g.Digest) {
				return nil, fmt.Errorf("replay: encoded state is of definition %s, not %s", d, g.Digest)
			}
		case kStatus:
			s.Status = RunState(r.Uint())
		case kInput:
			s.Input = readPayload(r)
		case kTrace:
			s.Trace = r.String()
		case kSteps:
			if n := r.Array(); n != len(s.Steps) {
				return nil, fmt.Errorf("replay: encoded state has %d steps, its definition %d", n, len(s.Steps))
			}
			for i := range s.Steps {
				if err := s.Steps[i].read(r); err != nil {
					return nil, err
				}
			}
		case kArrivals:
			s.readArrivals(r)
		case kOuts:
			for range r.Array() {
				n := r.Array()
				o := Out{Step: Instance(r.Uint()), Attempt: uint32(r.Uint()), Request: r.Uint(), Local: r.Bool(), Worker: r.String()}
				if n == 6 {
					o.Boot = r.Uint()
				}
				s.Outs = append(s.Outs, o)
			}
		case kFailedBy:
			s.FailedBy = Instance(r.Uint()) - 1
		case kReason:
			s.Reason = r.String()
		case kCreatedAt:
			s.CreatedAt = r.Int()
		case kEndedAt:
			s.EndedAt = r.Int()
		case kLastAt:
			s.LastAt = r.Int()
		case kLastSeq:
			s.LastSeq = r.Uint()
		case kEvents:
			s.Events = r.Uint()
		case kSkipped:
			s.Skipped = uint32(r.Uint())
		case kHurt:
			s.Hurt = r.Uint() == 1
		case kBoot:
			s.Boot = r.Uint()
		case kAdded:
			if err := s.readAdded(r); err != nil {
				return nil, err
			}
		case kAnswers:
			if err := s.readAnswers(r); err != nil {
				return nil, err
			}
		case kItems:
			if err := s.readItems(r); err != nil {
				return nil, err
			}
		case kRounds:
			if err := s.readRounds(r); err != nil {
				return nil, err
			}
		case kFault:
			r.Array()
			s.Fault = &Fault{r.String(), r.String()}
		case kRunOutput:
			s.Output = readPayload(r)
		case kStartAt:
			s.StartAt = r.Int()
		case kHeld:
			s.Held = r.Uint() == 1
		case kDeadline:
			s.Deadline = r.Int()
		case kTags:
			s.Tags = event.ReadTags(r)
		case kPause:
			s.readPause(r)
		case kFork:
			s.readFork(r)
		case kParent:
			s.Parent = event.ReadParent(r)
		case kChildren:
			if err := s.readChildren(r); err != nil {
				return nil, err
			}
		case kStops:
			if err := s.readStops(r); err != nil {
				return nil, err
			}
		case kFate, kDecided, kFinal, kEnds, kTouched, kDone, kUndone, kUndoFailed, kUndo, kFloors:
			if err := s.readEnding(k, r); err != nil {
				return nil, err
			}
		case kFilled:
			if err := s.readFilled(r); err != nil {
				return nil, err
			}
		case kUncaught:
			if err := s.readFailures(r); err != nil {
				return nil, err
			}
		case kConditions:
			if err := s.readConditions(r); err != nil {
				return nil, err
			}
		case kWaits:
			for range r.Array() {
				waits = append(waits, Instance(r.Uint()))
			}
		default:
			return nil, fmt.Errorf("replay: encoded state has an unknown field %d: %w", k, event.ErrFormat)
		}
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("replay: encoded state: %w", err)
	}
	return s, s.derive(waits)
}

func (st *Step) read(r *pack.Reader) error {
	st.State = 0
	for range r.Map() {
		switch k := r.Uint(); k {
		case kState:
			st.State = StepState(r.Uint())
		case kWas:
			st.Was = StepState(r.Uint())
		case kLocal:
			st.Local = r.Uint() == 1
		case kTimer:
			st.Timer = Instance(r.Uint())
		case kAttempt:
			st.Attempt = uint32(r.Uint())
		case kFailures:
			st.Failures = uint32(r.Uint())
		case kLosses:
			st.Losses = uint32(r.Uint())
		case kDue:
			st.Due = r.Int()
		case kSince:
			st.Since = r.Int()
		case kRequest:
			st.Request = r.Uint()
		case kFence:
			st.Fence = r.Uint()
		case kOutput:
			st.Output = readPayload(r)
		case kWorker:
			st.Worker = r.String()
		case kFloor:
			st.Floor = uint32(r.Uint())
		case kStepBoot:
			st.Boot = r.Uint()
		case kBefore:
			st.Before = r.Uint()
		case kHad:
			st.Had = r.String()
		case kSkip:
			if st.Skip = SkipReason(r.Uint()); int(st.Skip) >= len(skipReasons) {
				return fmt.Errorf("replay: encoded step is skipped for reason %d: %w", st.Skip, event.ErrFormat)
			}
		case kCaught:
			st.Caught = r.Uint() == 1
		case kKept:
			kept := r.Uint()
			st.Kept, st.Set = kept != 0, kept == 2
		case kError:
			st.Error = readError(r)
		case kTried:
			st.Tried = r.Uint() == 1
		default:
			return fmt.Errorf("replay: encoded step has an unknown field %d: %w", k, event.ErrFormat)
		}
	}
	return nil
}

func readPayload(r *pack.Reader) Payload {
	n := r.Array()
	p := Payload{Seq: r.Uint(), Len: uint32(r.Uint())}
	if n == 3 {
		p.Data = own(r.Bin())
	}
	return p
}

func own(b []byte) []byte {
	if string(b) == "null" {
		return null
	}
	return append(make([]byte, 0, len(b)), b...)
}

func (s *State) readArrivals(r *pack.Reader) {
	for range r.Array() {
		if r.Err() != nil {
			return
		}
		r.Array()
		a := signals.Arrival{ID: r.String(), Name: r.String(), Seq: r.Uint(), Payload: r.Uint(), Size: uint32(r.Uint()), By: int32(r.Uint()) - 1}
		s.Mail.Receive(a)
		if small := r.Bin(); small != nil {
			s.keepSignal(a.Seq, small)
		}
	}
}

// derive works out what the encoding leaves to be worked out: counts, sums and who waits for what.
func (s *State) derive(waits []Instance) error {
	s.open, s.live, s.outBytes = 0, 0, 0
	for i, st := range s.All() {
		if int(st.State) >= len(stepStates) || s.At(st.Timer) == nil {
			return fmt.Errorf("replay: encoded state: step %d is in state %d, timer %d: %w", i, st.State, st.Timer, event.ErrFormat)
		}
		if st.State.Open() {
			s.live++
		}
		if st.State == StepCompleted && s.sink(i) {
			s.outBytes += uint64(st.Output.Len)
		}
		if waits == nil && st.State == StepWaiting && st.Kind().mail {
			s.Mail.Await(s.Spec(i).Signal.Name, i)
		}
	}
	if err := s.countItems(); err != nil {
		return err
	}
	for i := range s.Steps {
		st := &s.Steps[i]
		main := i < int(s.Graph.Main)
		if main && !s.settled(Instance(i)) {
			s.open++
		}
		if st.Caught && main {
			s.Handled++
		}
		st.need = 0
		for _, d := range s.Graph.Needs[i] {
			if !s.settledFor(d, Instance(i)) {
				st.need++
			}
		}
	}
	if err := s.deriveEnding(); err != nil {
		return err
	}
	for _, i := range waits {
		if st := s.At(i); st == nil || !st.Kind().mail {
			return fmt.Errorf("replay: encoded state: step %d does not wait for a signal", i)
		}
		s.Mail.Await(s.Spec(i).Signal.Name, i)
	}
	if s.FailedBy >= 0 && s.At(s.FailedBy) == nil || int(s.Status) >= len(runStates) {
		return fmt.Errorf("replay: encoded state: state %d, failed by step %d: %w", s.Status, s.FailedBy, event.ErrFormat)
	}
	return nil
}
