package replay

import (
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/signals"
)

// RunState is where a run stands. The numbers stand in journals.
type RunState uint8

const (
	Running     RunState = 0
	Completed   RunState = 1
	Failed      RunState = 2
	Cancelled   RunState = 3
	Quarantined RunState = 4
	Finishing   RunState = 5 // its fate is decided, and compensations or steps of finally are left to do
)

var runStates = [...]string{"running", "completed", "failed", "cancelled", "quarantined", "finishing"}

func (s RunState) String() string {
	if int(s) < len(runStates) {
		return runStates[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s)) // of a newer release
}

// Ended says that nothing will happen in the run any more, unless it is retried.
func (s RunState) Ended() bool { return s == Completed || s == Failed || s == Cancelled }

// ParseRunState gives the state of that name.
func ParseRunState(name string) (RunState, bool) {
	for i, n := range runStates {
		if n == name {
			return RunState(i), true
		}
	}
	return 0, false
}

// StepState is where a step stands. The numbers stand in journals.
type StepState uint8

const (
	StepPending   StepState = 0 // its dependencies are not all settled
	StepDormant   StepState = 1 // starts only when a wait that names it times out
	StepBlocked   StepState = 2 // wants its object keys
	StepScheduled StepState = 3 // may be taken by a worker
	StepRunning   StepState = 4 // a worker has it
	StepWaiting   StepState = 5 // for a signal or a time
	StepRetrying  StepState = 6 // its next attempt has a time
	StepDeferred  StepState = 7 // absorbed by a timer, waits for it again
	StepCompleted StepState = 8
	StepFailed    StepState = 9
	StepTimedOut  StepState = 10
	StepSkipped   StepState = 11
	StepCancelled StepState = 12
)

var stepStates = [...]string{"pending", "dormant", "blocked", "scheduled", "running", "waiting", "retrying", "deferred",
	"completed", "failed", "timed_out", "skipped", "cancelled"}

// StepStates is how many states there are.
const StepStates = len(stepStates)

func (s StepState) String() string { return stepStates[s] }

// Settled says that the step needs nothing more and its dependents may be looked at.
func (s StepState) Settled() bool {
	return s == StepCompleted || s == StepSkipped || s == StepTimedOut
}

// Open says that the step has become ready and has not ended.
func (s StepState) Open() bool { return s >= StepBlocked && s <= StepDeferred }

// Payload is JSON that stands in the journal: in the event Seq. A small one is kept here too.
type Payload struct {
	Seq  uint64
	Len  uint32
	Data []byte // the bytes, when Len is at most InlineBytes; not nil then
}

// InlineBytes is the largest payload that a live state keeps beside its reference; larger ones are read from the journal
// when a task is sent. snapshotBytes is the same for a snapshot.
const (
	InlineBytes   = 512
	snapshotBytes = 48
)

var null = []byte("null")

func keep(seq uint64, b []byte) Payload {
	p := Payload{Seq: seq, Len: uint32(len(b))}
	switch {
	case string(b) == "null":
		p.Data = null
	case len(b) <= InlineBytes:
		p.Data = append(make([]byte, 0, len(b)), b...)
	}
	return p
}

// Step is where one instance of a run stands: a step, or one that was added.
type Step struct {
	State     StepState
	Was       StepState // before it was cancelled
	Local     bool      // the attempt that runs was started in process
	kind      uint8     // place of its type in Kinds
	again     bool      // becomes ready anew in this turn, whatever its dependencies
	corrected bool      // an operator has taken it from whoever had it, and what it ends as is next
	Skip      SkipReason
	Tried     bool     // somebody has had an attempt of it; known of what can be compensated
	Caught    bool     // of a failed step: a branch has taken its failure
	Kept      bool     // of a fork: it was taken over, and never runs here
	Set       bool     // it is kept, and what it gave was said by whoever forked the run
	need      int32    // dependencies, and steps that its expressions name, not settled
	Timer     Instance // of a deferred step: the timer that absorbed it
	Attempt   uint32   // the newest attempt; 0: none yet
	Floor     uint32   // attempts up to this one were cancelled; their tokens are never good again
	Failures  uint32   // failed attempts of this retry budget; of a timer: failures absorbed
	Losses    uint32   // attempts lost in a row
	Since     int64    // Unix ms: when State last changed
	Boot      uint64   // random number of the engine's start under which the open attempt was scheduled; 0: none is open, or of before
	Error     *StepError
	Output    Payload
	Worker    string // who has the attempt that runs
	Due       int64  // Unix ms: when a wait, timer, retry or deferral is over; 0: never
	Answer    Answer // the newest outcome that was recorded, if it came from another process

	// What few steps ever have stands behind what each one uses.
	Request uint64 // sequence of the StepBlocked by which it wants or holds its keys; 0: neither
	Fence   uint64 // sequence of the KeysGranted by which it holds them; 0: it does not hold them
	Before  uint64 // the Boot of the attempt before the open one, when that was lost: it may still answer
	Had     string // who had the attempt that was lost last; "": in process, or its Boot is 0
}

// Answer is an outcome that was recorded, as far as a repeat of it is known by. The digest of a state does not hold it: it says
// nothing that the run's events do not say.
type Answer struct {
	Attempt uint32
	Hash    uint64 // see event.Event; 0: there is none, or a snapshot of before did not keep it
	Boot    uint64 // under which the attempt was scheduled
}

// StepError is the last failure of a step.
type StepError struct {
	Code, Message, Type, Stack string
	Attempt                    uint32
}

// Out is an attempt that a worker had when its run ended: it may still answer, and holds its keys till then.
type Out struct {
	Step    Instance
	Attempt uint32
	Request uint64
	Local   bool
	Worker  string
	Boot    uint64 // see Step
}

// State is a run after its events so far. Between two records this holds, and Check looks whether it does:
//
//  1. open is how many steps are not settled (a caught failure settles), live how many instances are open, each step's need how many of those that it waits for are not, Skipped how many are
//     skipped, outBytes the size of the outputs of completed sinks.
//  2. Nothing is left to decide: while the run is running, no step's turn has come but of those that ask (see Ask), and a step is not
//     settled.
//  3. A step is open (from blocked to deferred) only while the run is running, finishing or quarantined.
//  4. A step wants or holds keys (Request) only if its definition names some and it is blocked, scheduled, running, retrying or
//     between two rounds. In all but the first it holds them: Fence is later than Request.
//  5. A time (Due) stands only on a step that waits for it, or did when it was cancelled; a timer, a retry and a deferral have one.
//  6. The waits in the mailbox are the steps that wait for a signal, each once.
//  7. A step has at most one attempt out from before the run ended, and the newest attempt of a running step is not that one.
//  8. EndedAt is set when the run has ended, and not before. FailedBy names a failed step if the run has failed, or Fault says why.
//  10. While the run is finishing its fate is known, and there is something that it waits for. A step of finally is open only when finally has
//     begun, and that has not before all is compensated.
//  9. The counts of a step's items are right; items are open only while their step waits for them, and as many as may be.
type State struct {
	Run      uint64 // the run's number: the sequence of its first event
	ID       string
	Workflow string
	Version  uint32
	Graph    *flow.Graph
	Status   RunState
	Input    Payload
	Trace    string
	Tags     []event.Tag // by name; it is never changed, but replaced
	Steps    []Step      // of the definition; At gives any instance
	Mail     signals.Mailbox
	Outs     []Out
	FailedBy Instance // the step that failed the run; -1: none
	Fault    *Fault   // why it failed when no step failed it
	Output   Payload  // what a template says that the run gives; of a run that has completed
	Reason   string   // of a cancellation or quarantine
	Pause    *Pause   // nil: it is not paused
	Fork     *Forked  // of which run it is a fork; nil: of none
	Parent   *event.Parent
	Hurt     bool // its records are damaged: what is known stands in its snapshot

	CreatedAt int64  // Unix ms
	StartAt   int64  // Unix ms: until when its first steps waited, or wait; 0: they did not
	Held      bool   // they do
	Deadline  int64  // Unix ms: when its time is over; 0: there is no limit
	EndedAt   int64  // Unix ms; 0: open
	LastAt    int64  // time of the last record
	LastSeq   uint64 // the run's last record
	Events    uint64 // events so far
	Skipped   uint32 // steps skipped
	Handled   uint32 // failures that were caught
	Boot      uint64 // of the newest events that carry one; see event.Event

	ending

	added      []*added   // instances beyond the definition, by number, but for those that were dropped
	grown      int32      // how many were added
	open       int32      // steps of the definition that are not settled
	live       int32      // instances that are open
	failures   []Instance // that nothing has caught, in the order in which they came
	outBytes   uint64     // of the outputs of completed sinks
	agenda     agenda     // steps to be looked at in this turn
	wanted     []Instance // those that began to ask since Wanted was last called
	conditions map[Instance]Condition
	lists      []*items           // by their place in the graph's Lists; nil: not known yet. It is empty until the first is known
	rounds     map[Instance]round // of steps that have completed some
	filled     map[Instance]filled
	children   map[Instance]*Child // the last one of each that has one
	leaving    int32               // children that are to be cancelled, and have not ended
	left       []Instance          // see Left
	released   []uint64            // requests for keys that ended since Released was last called
	arrived    map[uint64][]byte   // small payloads of signals that nobody took yet, by sequence
}

// New gives the state of a run of that graph before its first event.
func New(g *flow.Graph) *State {
	s := &State{Graph: g, FailedBy: -1, Steps: make([]Step, len(g.Def.Steps)), open: g.Main}
	s.finals = int32(len(g.Def.Steps)) - g.Main
	for i := range s.Steps {
		s.Steps[i].need, s.Steps[i].kind = int32(len(g.Needs[i])), kindOf(g.Def.Steps[i].Type)
		if len(g.NamedBy[i]) > 0 {
			s.Steps[i].State = StepDormant
		}
	}
	return s
}

// Brief gives what an open run is without its steps, signals and keys: it costs the same however large the run is.
func (s *State) Brief() *State {
	return &State{Run: s.Run, ID: s.ID, Workflow: s.Workflow, Version: s.Version, Graph: s.Graph, Status: s.Status, Input: s.Input, Trace: s.Trace, Tags: s.Tags, Parent: s.Parent, FailedBy: -1,
		Reason: s.Reason, Pause: s.Pause, Fork: s.Fork, Hurt: s.Hurt, CreatedAt: s.CreatedAt, StartAt: s.StartAt, Held: s.Held, Deadline: s.Deadline, LastAt: s.LastAt, LastSeq: s.LastSeq, Events: s.Events, Skipped: s.Skipped, Handled: s.Handled, Boot: s.Boot, ending: ending{Fate: s.Fate, Decided: s.Decided}}
}

// Step gives the step of that name.
func (s *State) Step(name string) (Instance, bool) {
	i, ok := s.Graph.Index[name]
	return i, ok
}

// Alien says that the token of an attempt with that Boot was not made for this step, as far as the state knows: no such attempt
// was ever scheduled, or the one that is open was scheduled under another start of the engine.
func (st *Step) Alien(attempt uint32, boot uint64) bool {
	return attempt == 0 || attempt > st.Attempt || attempt == st.Attempt && st.out() && boot != st.Boot
}

// Answers says that an outcome of the attempt can settle the step, if nobody else has it: it is the one that is open, or the
// one before, which that worker had and lost. Another can have been given that attempt first, when its start did not get into the
// journal; of an attempt before that, too, the step was given to another since: each loss is one of somebody who had it.
func (st *Step) Answers(attempt uint32, boot uint64, worker string) bool {
	if !st.out() || attempt <= st.Floor || st.Error != nil && attempt <= st.Error.Attempt {
		return false
	}
	switch attempt {
	case st.Attempt:
		return boot == st.Boot
	case st.Attempt - 1:
		return boot == st.Before && st.State == StepScheduled && st.Losses > 0 && (boot == 0 || worker == st.Had)
	}
	return false
}

// UnderWay says that the run is running and the attempt is the newest of the instance, offered or in a worker's hands.
func (s *State) UnderWay(i Instance, attempt uint32) bool {
	st := s.At(i)
	return s.Status.Live() && st != nil && st.Attempt == attempt && st.out()
}

// Released takes the requests for object keys that ended since the last call.
func (s *State) Released() []uint64 {
	r := s.released
	s.released = nil
	return r
}

// Out says whether an attempt of the step from before the run ended has not answered yet.
func (s *State) Out(step Instance) (Out, bool) {
	for _, o := range s.Outs {
		if o.Step == step {
			return o, true
		}
	}
	return Out{}, false
}

// Idle says that nothing but time or a signal can move the run: it can be put away until then.
func (s *State) Idle() bool {
	if !s.Status.Live() || len(s.Outs) > 0 || s.leaving > 0 {
		return false
	}
	if s.Asks(RunItself) != AskNothing {
		return false
	}
	for i, st := range s.All() {
		switch st.State {
		case StepBlocked, StepScheduled, StepRunning:
			return false
		case StepRetrying:
			if st.Request != 0 {
				return false
			}
		case StepWaiting:
			if st.Request != 0 || s.Graph.Asks && s.Asks(i) != AskNothing {
				return false
			}
		case StepPending, StepDormant:
			if s.Graph.Asks && s.Asks(i) != AskNothing {
				return false
			}
		}
	}
	return true
}

// Resident says that the run must be kept in memory's books: it is open, attempts of it are still out, or children of it are to end.
func (s *State) Resident() bool { return !s.Status.Ended() || len(s.Outs) > 0 || s.leaving > 0 }
