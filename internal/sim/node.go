package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/internal/evaluate"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/schedules"
	"github.com/agnt5/agnt5d/worker"
)

// node is one shard of the process and its disk. A file has one; a World has up to three around one hub, in a share of the seeds.
// Ids and object keys belong to one shard each: a run is where its id says, and a key is another one at each shard.
type node struct {
	w      *World
	no     journal.Shard
	disk   *Disk
	shard  *shard.Shard
	inbox  []shard.Input
	full   bool // the disk is full
	keeper keeper
	reads  []*reading
	doubt  *doubt
	holds  int               // turns until somebody ends the hold of every run
	asked  []*shard.Question // what expressions come to, not answered yet

	// What is under way between the hub and the shard, in order, when each has its own goroutine (World.slow).
	fromHub []shard.Input
	toHub   []func()
}

// home gives the node whose shard the id belongs to.
func (w *World) home(id string) *node {
	if schedule, _, ok := schedules.NameOf(id); ok { // its runs are where it is
		id = schedule
	}
	h := fnv.New32a()
	h.Write([]byte(id))
	return w.nodes[h.Sum32()%uint32(len(w.nodes))]
}

// at gives the node of a run.
func (w *World) at(run uint64) *node { return w.nodes[journal.ShardOf(run)] }

// some gives a node.
func (w *World) some() *node {
	if len(w.nodes) == 1 {
		return w.nodes[0]
	}
	return w.nodes[w.rng.IntN(len(w.nodes))]
}

func (n *node) send(in shard.Input) { n.inbox = append(n.inbox, in) }

// boot starts the shard on what the disk holds.
func (n *node) boot(boot uint64) {
	w := n.w
	n.inbox, n.fromHub, n.toHub, n.full, n.reads, n.doubt, n.asked = nil, nil, nil, false, nil, nil, nil
	if w.bug == StaleState && w.epoch > 2 && len(n.disk.records) > 40 {
		n.disk.base = n.disk.records[len(n.disk.records)-2].Seq
	}
	var host shard.Host = w.hub.Attach(n.no, link{n})
	if w.slow {
		host = lateHost{n, host}
	}
	careful := w.bug == NoBug && !w.calm && (w.Seed+uint64(w.epoch))%6 == 0 // not drawn: the histories of the other seeds stay as they are
	n.holds = w.epoch % 25
	if careful {
		w.op("every run is held")
	}
	n.shard = shard.New(shard.Config{Journal: n.disk, Release: "sim", Boot: boot, Careful: careful, LeaseMS: lease, CheckpointBytes: 6_000, MaxLive: 1 + w.rng.IntN(4), ParkTurns: 1 + w.rng.Uint64N(8), StaleTimes: 2, TombstoneMS: tombstone, Host: host,
		Execute:  func(s *shard.Spec) { w.handOut("local", s); w.local = append(w.local, s) },
		Evaluate: func(q *shard.Question) { n.asked = append(n.asked, q) },
		Cancel:   func(s *leases.Slot, _ string) { w.cancelled[s] = true }, Damage: w.judge.reported})
	n.shard.Stats = shard.Stats{}
	if err := n.shard.Recover(w.now()); err != nil {
		w.fail("recovery: %v", err)
	}
	for _, h := range handlers {
		if h.local {
			n.shard.Serve(h.service, h.name, func(ctx ctxT, t *worker.Task) (json.RawMessage, error) { return nil, nil })
		}
	}
	n.disk.Append(n.shard.Boot())
}

func (n *node) turn() {
	w := n.w
	n.endHold()
	k := len(n.fromHub)
	if w.slow && !w.calm && k > 0 {
		k = w.rng.IntN(k + 1)
	}
	in := append(n.fromHub[:k:k], n.inbox...)
	n.fromHub, n.inbox = n.fromHub[k:], nil
	at := w.now()
	if w.bug == EarlyClock {
		at.Wall += 400
		w.judge.ahead = 400
	}
	n.shard.Take(at, in)
	n.inquire()
	full := n.shard.Full()
	b := n.shard.Turn(at, nil)
	if full && b != nil {
		w.fail("a turn writes %d records though the disk is full, and so will the next", len(b.Records))
	}
	n.inquire()
	n.check()
	if b != nil {
		n.disk.Append(b)
		w.decided = w.decided || slices.ContainsFunc(b.Rows, func(r journal.Row) bool { return strings.HasPrefix(r.Key, ledgerRows) })
		if w.bug == EarlyAck {
			n.shard.Committed(b, nil, w.now())
		}
		if n.full {
			n.refuse()
		}
	}
	w.dispatch()
}

// endHold lets somebody end the hold of every run: some turns after the start run by run, and in the quiet phase at once.
func (n *node) endHold() {
	h := n.shard.Holding()
	rate := 1 + n.w.epoch%3
	if n.w.calm {
		rate = 0
	}
	if n.holds--; !h.On || h.Releasing && h.PerSecond == rate || !n.w.calm && n.holds > 0 {
		return
	}
	n.w.op("the hold is ended")
	n.send(&shard.ReleaseAll{By: "sim", PerSecond: rate, Reply: func(shard.Hold, error) {}})
}

// answer works out one of the expressions that the shard asked for, in any order.
func (n *node) answer() {
	if len(n.asked) == 0 {
		return
	}
	i := n.w.rng.IntN(len(n.asked))
	q := n.asked[i]
	n.asked = append(n.asked[:i:i], n.asked[i+1:]...)
	n.w.op("an expression is worked out")
	in, err := evaluate.Answer(q, n.w.judge.archive(q.Run))
	var damage *journal.DamageError
	switch t := n.w.judge.byRun[q.Run]; {
	case t != nil && errors.As(err, &damage) && t.damaged == damage.Seq:
		n.w.meets(t)
		return
	case t != nil && t.gone && errors.Is(err, journal.ErrNotFound): // nobody waits for it
		in, err = &shard.Evaluated{Run: q.Run, Step: q.Step, No: q.No, Got: replay.Evaluated{Err: "what the expression names cannot be read"}}, nil
	}
	if err != nil {
		n.w.fail("run %d: %v", q.Run, err)
	}
	n.send(in)
}

// commit makes batches durable, lets the Judge look at them, and tells the shard.
func (n *node) commit(some int) {
	w := n.w
	swept := n.disk.Swept
	done := n.disk.Commit(some)
	if n.disk.Swept > swept {
		w.op("the id of a deleted run is free again")
	}
	for _, b := range done {
		records := b.Records
		if w.bug == DroppedRecord && len(records) > 2 && w.chance(20) {
			n.disk.records = n.disk.records[:len(n.disk.records)-1]
			records = records[:len(records)-1]
		}
		w.judge.durable(records)
		w.judge.scheduled(b.Rows, true)
	}
	if w.bug != EarlyAck {
		for _, b := range done {
			n.shard.Committed(b, nil, w.now())
			n.check()
		}
	}
	w.dispatch()
	w.judge.compare(n)
}

// refuse is a disk without space: everything that is queued is dropped, cleanly.
func (n *node) refuse() {
	for _, b := range n.disk.Lose() {
		n.shard.Committed(b, journal.ErrFull, n.w.now())
	}
	n.check()
	n.w.dispatch()
}

// space is a disk that has room again.
func (n *node) space() {
	n.full = false
	if n.shard.Full() {
		n.inbox = append(n.inbox, n.shard.Resume()...)
	}
}

// crash loses what was not committed.
func (n *node) crash() {
	w := n.w
	if q := len(n.disk.queue); q > 0 && w.chance(50) {
		w.op("commit that nobody heard of")
		for _, b := range n.disk.Commit(1 + w.rng.IntN(q)) {
			w.judge.durable(b.Records)
			w.judge.scheduled(b.Rows, true)
		}
	}
	n.disk.Lose()
	if w.bug == LostCommit && len(n.disk.records) > 30 {
		n.disk.next = n.disk.records[len(n.disk.records)-1].Seq
		n.disk.records = n.disk.records[:len(n.disk.records)-1]
	}
}

// check looks at the shard's books. Nothing else than a turn and a commit changes them.
func (n *node) check() {
	if err := n.shard.Check(); err != nil {
		n.w.fail("%v", err)
	}
}

// hubTurn tells the hub what came from the shards, and lets it turn.
func (w *World) hubTurn() {
	for _, n := range w.nodes {
		k := len(n.toHub)
		if !w.calm && k > 0 {
			k = w.rng.IntN(k + 1)
		}
		news := n.toHub[:k]
		n.toHub = n.toHub[k:]
		for _, fn := range news {
			fn()
		}
	}
	asks := w.asks
	w.asks = nil
	w.hub.Turn(w.now(), asks)
	w.checkHub()
}

// dispatch lets a hub that is on the goroutine of its shards bring offers and workers together.
func (w *World) dispatch() {
	if !w.slow {
		w.hub.Dispatch(w.now())
		w.checkHub()
	}
}

func (w *World) checkHub() {
	if err := w.hub.Check(); err != nil {
		w.fail("%v", err)
	}
	if w.slow {
		return
	}
	has := map[*leases.Slot]string{}
	for _, s := range w.hub.Sessions() {
		for _, slot := range s.Leases() {
			has[slot] = s.ID
		}
	}
	for _, n := range w.nodes {
		for _, slot := range n.shard.Hub.Leases() {
			if works := slot.State == leases.Leased || slot.State == leases.Cancelled; works && slot.Session != nil && w.hub.Session(slot.Worker) != nil && has[slot] != slot.Worker {
				if s := w.hub.Session(slot.Worker); &s.Session == slot.Session {
					w.fail("%s has %s, and the hub does not know", slot.Worker, slot)
				}
			}
			delete(has, slot)
		}
	}
	for slot, who := range has {
		w.fail("the hub believes that %s has %s", who, slot)
	}
}

// link is the way from the hub to the shard.
type link struct{ n *node }

func (l link) Lend(f *leases.Handler, s *leases.Session) {
	if l.n.w.slow {
		l.n.fromHub = append(l.n.fromHub, &shard.Lend{Handler: f, Session: s})
		return
	}
	l.n.shard.Lend(f, s)
}

func (l link) Send(in shard.Input) {
	if n := l.n; n.w.slow { // answers are on their way, too
		switch in := in.(type) {
		case *shard.Outcome:
			reply := in.Reply
			in.Reply = func(res shard.Result, look bool, err error) { n.late(func() { reply(res, look, err) }) }
		case *shard.Adopt:
			reply := in.Reply
			in.Reply = func(gone []leases.Token, err error) { n.late(func() { reply(gone, err) }) }
		case *shard.Beat:
			reply := in.Reply
			in.Reply = func(gone []leases.Token, err error) { n.late(func() { reply(gone, err) }) }
		case *shard.Gone:
			reply := in.Reply
			in.Reply = func(err error) { n.late(func() { reply(err) }) }
		default:
			panic(fmt.Sprintf("the hub sends %T", in))
		}
	}
	l.n.fromHub = append(l.n.fromHub, in)
}

func (n *node) late(fn func()) { n.toHub = append(n.toHub, fn) }

// lateHost is a hub on another goroutine.
type lateHost struct {
	n *node
	h shard.Host
}

func (l lateHost) Offered(f *leases.Handler) { l.n.late(func() { l.h.Offered(f) }) }
func (l lateHost) Given(s *leases.Session, slot *leases.Slot, spec *shard.Spec, more bool) {
	if spec != nil { // what becomes of the attempt until its worker hears of it is like a slow connection
		l.n.w.handOut(s.ID, spec)
	}
	l.n.late(func() { l.h.Given(s, slot, spec, more) })
}
func (l lateHost) Handed(s *leases.Session, slot *leases.Slot, spec *shard.Spec) {
	l.n.w.handOut(s.ID, spec)
	l.n.late(func() { l.h.Handed(s, slot, spec) })
}
func (l lateHost) None(s *leases.Session, f *leases.Handler) { l.n.late(func() { l.h.None(s, f) }) }
func (l lateHost) Held(s *leases.Session, slot *leases.Slot) { l.n.late(func() { l.h.Held(s, slot) }) }
func (l lateHost) Left(s *leases.Session, slot *leases.Slot) { l.n.late(func() { l.h.Left(s, slot) }) }
func (l lateHost) Full(full bool)                            { l.n.late(func() { l.h.Full(full) }) }
func (l lateHost) Cancelled(s *leases.Session, slot *leases.Slot, t leases.Token) {
	l.n.late(func() { l.h.Cancelled(s, slot, t) })
}
