package shard

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/objects"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// Register stores a definition under a name.
type Register struct {
	By       string // who asks
	Name     string
	Graph    *flow.Graph
	Body     []byte // canonical JSON
	ByWorker bool   // published by a worker: a known digest changes nothing
	Mend     bool   // rows of definitions are damaged: those of this version are written again
	Reply    func(Registered, error)
}

// Registered is the answer to Register.
type Registered struct {
	Version uint32
	Current uint32 // of the name, after it
	Before  uint32 // that was current before; 0: none, or the same
	Digest  flow.Digest
	Created bool
}

func (in *Register) refuse(err error) { in.Reply(Registered{}, err) }
func (in *Register) asks()            {}

func (in *Register) admit(r *Shard) {
	w := r.flows[in.Name]
	if w == nil {
		w = &Workflow{Name: in.Name}
	}
	got := Registered{Digest: in.Graph.Digest}
	for _, v := range w.Versions {
		if v.Digest == in.Graph.Digest {
			got.Version = v.Version
		}
	}
	if got.Version != 0 && (in.ByWorker || w.Current == got.Version) {
		got.Current = w.Current
		if in.Mend {
			if r.noRoom(in) {
				return
			}
			r.define(in.Graph)
			r.b.Definitions = append(r.b.Definitions, journal.Definition{Name: in.Name, Version: got.Version, Digest: string(got.Digest), Body: in.Body,
				At: w.Versions[got.Version-1].At, Current: got.Version == w.Current})
		}
		r.tell(in, func(err error) { in.answer(got, err) })
		return
	}
	if r.noRoom(in) {
		return
	}
	r.flows[in.Name] = w
	if got.Version == 0 {
		if in.Graph.Templated() {
			r.b.Rows = append(r.b.Rows, journal.Row{Key: archive.TemplatesRow(in.Graph.Digest), Value: []byte{1}})
		}
		got.Version, got.Created = uint32(len(w.Versions)+1), true
		w.Versions = append(w.Versions, Version{Version: got.Version, Digest: in.Graph.Digest, At: r.now.Wall})
		if r.defs[in.Graph.Digest] == nil {
			r.define(in.Graph)
		}
	}
	r.registered(in.Name)
	got.Before = w.Current
	w.Current, got.Current = got.Version, got.Version
	r.b.Definitions = append(r.b.Definitions, journal.Definition{Name: in.Name, Version: got.Version, Digest: string(got.Digest), Body: in.Body, At: r.now.Wall, Current: true})
	kind := event.WorkflowUsed
	if got.Created {
		kind = event.WorkflowRegistered
	}
	r.system(event.Event{Kind: kind, Name: in.Name, Version: got.Version, Digest: string(got.Digest), By: in.By})
	r.tell(in, func(err error) { in.answer(got, err) })
}

func (in *Register) answer(got Registered, err error) {
	if err != nil {
		got = Registered{}
	}
	in.Reply(got, err)
}

// Start asks for a run.
type Start struct {
	By       string // who asks
	ID       string
	Given    bool // by the caller: it may exist already
	Workflow string
	Version  uint32 // of the workflow; 0: the current one
	Input    []byte
	Trace    string
	Tags     []event.Tag  // by name
	StartAt  int64        // Unix ms: its first steps wait until then; 0: they do not
	DelayMS  int64        // the same, counted from the start
	Signal   *StartSignal // it is delivered with the start, or, when the run exists, to it; nil: none
	Fork     *Fork        // what it takes over from a run that has ended; nil: it is no fork
	Reply    func(Started, error)

	version Version
}

// Fork is what a fork begins with. It was read from the journal, for the version of the workflow that the start names.
type Fork struct {
	Of     replay.Forked
	Digest flow.Digest
	Reason string // why it is forked
	Kept   []replay.Kept
	Set    map[replay.Instance][]byte // outputs that were given
}

// StartSignal is a signal that comes with a start.
type StartSignal struct {
	Name, ID string
	Payload  []byte
}

// pick gives the version that a new run gets. Who starts one counts it there.
func (in *Start) pick(r *Shard) (*Version, bool) { return r.version(in.Workflow, in.Version) }

// Started is the answer to Start.
type Started struct {
	ID      string
	Run     uint64
	Created bool
	// Same must be asked before the answer is given when the run existed and is not in memory: its input decides.
	Away bool
}

func (in *Start) refuse(err error) { in.Reply(Started{}, err) }
func (in *Start) asks()            {}

func (in *Start) admit(r *Shard) {
	if in.Given {
		run, err := r.find(in.ID)
		switch {
		case err == ErrAway, errors.Is(err, refusal.ErrNewerRelease):
			in.Reply(Started{ID: in.ID, Away: true}, nil)
			return
		case run != nil && in.Signal != nil:
			r.give(run, in)
			return
		case run != nil:
			r.tell(in, func(err error) { in.again(run, err) })
			return
		case err != refusal.ErrRunNotFound:
			in.refuse(err)
			return
		}
	}
	v, there := in.pick(r)
	if !there || in.Fork != nil && in.Fork.Digest != v.Digest {
		in.refuse(refusal.ErrWorkflowNotFound)
		return
	}
	def, err := r.Def(v.Digest)
	if err != nil {
		in.refuse(err)
		return
	}
	if r.noRoom(in) {
		return
	}
	v.started++
	in.version = *v
	run := &Run{S: replay.New(def.Graph), def: def}
	r.ids[in.ID] = run
	r.give(run, in)
}

func (in *Start) fold(r *Shard, run *Run, t *replay.Turn) {
	t.By = in.By
	if run.S.Events > 0 {
		in.deliver(r, run, t)
		return
	}
	at := in.StartAt
	if in.DelayMS != 0 {
		at = t.At + in.DelayMS
	}
	t.StartAt(in.ID, in.Workflow, in.version.Version, in.Input, in.Trace, at, in.Tags)
	if in.Fork != nil {
		t.Fork(in.Fork.Of, in.Fork.Kept, in.Fork.Set, in.Fork.Reason)
	}
	if in.Signal != nil {
		t.Signal(in.Signal.Name, in.Signal.ID, in.Signal.Payload)
	}
	r.tell(in, func(err error) {
		if err != nil {
			in.refuse(err)
			return
		}
		in.Reply(Started{ID: in.ID, Run: run.S.Run, Created: true}, nil)
	})
}

// deliver brings the signal of a start whose run exists. When only the journal can say that it is the same start, the caller asks
// that first, and then sends the signal by itself.
func (in *Start) deliver(r *Shard, run *Run, t *replay.Turn) {
	known, err := run.S.MatchStart(replay.Origin{Workflow: in.Workflow, Version: in.Version, Input: in.Input})
	if err == nil && known {
		var received bool
		_, received, err = run.S.MatchSignal(in.Signal.Name, in.Signal.ID, in.Signal.Payload)
		if err == nil && !received {
			if r.noRoom(in) {
				return
			}
			t.Signal(in.Signal.Name, in.Signal.ID, in.Signal.Payload)
		}
	}
	if err != nil {
		r.deny(in, err)
		return
	}
	r.tell(in, func(err error) {
		if err != nil {
			in.refuse(err)
			return
		}
		in.Reply(Started{ID: in.ID, Run: run.S.Run, Away: !known}, nil)
	})
}

// again answers a start whose run exists: the same workflow and input, and version if one was named, get it, others a conflict. A large input is not in
// memory; the caller compares it.
func (in *Start) again(run *Run, err error) {
	known := true
	switch {
	case err != nil:
	case in.Fork != nil:
		err = run.S.MatchForked(in.Fork.Of)
	default:
		known, err = run.S.MatchStart(replay.Origin{Workflow: in.Workflow, Version: in.Version, Input: in.Input})
	}
	if err != nil {
		in.refuse(err)
		return
	}
	in.Reply(Started{ID: in.ID, Run: run.S.Run, Away: !known}, nil)
}

// Signal brings a signal.
type Signal struct {
	By       string // who asks
	ID       string // of the run
	Name     string
	SignalID string
	Payload  []byte
	Reply    func(consumedBy string, err error)
	Graph    *flow.Graph // of the run: it is there when Reply is called without an error
}

func (in *Signal) refuse(err error) { in.Reply("", err) }
func (in *Signal) asks()            {}

func (in *Signal) admit(r *Shard) {
	r.giveTo(in.ID, nil, in)
}

func (in *Signal) fold(r *Shard, run *Run, t *replay.Turn) {
	t.By = in.By
	_, received, err := run.S.MatchSignal(in.Name, in.SignalID, in.Payload)
	switch {
	case err != nil:
		r.deny(in, err)
		return
	case !received && r.noRoom(in):
		return
	case !received:
		t.Signal(in.Name, in.SignalID, in.Payload)
	}
	in.answer(r, run)
}

func (in *Signal) answer(r *Shard, run *Run) {
	r.atEnd(func() {
		by, _, _ := run.S.MatchSignal(in.Name, in.SignalID, in.Payload)
		in.Graph = run.S.Graph
		r.tell(in, func(err error) { in.Reply(by, err) })
	})
}

// Cancel ends a run.
type Cancel struct {
	By         string // who asks
	ID, Reason string
	Force      bool // whatever is left to do
	Reply      func(error)
}

func (in *Cancel) refuse(err error) { in.Reply(err) }
func (in *Cancel) asks()            {}

func (in *Cancel) admit(r *Shard) {
	r.giveTo(in.ID, nil, in)
}

func (in *Cancel) fold(r *Shard, run *Run, t *replay.Turn) {
	r.do(in, run, t, in.By, &replay.Deed{Force: in.Force, Reason: in.Reason}, in.Reply)
}

// wish is an Input with somebody who waits for an answer.
type wish interface {
	Input
	refuser
}

// do folds what an operator does to a run.
func (r *Shard) do(in wish, run *Run, t *replay.Turn, by string, d *replay.Deed, reply func(error)) {
	t.By = by
	err := run.S.MatchDeed(d)
	if err == nil && !run.S.HasDone(d) {
		if r.noRoom(in) {
			return
		}
		err = t.Do(d)
	}
	if err != nil {
		r.deny(in, err)
		return
	}
	r.tell(in, reply)
}

// Retry reopens a failed or cancelled run. State is the run folded from the journal when the shard said ErrAway.
type Retry struct {
	By         string // who asks
	ID, Reason string
	State      *replay.State
	Reply      func(error)
}

func (in *Retry) refuse(err error) { in.Reply(err) }
func (in *Retry) asks()            {}

func (in *Retry) admit(r *Shard) {
	if err := r.Deleting(in.ID); err != nil {
		in.refuse(err)
		return
	}
	r.giveTo(in.ID, in.State, in)
}

// comeBack takes a finished run, folded from the journal, into the books again.
func (r *Shard) comeBack(s *replay.State) (*Run, error) {
	row, ok := r.needs.ids.row(s.ID)
	if !ok || row.head.Run != s.Run || row.head.LastSeq != s.LastSeq { // it moved while the caller read
		return nil, ErrAway
	}
	run := &Run{S: s, def: r.define(s.Graph), touched: r.turnNo}
	r.runs[s.Run], r.ids[s.ID] = run, run
	r.b.ended = append(r.b.ended, run) // leaves the books again unless it was reopened
	return run, nil
}

func (in *Retry) fold(r *Shard, run *Run, t *replay.Turn) {
	r.do(in, run, t, in.By, &replay.Deed{Retry: true, Reason: in.Reason}, in.Reply)
}

// Fire fires a timer of a run now.
type Fire struct {
	By        string // who asks
	ID, Timer string
	Reply     func(error)
}

func (in *Fire) refuse(err error) { in.Reply(err) }
func (in *Fire) asks()            {}

func (in *Fire) admit(r *Shard) {
	r.giveTo(in.ID, nil, in)
}

func (in *Fire) fold(r *Shard, run *Run, t *replay.Turn) {
	t.By = in.By
	step, fired, err := run.S.MatchFire(in.Timer)
	switch {
	case err != nil:
		r.deny(in, err)
		return
	case !fired && r.noRoom(in):
		return
	case !fired:
		t.Fire(step)
	}
	r.tell(in, in.Reply)
}

// DeleteObject removes the state of an object.
type DeleteObject struct {
	By    string // who asks
	Key   string
	Reply func(error)
}

func (in *DeleteObject) refuse(err error) { in.Reply(err) }

// admit waits for the end of the turn: what else came may have given the key to a step, or back.
func (in *DeleteObject) admit(r *Shard) { r.atEnd(func() { in.delete(r) }) }

func (in *DeleteObject) delete(r *Shard) {
	if holder, _, _ := r.table.Key(in.Key); holder != nil {
		r.deny(in, r.heldBy(*holder))
		return
	}
	seq := r.system(event.Event{Kind: event.ObjectDeleted, Name: in.Key, By: in.By})
	r.versions[in.Key] = version{0, seq}
	r.b.Objects = append(r.b.Objects, journal.Object{Key: in.Key, Seq: seq})
	r.b.then = append(r.b.then, in.Reply)
}

// heldBy is ErrObjectHeld with who holds it.
func (r *Shard) heldBy(by objects.Owner) error {
	if run, err := r.run(by.Run); err == nil && run != nil {
		return fmt.Errorf("%w: step %q of run %q; delete it when that step is done, or cancel the run", refusal.ErrObjectHeld, run.S.Name(by.Step), run.S.ID)
	}
	if n := r.newer[by.Run]; n != nil && n.State != nil {
		return fmt.Errorf("%w: step %q of run %q, which waits for a newer release of agnt5d; start that one", refusal.ErrObjectHeld, n.State.Name(by.Step), n.State.ID)
	}
	return refusal.ErrObjectHeld
}

// Set keeps a durable setting of the layers above; a nil value removes it.
type Set struct {
	By    string // who asks
	Key   string
	Value []byte
	What  string // became of it, for an event; "": there is none
	Reply func(error)
}

func (in *Set) refuse(err error) { in.Reply(err) }

func (in *Set) admit(r *Shard) {
	r.b.Rows = append(r.b.Rows, journal.Row{Key: in.Key, Value: in.Value})
	if in.What != "" {
		r.system(event.Event{Kind: event.SettingChanged, Name: in.Key, Message: in.What, By: in.By})
	}
	r.b.then = append(r.b.then, in.Reply)
}

// Query reads a run in memory when what it reads is durable. The state must not be kept or changed.
type Query struct {
	ID    string
	Read  func(r *Shard, run *Run)
	Reply func(error)
}

func (in *Query) refuse(err error) { in.Reply(err) }
func (in *Query) reads()           {}

func (in *Query) admit(r *Shard) {
	run, err := r.find(in.ID)
	if err != nil {
		in.refuse(err)
		return
	}
	r.atEnd(func() {
		in.Read(r, run)
		r.tell(in, in.Reply)
	})
}

// Inspect reads the shard itself. Like that of a Query, Read is called again when what it read was dropped for want of space.
type Inspect struct {
	Read func(r *Shard)
	Done func()
}

func (in *Inspect) refuse(error) { in.Done() }
func (in *Inspect) reads()       {}

func (in *Inspect) admit(r *Shard) {
	r.atEnd(func() {
		in.Read(r)
		r.tell(in, func(error) { in.Done() })
	})
}

// Await asks to be told when a run has ended. Key names the asker for Forget.
type Await struct {
	ID    string
	Key   any
	Ended func(*replay.State) // the run as it ended, the caller's to keep; nil: ask for it
	Reply func(error)         // ErrAway: it has ended; nil: Ended will be called
}

func (in *Await) refuse(err error) { in.Reply(err) }
func (in *Await) reads()           {}

func (in *Await) admit(r *Shard) {
	run, err := r.find(in.ID)
	if err != nil {
		in.refuse(err)
		return
	}
	if run.S.Status.Ended() {
		r.tell(in, func(err error) { in.Reply(cmp.Or(err, ErrAway)) })
		return
	}
	run.waiters = append(run.waiters, waiter{in.Key, in.Ended})
	in.Reply(nil)
}

// Forget takes an Await back.
type Forget struct {
	ID  string
	Key any
}

func (in *Forget) reads() {}

func (in *Forget) admit(r *Shard) {
	run := r.ids[in.ID]
	if run == nil {
		return
	}
	for i, w := range run.waiters {
		if w.key == in.Key {
			run.waiters = append(run.waiters[:i:i], run.waiters[i+1:]...)
			return
		}
	}
}
