package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// Bug is a mistake that is planted to see whether the Judge finds it.
type Bug string

// Planted bugs.
const (
	NoBug         Bug = ""
	EarlyAck      Bug = "acknowledge before the commit"
	LostCommit    Bug = "lose the newest committed batch in a crash"
	EarlyClock    Bug = "let timers see a clock that is ahead"
	DroppedRecord Bug = "leave a record out of a commit"
	StaleState    Bug = "recover from an old snapshot and forget the log after it"
	SameBoot      Bug = "draw the same number at each start"
)

// World is everything around the shard, on one goroutine.
type World struct {
	Seed      uint64
	bug       Bug
	rng       *rand.Rand
	wall      int64
	mono      int64
	nodes     []*node
	hub       *hub.Hub
	asks      []hub.Input // of workers
	slow      bool        // the hub and each shard have a goroutine of their own
	judge     *Judge
	epoch     int                   // counts restarts: what was asked of an earlier shard is never answered
	calm      bool                  // the quiet phase
	copy      []*Disk               // of the files, to be put back
	cancelled map[*leases.Slot]bool // attempts in process whose handlers were told
	scheduled bool                  // there are schedules
	keeps     bool                  // a keeper deletes runs that are over
	moments   map[string]*moments   // by schedule
	forced    map[string]bool       // runs that somebody wanted to end at once
	tagsAsked map[string][]string   // by run: the tags with which somebody asked for it
	decided   bool                  // due times were decided a moment ago: they are on their way to a disk, or just there

	flows   []string
	local   []*shard.Spec // attempts in process
	remotes []*remote
	clients []*client
	Ops     map[string]int // what happened, by name
}

// client is somebody who asked for something and asks again until it is answered.
type client struct {
	what  string
	again func(c *client) // sends the request
	wait  bool            // an answer is under way
	tries int
	done  bool
}

// Run lives through one seed: faults for that many steps of the world, then quiet. The error is the first thing that may
// not be.
func Run(seed uint64, steps int, bug Bug) (w *World, err error) {
	w = &World{Seed: seed, bug: bug, rng: rand.New(rand.NewPCG(seed, 5)), wall: 1_800_000_000_000, mono: 1, Ops: map[string]int{}, moments: map[string]*moments{}, tagsAsked: map[string][]string{}, forced: map[string]bool{}, scheduled: seed%5 == 0, keeps: seed%6 == 1}
	shards := 1
	if seed%4 == 0 {
		shards = 2 + w.rng.IntN(2)
		w.op("several shards")
	}
	if w.slow = seed%8 >= 4; w.slow {
		w.op("a hub on another goroutine")
	}
	for no := range shards {
		w.nodes = append(w.nodes, &node{w: w, no: journal.Shard(no), disk: NewDisk(journal.Shard(no))})
	}
	w.judge = newJudge(w)
	defer func() {
		if p := recover(); p != nil {
			if v, ok := p.(violation); ok {
				err = v
				return
			}
			panic(fmt.Sprintf("seed %d: %v", seed, p))
		}
	}()
	w.boot()
	for i := range 1 + w.rng.IntN(4) {
		w.register(fmt.Sprintf("flow-%d", i))
	}
	for i := range 2 {
		w.remotes = append(w.remotes, &remote{w: w, id: fmt.Sprintf("remote-%d", i)})
	}
	for range steps {
		w.step()
	}
	w.quiet()
	w.judge.end()
	return w, nil
}

// violation is a broken invariant.
type violation struct {
	seed uint64
	text string
}

func (v violation) Error() string { return fmt.Sprintf("seed %d: %s", v.seed, v.text) }

func (w *World) fail(format string, args ...any) {
	panic(violation{w.Seed, fmt.Sprintf(format, args...)})
}

func (w *World) now() shard.Now { return shard.Now{Wall: w.wall, Mono: w.mono} }

func (w *World) chance(percent int) bool { return w.rng.IntN(100) < percent }

// lease is how long a worker may be silent, in ms.
const lease = 30_000

// tombstone is how long the id of a deleted run is kept, in milliseconds.
const tombstone = 60_000

// boot starts the process on what the disks hold.
func (w *World) boot() {
	w.epoch++
	w.local, w.asks = nil, nil
	w.cancelled = map[*leases.Slot]bool{}
	boot := 1 + w.rng.Uint64N(1<<63)
	if w.bug == SameBoot {
		boot = 1
	}
	w.hub = hub.New(hub.Config{LeaseMS: lease, LocalCapacity: 1 + w.rng.IntN(8), Services: map[string]int{"bounded": 1}})
	for _, h := range handlers {
		if h.local {
			w.hub.Serve(h.service, h.name)
		}
	}
	for _, n := range w.nodes {
		n.boot(boot)
	}
	if w.chance(90) || w.calm {
		w.commitAll()
	} else {
		w.op("crash while starting")
		w.crash()
	}
}

// handlers are what steps may name. Those that are local run in process; the others belong to remote workers.
var handlers = []struct {
	service, name string
	local         bool
}{{"here", "work", true}, {"here", "more", true}, {"bounded", "one", true}, {"far", "work", false}, {"far", "more", false}}

func (w *World) op(name string) { w.Ops[name]++ }

// step is one thing that happens.
func (w *World) step() {
	if w.decided {
		if w.decided = w.chance(70); w.chance(10) {
			w.op("crash around a decision")
			w.crash()
		}
	}
	if w.scheduled && w.chance(6) {
		w.scheduleActs()
	}
	if w.keeps && w.chance(6) {
		n := w.some()
		n.keeper.act(n)
	}
	if w.keeps && w.chance(2) {
		w.startAgain()
	}
	if w.chance(20) {
		w.some().readSome()
	}
	if w.chance(20) {
		w.some().answer()
	}
	switch n := w.rng.IntN(100); {
	case n < 30:
		w.turn()
	case n < 50:
		w.commitSome()
	case n < 62:
		w.finishLocal()
	case n < 76:
		w.remotes[w.rng.IntN(len(w.remotes))].act()
	case n < 88:
		w.clientActs()
	case n < 96:
		w.tick()
	case n < 98:
		w.fault()
	default:
		w.retryClients()
	}
}

func (w *World) turn() {
	w.hubTurn()
	w.some().turn()
}

// turnAll lets every shard turn, and hear what the others and the workers have to say.
func (w *World) turnAll() {
	w.hubTurn()
	for _, n := range w.nodes {
		n.turn()
	}
	w.hubTurn()
}

func (w *World) commitSome() {
	n := w.some()
	q := len(n.disk.queue)
	switch {
	case n.doubt != nil:
		if w.chance(30) {
			n.connect()
		}
	case q == 0 || n.full:
	case w.bug == NoBug && w.chance(3):
		n.loseConnection(1 + w.rng.IntN(q))
	default:
		n.commit(1 + w.rng.IntN(q))
	}
}

func (w *World) commitAll() {
	for _, n := range w.nodes {
		n.commit(len(n.disk.queue))
	}
}

// crash ends the engine at once: what was not committed is gone, and what was committed was perhaps not told.
func (w *World) crash() {
	for _, n := range w.nodes {
		n.crash()
	}
	w.restart()
}

// restart starts a new engine in the place of one that is gone.
func (w *World) restart() {
	for _, r := range w.remotes {
		r.engineGone()
	}
	for _, c := range w.clients {
		c.wait = false
	}
	w.boot()
}

func (w *World) fault() {
	switch n := w.rng.IntN(100); {
	case w.bug != NoBug && w.bug != SameBoot:
	case n < 20:
		w.copyOrPutBack()
		return
	case n < 25:
		w.restartsInARow()
		return
	case n < 37 && w.bug == NoBug:
		w.damage()
		return
	case n < 44 && w.bug == NoBug:
		w.fence()
		return
	}
	for _, n := range w.nodes {
		n.connect()
	}
	if w.bug == EarlyAck && w.chance(50) || w.chance(60) {
		w.op("crash")
		w.crash()
		return
	}
	n := w.some()
	if n.full {
		n.space()
		return
	}
	if w.bug == NoBug {
		w.op("disk full")
		n.full = true
		n.refuse()
	}
}

// damage makes a record of a run unreadable: not its first one, without which nothing can be said of it. A restart meets it, or
// somebody who reads the run.
func (w *World) damage() {
	var open, all []*track
	for _, t := range w.judge.order {
		if t.gone || t.damaged != 0 || t.s.LastSeq == t.s.Run {
			continue
		}
		all = append(all, t)
		if t.s.Resident() {
			open = append(open, t)
		}
	}
	if len(open) > 0 && w.chance(85) {
		all = open
	}
	if len(all) == 0 {
		return
	}
	t := all[w.rng.IntN(len(all))]
	var seqs []uint64
	disk := w.at(t.s.Run).disk
	for i := range disk.records {
		if r := &disk.records[i]; r.Run == t.s.Run && r.N > 1 {
			seqs = append(seqs, r.Seq)
		}
	}
	t.damaged = seqs[w.rng.IntN(len(seqs))]
	disk.Damage(t.damaged)
	w.op("a record is damaged")
	if w.chance(50) {
		w.meets(t)
	}
}

// meets is somebody who reads a damaged run: as the engine does, he tells the shard.
func (w *World) meets(t *track) {
	w.op("a reader meets the damage")
	w.at(t.s.Run).send(&shard.Quarantine{Run: t.s.Run, Seq: t.damaged, Why: "a bit has flipped"})
}

func (w *World) tick() {
	d := int64(1 + w.rng.IntN(2_000))
	if w.scheduled && w.chance(12) {
		w.jump()
	}
	switch w.rng.IntN(12) {
	case 0:
		d = int64(w.rng.IntN(90_000))
	case 1:
		w.op("clock goes back")
		w.wall -= int64(w.rng.IntN(5_000))
	case 2:
		w.op("clock jumps ahead")
		w.wall += int64(w.rng.IntN(3_600_000))
	}
	w.wall += d
	w.mono += d
}

// handOut is the moment in which a worker gets a task: it must be due, and nobody else may have it.
func (w *World) handOut(who string, s *shard.Spec) {
	if _, held := w.at(s.Slot.Run).shard.HeldBack(s.Slot.Run); held {
		w.fail("run %q is held, and attempt %d of its step %s is handed out to %s", s.ID, s.Attempt, s.Name, who)
	}
	w.judge.handedOut(who, s)
}

// works says whether the handler that got the task has not returned.
func (w *World) works(s *shard.Spec) bool {
	for _, r := range w.remotes {
		if r.works(s) {
			return true
		}
	}
	return slices.Contains(w.local, s)
}

// finishLocal lets a handler of this process return.
func (w *World) finishLocal() {
	if len(w.local) == 0 {
		return
	}
	i := w.rng.IntN(len(w.local))
	s := w.local[i]
	w.local = append(w.local[:i:i], w.local[i+1:]...)
	in := &shard.Outcome{Slot: s.Slot}
	w.decide(in, s)
	n := w.at(s.Slot.Run)
	n.send(in)
	if w.chance(2) {
		w.op("a handler answers twice")
		again := *in
		n.send(&again)
	}
}

// decide says what a handler answers: mostly it completes its step, and counts its objects up.
func (w *World) decide(in *shard.Outcome, s *shard.Spec) {
	fails := 25
	if w.calm {
		fails = 0
	}
	switch {
	case w.chance(fails):
		w.op("attempt failed")
		in.Fail = &replay.AttemptError{Code: failure.HandlerError, Message: "no luck", Final: w.chance(10)}
		return
	case !w.calm && w.chance(2) && s.Slot != nil:
		w.op("outcome for a foreign object")
		in.Objects = []event.ObjectWrite{{Key: "foreign", State: []byte("1")}}
	}
	in.Output = []byte(strconv.Quote(s.ID + "/" + s.Name))
	if s.Undo {
		in.Output = []byte(strconv.Quote(s.ID + "/" + s.Name + "/undo"))
	}
	for _, k := range s.Keys {
		o, _, _ := w.at(s.Slot.Run).disk.Object(k)
		n, _ := strconv.Atoi(string(o.State))
		in.Objects = append(in.Objects, event.ObjectWrite{Key: k, State: []byte(strconv.Itoa(n + 1))})
	}
}

// register makes up a workflow and registers it.
func (w *World) register(name string) {
	var others []string
	if len(w.nodes) == 1 { // a child begins on the shard of its parent, and callers look for it at home
		others = w.flows
	}
	d := randomFlow(w.rng, others)
	body, err := flow.Canonical(d)
	if err != nil {
		w.fail("canonical: %v", err)
	}
	own, problems := flow.Parse(body)
	if len(problems) > 0 {
		w.fail("a definition does not survive its canonical form: %v", problems)
	}
	g, err := flow.NewGraph(own)
	if err != nil {
		w.fail("graph: %v", err)
	}
	for _, n := range w.nodes {
		ok := false
		n.send(&shard.Register{Name: name, Graph: g, Body: body, Reply: func(_ shard.Registered, err error) { ok = err == nil }})
		n.turn()
		n.commit(len(n.disk.queue))
		if !ok {
			w.fail("registering %s was not answered", name)
		}
	}
	w.flows = append(w.flows, name)
}
