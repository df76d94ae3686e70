package shard

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/meter"
	"github.com/agnt5/agnt5d/internal/objects"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/timers"
)

// Journal is what the shard reads while it recovers. What it writes, it hands out as batches; what else it must know, it asks for,
// see needs.
type Journal interface {
	archive.Log
	Reads
	NextSeq() uint64
	Recover(journal.Visitor) error
	Rows(prefix string) ([]journal.Row, error)
}

// Config is what a shard is made with.
type Config struct {
	Journal Journal
	Archive *archive.Archive // of the Journal; nil: one of its own
	Release string           // of the software, for EngineStarted
	Boot    uint64           // a random number, drawn for this start: what tells the tokens of two histories apart. 0: tokens of the old form

	LeaseMS         int64  // remote leases; 0: 30,000
	CheckpointBytes int64  // log bytes between two recovery points; 0: 32 MiB. Small: more snapshot writes; large: longer recovery
	MaxLive         int    // idle runs kept unfolded in memory; 0: 20,000
	ParkTurns       uint64 // turns between two looks for idle runs; 0: 64
	StaleTimes      int    // due times that may be in the queue for steps that wait no more, beside twice as many as wait; 0: 4,096
	TombstoneMS     int64  // how long a deleted run's id is kept; 0: 90 days

	// Host has the workers.
	Host Host
	// Execute runs an attempt in process. It must not block.
	Execute func(*Spec)
	// Room gives where the Spec for Execute is to lie; nil: it need not lie with anything.
	Room func(*leases.Slot) *Spec
	// Evaluate works out what expressions come to, and brings an Evaluated. It must not block.
	Evaluate func(*Question)
	// Cancel tells an attempt in process that nobody waits for its answer any more.
	Cancel func(*leases.Slot, string)
	// Damage hears of each damage found; Note of things an operator should read.
	Damage func(journal.Damage)
	// Newer hears of each run that waits for a newer release.
	Newer func(archive.Newer)

	// Careful holds every run until ReleaseAll. Released hears how many runs it has released when it is through.
	Careful  bool
	Released func(runs int)
}

// Now is the time of a turn: the wall clock, and a clock that never goes back.
type Now struct {
	Wall int64 // Unix ms
	Mono int64 // ms
}

// ErrAway is the shard's answer for a run that is not in memory's books: fold it from the journal and ask again with its state.
var ErrAway = errors.New("the run has ended and is not in memory")

// Shard is the core. It is not safe for concurrent use. Between two calls this holds, and Check looks whether it does:
//
//  1. No turn is under way: no batch, and no facts but of damage that was found when a full disk made the shard fold again. Batches
//     under way end one behind the other, from durable to next.
//  2. A run in memory stands under its number and its id, and is not put away as well; each keeps to the rules of its State.
//  3. A run that has ended is in memory only while an attempt is out, or until the batches under way are durable.
//  4. A run's leased is how many leases of it have a start that is not journaled: none unless it is running. Each of these waits in
//     starts, or in grants when it was not handed out.
//  5. Whoever works is expected: the run of a lease knows of the attempt, unless a batch under way releases it. A slot whose
//     outcome is on its way is released by one.
//  6. Whoever is expected works or can: each scheduled step is offered, leased, or waits for an attempt that is out; each running
//     step has its lease, and so has each attempt that is out. Of a run that is paused, or held, nothing is offered.
//  7. The table of keys has exactly the requests of the states, and they hold their keys when the state says so.
//  8. Who works under a key holds it: no other handler can have a task with that key.
//  9. Every time that a running run waits for, unless it is paused, stands in the queue of times; one that has come for a held run is kept
//     for its release.
//  10. What an instance of a running run asks was asked, and nothing else. A held run asks for no child.
//
// Of a damaged run, and of one that a newer release has written on, less is known than happened: 7 and 8 leave out their keys.
type Shard struct {
	cfg     Config
	j       Journal // nil but while it recovers
	archive *archive.Archive
	Hub     *leases.Hub

	table    *objects.Table
	due      timers.Queue
	dueKept  int // how many were in it when it was swept last
	agenda   scheduleBook
	nursery  nursery
	ends     []endOf // found at recovery, not yet asked for
	runs     map[uint64]*Run
	parked   map[uint64]parked
	newer    map[uint64]*archive.Newer
	ids      map[string]*Run   // of runs in memory
	gone     map[string]uint64 // runs whose deletion is on its way to the journal, by id
	deleting map[string]bool   // runs of which some that stand below them are deleted, and that are to follow, by id
	defs     map[flow.Digest]*Def
	flows    map[string]*Workflow
	versions map[string]version // of objects, as far as they are known
	shedAt   int                // how many of them are too many

	now     Now
	next    uint64 // sequence of the next event
	durable uint64 // last durable sequence
	turnNo  uint64
	b       *Batch   // of the turn under way
	spare   effects  // the lists of a batch that is done, to be used again
	spaces  []space  // what batches that are done wrote into, likewise
	flying  []*Batch // handed out, not yet committed, in order
	work    []*Run   // runs with facts to fold in this turn
	turn    replay.Turn
	folding *Run // whose turn it is
	// stopping is flushStarts, made once: see replay.Turn.Stopping.
	stopping func(*replay.Turn)
	starts   []*leases.Slot // leases whose start the journal does not know yet, oldest first
	first    int            // of starts
	grants   []*leases.Slot // careful ones, to be journaled before they are handed out

	full      bool // out of space: reads only
	kept      []Input
	retold    []Input // whose answer hung on a batch that was dropped: they are admitted again
	toldWaits bool    // those that are left need something of the journal
	broken    error
	careful   careful
	clean     bool // the last stop was a clean one
	catching  bool // what was overdue at the start has not fired yet: inputs wait in ready
	needs     needs
	ready     []Input // for the next turn
	admitted  []Input // by the last one; its space is used again
	held      []Input // they, or what stands in front of them, need something of the journal
	boot      *Batch  // made by Recover

	parkedAt, parkAt uint64   // turns of the last and the next look for idle runs
	parking          []uint64 // idle runs that are being put away
	parkSince        uint64   // the turn since which nobody has touched them
	silence          silence  // of workers since the restart
	sweepAt          int64    // monotonic ms: when a batch is to sweep again
	turnedAt, wakeAt int64    // monotonic ms: of the last turn, and when the next was due by itself

	logBytes   int64
	checkpoint *checkpoint
	asks       uint64   // questions asked so far
	last       []func() // to run at the end of the turn
	Stats      Stats
	meters     *meters
}

// Stats counts what the shard did since it was made.
type Stats struct {
	Turns, Records, Events         uint64
	StepsCompleted, AttemptsFailed uint64
	AttemptsLost                   uint64
	RunsStarted, RunsEnded         uint64
	Signals, TimersFired           uint64
	Parked, Unparked               uint64
	Stale                          uint64 // answers of the journal that came too late to be true
}

// Def is a definition with what the shard looks up for each step.
type Def struct {
	Graph    *flow.Graph
	handlers []*leases.Handler // by step; nil for waits
	hub      *leases.Hub
	keyed    bool

	served    []*HandlerMeter    // by step; nil: not looked up yet
	metered   []*meter.Histogram // by step, of the workflow meteredAs
	meteredAs string
}

// Workflow is a name and its versions.
type Workflow struct {
	Name     string
	Versions []Version // ascending; version n is at n-1
	Current  uint32
}

// Version is one version of a workflow.
type Version struct {
	Version uint32
	Digest  flow.Digest // "": it was deleted
	At      int64       // Unix ms
	started uint64      // runs, since the shard was made
}

// Run is a run in memory.
type Run struct {
	S       *replay.State
	def     *Def
	facts   []fact
	snap    uint64                     // LastSeq of the snapshot in the journal; 0: none
	touched uint64                     // number of the last turn that looked at it
	leased  int                        // leases whose start is not journaled
	asked   map[replay.Instance]uint64 // the number of the question that an instance waits for
	waiters []waiter
	hurt    *journal.Damage // found at recovery, not yet journaled
}

type waiter struct {
	key any
	fn  func(*replay.State)
}

// parked is an idle run put away: its state encoded, as in a snapshot. Once the journal has that snapshot, memory need not.
type parked struct {
	state []byte // nil: the snapshot of snap, which is last, is in the journal
	snap  uint64 // LastSeq of the snapshot in the journal; 0: none
	last  uint64 // LastSeq
}

// Batch is what one turn wrote, and what follows from it when it is durable.
type Batch struct {
	*journal.Batch
	effects
	Last  uint64 // last sequence
	arena []byte
}

// space is what a batch puts its records and heads into.
type space struct {
	arena   []byte
	records []journal.Record
	heads   []journal.Head
}

func (b *Batch) use(s space) { b.arena, b.Records, b.Heads = s.arena, s.records, s.heads }

// New gives a shard before Recover.
func New(cfg Config) *Shard {
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&cfg.LeaseMS, 30_000)
	def(&cfg.CheckpointBytes, 32<<20)
	def(&cfg.TombstoneMS, 90*24*3600*1000)
	if cfg.MaxLive == 0 {
		cfg.MaxLive = 20_000
	}
	if cfg.ParkTurns == 0 {
		cfg.ParkTurns = 64
	}
	if cfg.StaleTimes == 0 {
		cfg.StaleTimes = 4096
	}
	r := &Shard{cfg: cfg, archive: cfg.Archive, meters: newMeters()}
	if r.archive == nil {
		r.archive = archive.New(cfg.Journal)
	}
	r.careful.on = cfg.Careful
	r.stopping = r.flushStarts
	r.Hub = leases.NewHub(cfg.LeaseMS, cfg.Host)
	r.forget()
	return r
}

// forget throws away everything that was folded; what workers have stays with the hub.
func (r *Shard) forget() {
	r.table = objects.NewTable()
	r.due, r.dueKept = timers.Queue{}, 0
	r.agenda = scheduleBook{}
	r.nursery, r.ends = nursery{}, nil
	r.careful.dues = nil
	r.runs, r.parked, r.ids, r.gone = map[uint64]*Run{}, map[uint64]parked{}, map[string]*Run{}, map[string]uint64{}
	r.newer = map[uint64]*archive.Newer{}
	r.deleting = map[string]bool{}
	r.defs, r.flows = map[flow.Digest]*Def{}, map[string]*Workflow{}
	r.versions, r.shedAt = map[string]version{}, keptVersions
	r.needs, r.toldWaits = newNeeds(), false
	r.flying, r.work, r.b = nil, nil, nil
	r.starts, r.first, r.grants = nil, 0, nil
	r.checkpoint, r.parking = nil, nil
	r.logBytes = 0
}

// Def gives the definition with that digest.
func (r *Shard) Def(d flow.Digest) (*Def, error) {
	if def := r.defs[d]; def != nil {
		return def, nil
	}
	if r.j == nil {
		if why, told := r.needs.graphs.row(d); told {
			return nil, *why
		}
		return nil, errNotRead
	}
	g, err := r.archive.Graph(d)
	if err != nil {
		return nil, err
	}
	return r.adopt(g), nil
}

// define gives the definition with that graph, which may be another copy of the one that is known.
func (r *Shard) define(g *flow.Graph) *Def {
	if def := r.defs[g.Digest]; def != nil {
		return def
	}
	return r.adopt(r.archive.Keep(g))
}

func (r *Shard) adopt(g *flow.Graph) *Def {
	def := &Def{Graph: g, hub: r.Hub, handlers: make([]*leases.Handler, len(g.Def.Steps)), served: make([]*HandlerMeter, len(g.Def.Steps))}
	for i := range g.Def.Steps {
		s := &g.Def.Steps[i]
		if s.Type == flow.TypeTask || s.Type == "" {
			def.handlers[i] = r.Hub.Handler(s.Service, s.Handler)
			def.keyed = def.keyed || len(s.ObjectKeys) > 0
		}
	}
	r.defs[g.Digest] = def
	return def
}

// run gives the run of that number if it is in memory's books. One that is not understood when it is woken leaves them.
func (r *Shard) run(number uint64) (*Run, error) {
	if run := r.runs[number]; run != nil {
		run.touched = r.turnNo
		return run, nil
	}
	p, ok := r.parked[number]
	if !ok {
		return nil, nil
	}
	s, err := r.wake(number, p)
	if errors.Is(err, refusal.ErrNewerRelease) {
		r.tooNew(number, p, s, err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("run %d: %w", number, err)
	}
	return r.rise(number, p, s), nil
}

// wake gives the state of a run that was put away. While the shard recovers it reads the journal.
func (r *Shard) wake(number uint64, p parked) (*replay.State, error) {
	if p.state != nil {
		return r.archive.Decode(p.state)
	}
	if why, told := r.needs.runs.row(number); told {
		return nil, *why
	}
	if r.j == nil {
		return nil, errNotRead
	}
	snap, ok, err := r.j.Snapshot(number)
	reader := Reader{Archive: r.archive, Damage: r.cfg.Damage}
	return reader.wake(Sleeper{number, p.last}, journal.Found[journal.Snapshot]{Row: snap, OK: ok, Err: err})
}

// rise takes a run that was put away into memory.
func (r *Shard) rise(number uint64, p parked, s *replay.State) *Run {
	def := r.define(s.Graph)
	s.Graph = def.Graph
	run := &Run{S: s, def: def, snap: p.snap, touched: r.turnNo}
	delete(r.parked, number)
	r.runs[number], r.ids[s.ID] = run, run
	r.Stats.Unparked++
	return run
}

// tooNew takes a run that was put away, and that is not understood, out of the books. s is what is understood of it.
func (r *Shard) tooNew(number uint64, p parked, s *replay.State, err error) {
	n := archive.NewerOf(number, err)
	n.Last, n.State = p.last, s
	r.hold(&n)
}

// errNotRead is a mistake of ours: what needs says, find and run must not miss.
var errNotRead = errors.New("the journal was not asked for it")

// find gives the run of that id if it is in memory's books; ErrAway when it has ended, ErrRunNotFound, ErrRunExpired. needID has asked
// for what it needs.
func (r *Shard) find(id string) (*Run, error) {
	if run := r.ids[id]; run != nil {
		run.touched = r.turnNo
		return run, nil
	}
	if r.gone[id] != 0 {
		return nil, refusal.ErrRunExpired
	}
	row, ok := r.needs.ids.row(id)
	switch {
	case !ok:
		return nil, errNotRead
	case row.err != nil:
		return nil, row.err
	case row.Until > r.now.Wall:
		return nil, &archive.DeletedError{ID: id, Until: row.Until}
	case !row.known || row.Until != 0:
		return nil, refusal.ErrRunNotFound
	}
	run, err := r.run(row.Run)
	if n := r.newer[row.Run]; n != nil {
		return nil, &archive.NewerError{Newer: *n}
	}
	if run == nil && err == nil {
		return nil, ErrAway
	}
	return run, err
}

// whenDurable runs fn when everything that the shard has decided up to now is durable. It may be called in a turn only.
func (r *Shard) whenDurable(fn func(error)) { r.b.then = append(r.b.then, fn) }

// tell answers in when everything that the shard has decided up to now is durable. When that is dropped for want of space, what the
// answer says may not be so: in is admitted again, and gets its answer from what is on disk.
func (r *Shard) tell(in Input, fn func(error)) {
	r.whenDurable(func(err error) {
		if err == refusal.ErrDiskFull {
			r.retold = append(r.retold, in)
			return
		}
		fn(err)
	})
}

// deny refuses in for what the run's state says, when that is durable.
func (r *Shard) deny(in wish, why error) {
	r.tell(in, func(err error) { in.refuse(cmp.Or(err, why)) })
}

// noRoom refuses what would have to write while the disk is full.
func (r *Shard) noRoom(in refuser) bool {
	if r.full {
		in.refuse(refusal.ErrDiskFull)
	}
	return r.full
}

// atEnd runs fn when the turn's facts are folded and nothing has been decided after them: what fn reads is what whenDurable
// waits for.
func (r *Shard) atEnd(fn func()) { r.last = append(r.last, fn) }

// handlerOf gives the handler that a task of the run wants.
func (run *Run) handlerOf(i replay.Instance) *leases.Handler {
	if i = run.S.Shared(i); int(i) < len(run.def.handlers) {
		return run.def.handlers[i]
	}
	spec := run.S.Spec(i)
	return run.def.hub.Handler(spec.Service, spec.Handler)
}
