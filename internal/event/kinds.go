package event

import "fmt"

// Kind says what an Event is. The numbers are the format: they never change meaning and are never reused.
type Kind uint8

const (
	// Facts and intents of a run, in the order of a run's life.

	RunStarted     Kind = 1  // fact: ID, Name (workflow), Version, Digest, Payload (input), Trace, Boot; Due: its first steps wait until then; Tags; Parent
	StepBlocked    Kind = 2  // intent: Step wants its object keys; its place in every queue is this event's sequence
	KeysGranted    Kind = 3  // fact: Step holds all its keys; this event's sequence is the fencing number
	StepScheduled  Kind = 4  // intent: Step, Attempt may be handed to a worker; Boot when it is not that of the run's events before
	AttemptStarted Kind = 5  // fact: Step, Attempt, Name (worker), Time; Forced: in process
	AttemptFailed  Kind = 6  // fact: Step, Attempt, Code, Message, Type, Stack, Forced (final: no retry), Due (earliest retry asked for), Hash
	AttemptLost    Kind = 7  // fact: Step, Attempt, Code (why): the worker is gone, no failure of the handler
	RetrySet       Kind = 8  // intent: Step is tried again at Due
	StepDeferred   Kind = 9  // intent: Step waits for timer Timer again, until Due
	StepCompleted  Kind = 10 // fact or intent: Step, Attempt, Payload (output) or Ref (the SignalReceived it took), Objects, Hash
	StepFailed     Kind = 11 // intent: Step, Attempt, Code, Message: for good, until the run is retried
	StepTimedOut   Kind = 12 // fact: the wait Step is over its timeout
	StepSkipped    Kind = 13 // intent: Step, Code (why, of a workflow with more than one reason)
	SignalAwaited  Kind = 14 // intent: Step waits; Due (0: for ever)
	SignalReceived Kind = 15 // fact: Name, ID, Payload
	TimerSet       Kind = 16 // intent: Step fires at Due
	TimerFired     Kind = 17 // fact: Step; Forced (by an operator)
	RunCompleted   Kind = 18 // intent; Payload (its output, when a template says it)
	RunFailed      Kind = 19 // intent: Step, by whose failure; or Code, Message, when no step failed
	RunCancelled   Kind = 20 // fact: Message (reason)
	RunReopened    Kind = 21 // fact: a failed or cancelled run goes on; Message (reason)
	AttemptEnded   Kind = 22 // fact: Step, Attempt: an attempt that was out when its run ended has answered, or its lease ran out
	RunQuarantined Kind = 23 // fact: Ref (the damaged record), Message

	ConditionEvaluated Kind = 24 // fact: Step; Forced: its condition is true; Payload (the values that it read, by their paths); Due (of the next round), Code (until, if it is that)
	FailureCaught      Kind = 25 // intent: Step, which has failed: the step that its on_failure names has started
	RoundCompleted     Kind = 26 // fact: Step, Attempt, Payload (output), Objects, Hash: a round of a step that repeats
	ItemsSet           Kind = 27 // fact: Step, Payload: the list that it goes over; without it: the step goes on with the list that it has

	TemplatesEvaluated Kind = 32 // fact: Step; Payload (its input), Objects (its object keys, each without a state)
	RunBegan           Kind = 33 // fact: the time has come for which its first steps waited
	RunTagged          Kind = 34 // fact: Tags: those that it has from now on with these values, or (Gone) no more

	// Facts of the engine itself; they stand in records of no run.

	WorkflowRegistered Kind = 40 // Name, Version, Digest
	RunsDeleted        Kind = 41 // Payload (AppendDeleted), Message (why)
	ObjectDeleted      Kind = 42 // Name (key)
	EngineStarted      Kind = 43 // Message (release); Forced: the last stop was not a clean one
	WorkflowUsed       Kind = 46 // Name, Version, Digest: a version that the name has had is current again
	WorkflowDeleted    Kind = 47 // Name, Version, Digest
	SettingChanged     Kind = 48 // Name (key, like token/ci), Message (what became of it)
	ScheduleChanged    Kind = 52 // Name, Version (revision), Code (what became of it), Payload (its definition)
	ScheduleDecided    Kind = 53 // Name, Version (revision), Due (nominal time), Code (outcome), ID (of its run), Message; Time, Ref: the last and the number of many

	// What operators correct: again facts of a run.

	RunPaused     Kind = 54 // fact: Message (reason): no task of it is handed out, and no time of it comes, until it is resumed
	RunResumed    Kind = 55 // fact: Message (reason)
	StepCorrected Kind = 56 // fact: Step, Code (complete, skip, fail), Message (reason): taken from whoever has it; what it ends as follows
	RunForked     Kind = 57 // fact: ID, Ref (of the run that it was forked from: id and number), Name (the step from which it runs again), Hash (of what was asked), Message (reason)
	StepKept      Kind = 58 // fact: Step (or an item), Name (what it became there), Attempt, Payload (output) or Ref (the SignalReceived it took), Code, Message, Type, Stack; Version (rounds before its last one); Forced: given by the operator, or its failure is caught

	// Children: facts and intents of the run that starts them.

	ChildStarted Kind = 60 // intent: Step, Attempt, ID (of the child), Name (its workflow), Version, Due (when its time is over); Forced: it is the step's last child, which goes on
	ChildStopped Kind = 61 // intent: Step, Code (why): its child is cancelled, and the step waits for its end
	ChildEnded   Kind = 62 // fact: Step, ID, Code (its state): a child for which its step waits no more has ended

	// What a run does when its fate is decided.

	RunFinishing      Kind = 65 // intent, or fact of a cancellation: Name (its fate); Step, by whose failure, or Code, Message; Payload (its output, when a template says it)
	CompensationBegan Kind = 66 // intent: Step, which is a step or an item: it is compensated
	FinallyBegan      Kind = 67 // intent: the steps of finally begin
)

// Kinds is one more than the largest number of a kind.
const Kinds = FinallyBegan + 1

var names = [...]string{
	RunStarted: "RunStarted", StepBlocked: "StepBlocked", KeysGranted: "KeysGranted", StepScheduled: "StepScheduled",
	AttemptStarted: "AttemptStarted", AttemptFailed: "AttemptFailed", AttemptLost: "AttemptLost", RetrySet: "RetrySet",
	StepDeferred: "StepDeferred", StepCompleted: "StepCompleted", StepFailed: "StepFailed", StepTimedOut: "StepTimedOut",
	StepSkipped: "StepSkipped", SignalAwaited: "SignalAwaited", SignalReceived: "SignalReceived", TimerSet: "TimerSet",
	TimerFired: "TimerFired", RunCompleted: "RunCompleted", RunFailed: "RunFailed", RunCancelled: "RunCancelled",
	RunReopened: "RunReopened", AttemptEnded: "AttemptEnded", RunQuarantined: "RunQuarantined",
	ConditionEvaluated: "ConditionEvaluated", FailureCaught: "FailureCaught", RoundCompleted: "RoundCompleted", ItemsSet: "ItemsSet",
	TemplatesEvaluated: "TemplatesEvaluated", RunBegan: "RunBegan", RunTagged: "RunTagged",
	WorkflowRegistered: "WorkflowRegistered", RunsDeleted: "RunsDeleted", ObjectDeleted: "ObjectDeleted",
	WorkflowUsed: "WorkflowUsed", WorkflowDeleted: "WorkflowDeleted",
	EngineStarted: "EngineStarted", SettingChanged: "SettingChanged",
	ScheduleChanged: "ScheduleChanged", ScheduleDecided: "ScheduleDecided",
	RunPaused: "RunPaused", RunResumed: "RunResumed", StepCorrected: "StepCorrected",
	RunForked: "RunForked", StepKept: "StepKept",
	ChildStarted: "ChildStarted", ChildStopped: "ChildStopped", ChildEnded: "ChildEnded",
	RunFinishing: "RunFinishing", CompensationBegan: "CompensationBegan", FinallyBegan: "FinallyBegan",
}

func (k Kind) String() string {
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// ParseKind gives the kind of that name.
func ParseKind(name string) (Kind, bool) {
	for k, n := range names {
		if n == name && n != "" {
			return Kind(k), true
		}
	}
	return 0, false
}

// field names one field of Event in a layout.
type field uint8

const (
	fStep field = iota
	fAttempt
	fTimer
	fDue
	fTime
	fRef
	fHash
	fVersion
	fForced
	fName
	fID
	fDigest
	fCode
	fMessage
	fType
	fStack
	fTrace
	fPayload
	fObjects
	fBoot
	fBy
	fTags
	fParent
)

// layouts is the format: the fields of each kind, in order. Fields may be added at the end of a layout, nothing else.
var layouts = [...][]field{
	RunStarted:     {fID, fName, fVersion, fDigest, fPayload, fTrace, fBoot, fBy, fDue, fTags, fParent},
	StepBlocked:    {fStep},
	KeysGranted:    {fStep},
	StepScheduled:  {fStep, fAttempt, fBoot},
	AttemptStarted: {fStep, fAttempt, fName, fTime, fForced},
	AttemptFailed:  {fStep, fAttempt, fCode, fMessage, fForced, fType, fStack, fDue, fHash},
	AttemptLost:    {fStep, fAttempt, fCode},
	RetrySet:       {fStep, fDue},
	StepDeferred:   {fStep, fTimer, fDue},
	StepCompleted:  {fStep, fAttempt, fPayload, fRef, fObjects, fHash},
	StepFailed:     {fStep, fAttempt, fCode, fMessage},
	StepTimedOut:   {fStep},
	StepSkipped:    {fStep, fCode},
	SignalAwaited:  {fStep, fDue},
	SignalReceived: {fName, fID, fPayload, fBy},
	TimerSet:       {fStep, fDue},
	TimerFired:     {fStep, fForced, fBy},
	RunCompleted:   {fPayload},
	RunFailed:      {fStep, fCode, fMessage, fBy},
	RunCancelled:   {fMessage, fBy},
	RunReopened:    {fBy, fMessage},
	AttemptEnded:   {fStep, fAttempt},
	RunQuarantined: {fRef, fMessage},

	ConditionEvaluated: {fStep, fForced, fPayload, fDue, fCode},
	RoundCompleted:     {fStep, fAttempt, fPayload, fObjects, fHash},
	FailureCaught:      {fStep},
	TemplatesEvaluated: {fStep, fPayload, fObjects},
	ItemsSet:           {fStep, fPayload},
	RunBegan:           {},
	RunTagged:          {fTags, fBy},

	WorkflowRegistered: {fName, fVersion, fDigest, fBy},
	RunsDeleted:        {fPayload, fMessage, fBy},
	ObjectDeleted:      {fName, fBy},
	EngineStarted:      {fMessage, fForced},
	WorkflowUsed:       {fName, fVersion, fDigest, fBy},
	WorkflowDeleted:    {fName, fVersion, fDigest, fBy},
	SettingChanged:     {fName, fMessage, fBy},
	ScheduleChanged:    {fName, fVersion, fCode, fPayload, fBy},
	ScheduleDecided:    {fName, fVersion, fDue, fCode, fID, fMessage, fBy, fTime, fRef},

	RunPaused:     {fMessage, fBy},
	RunResumed:    {fMessage, fBy},
	StepCorrected: {fStep, fCode, fMessage, fBy},
	RunForked:     {fID, fRef, fName, fHash, fBy, fMessage},
	StepKept:      {fStep, fName, fAttempt, fPayload, fRef, fCode, fMessage, fType, fStack, fVersion, fForced},

	ChildStarted:      {fStep, fAttempt, fID, fName, fVersion, fDue, fForced},
	ChildStopped:      {fStep, fCode},
	ChildEnded:        {fStep, fID, fCode},
	RunFinishing:      {fName, fStep, fCode, fMessage, fPayload, fBy},
	CompensationBegan: {fStep},
	FinallyBegan:      {},
}

// Event is one fact or intent. Which fields a kind uses is said at the kind; the others are zero. Sequence, position and
// time belong to the record that the event stands in.
type Event struct {
	Kind    Kind
	Forced  bool
	Step    int32 // the instance: a step by its place in the run's definition, or a number behind those
	Timer   int32 // the instance of a timer
	Attempt uint32
	Version uint32
	Due     int64  // Unix milliseconds
	Time    int64  // Unix milliseconds
	Ref     uint64 // sequence of another event
	Boot    uint64 // random number of the engine's start under which it was decided; it is part of the attempt's tokens
	Hash    uint64 // of an outcome as a worker sent it, to tell a repeat from a contradiction
	Name    string
	ID      string
	Digest  string
	Code    string
	Message string
	Type    string
	Stack   string
	Trace   string
	By      string // who asked for it: the name of an access token, or "local"; what people do carries it
	Payload []byte
	Objects []ObjectWrite
	Tags    []Tag   // by name, each once
	Parent  *Parent // of a run that another one started; nil: none did
}

// Parent is the run that started a run, and for which of its steps.
type Parent struct {
	Run     uint64 // its number
	ID      string
	Step    int32  // the instance
	Name    string // of the instance
	Attempt uint32
	Depth   uint32 // how many runs stand above the child
	Abandon bool   // the child is left alone when its step ends otherwise
	Rest    bool   // a run above the child has compensations or steps of finally: the child has ended when it is at rest
}

// Tag is a name with a value by which people find runs.
type Tag struct {
	Name, Value string
	Gone        bool // it was taken away
}

// ObjectWrite is new state for one of a step's object keys.
type ObjectWrite struct {
	Key     string
	State   []byte // JSON; nil: removed
	Version uint64 // the key's version after this write
	Fence   uint64 // under which the writer held the key
}

// Stops says whether an event of this kind ends its run, or takes it out of service: no attempt can be recorded as started after
// it. A kind that does so in time to come must be named here.
func (k Kind) Stops() bool {
	switch k {
	case RunCompleted, RunFailed, RunCancelled, RunQuarantined, RunFinishing:
		return true
	}
	return false
}

// Size is about how many bytes the event takes in a record.
func (e *Event) Size() int {
	n := 64 + len(e.Payload) + len(e.Message) + len(e.Stack)
	for i := range e.Objects {
		n += len(e.Objects[i].Key) + len(e.Objects[i].State)
	}
	for i := range e.Tags {
		n += len(e.Tags[i].Name) + len(e.Tags[i].Value)
	}
	return n
}

// OfStep says whether the event is about one step. A run can fail without one.
func (e *Event) OfStep() bool {
	switch e.Kind {
	case RunFailed:
		return e.Code == ""
	case RunFinishing:
		return e.Code == "" && e.Name == "failed"
	}
	return e.Kind.HasStep()
}

// HasStep says whether events of this kind are about one step.
func (k Kind) HasStep() bool {
	if int(k) >= len(layouts) {
		return false
	}
	for _, f := range layouts[k] {
		if f == fStep {
			return true
		}
	}
	return false
}
