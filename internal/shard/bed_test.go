package shard_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/internal/sim"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/worker"
)

// bed is a shard on a simulated disk, with the handlers of the services "here" and "narrow", which may have one attempt at once, in process and a worker A for the service "far".
type bed struct {
	t     *testing.T
	disk  *sim.Disk
	r     *duo
	now   shard.Now
	tasks map[string]*shard.Spec // "run/step" -> what a worker has
	seq   uint64                 // of A's last poll

	careful bool   // every run is held
	stale   int    // as in shard.Config.StaleTimes
	name    string // of the case, for failures
	signals int
	damage  []journal.Damage // reported
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, disk: sim.NewDisk(0), now: shard.Now{Wall: 1_800_000_000_000, Mono: 1}, tasks: map[string]*shard.Spec{}}
	b.boot()
	return b
}

func (b *bed) boot() {
	b.t.Helper()
	clear(b.tasks)
	b.r = newDuo(shard.Config{Journal: b.disk, Release: "bed", Careful: b.careful, StaleTimes: b.stale, Cancel: func(*leases.Slot, string) {}, Execute: b.took,
		Damage: func(d journal.Damage) { b.damage = append(b.damage, d) }})
	if err := b.r.Recover(b.now); err != nil {
		b.t.Fatal(err)
	}
	for _, h := range []string{"work", "more"} {
		for _, service := range []string{"here", "narrow"} {
			b.r.Serve(service, h, func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil })
		}
	}
	b.disk.Append(b.r.Boot())
	b.commit()
}

func (b *bed) took(s *shard.Spec) { b.tasks[s.ID+"/"+s.Name] = s }

// turn folds the inputs; what it wrote is not durable yet.
func (b *bed) turn(in ...any) {
	b.t.Helper()
	give(b.r, b.disk, b.now, in)
	if batch := b.r.Turn(b.now, nil); batch != nil {
		b.disk.Append(batch)
	}
	b.check()
}

// give takes inputs, and reads at once what they need.
func give(r *duo, disk *sim.Disk, now shard.Now, in []any) {
	r.Take(now, in)
	for w := r.Wanted(); w != nil; w = r.Wanted() {
		r.Give(disk.Reader().Read(w))
	}
}

func (b *bed) commit() {
	b.t.Helper()
	for _, batch := range b.disk.Commit(b.disk.Queued()) {
		b.r.Committed(batch, nil, b.now)
	}
	b.check()
}

func (b *bed) check() {
	b.t.Helper()
	if err := b.r.Check(); err != nil {
		b.t.Fatalf("%s: %v", b.name, err)
	}
}

// do folds the inputs, and waits until all that follows is durable.
func (b *bed) do(in ...any) {
	b.t.Helper()
	b.turn(in...)
	for b.commit(); ; b.commit() {
		if b.turn(); b.disk.Queued() == 0 {
			return
		}
	}
}

func (b *bed) advance(ms int64) {
	b.t.Helper()
	b.now.Wall, b.now.Mono = b.now.Wall+ms, b.now.Mono+ms
	b.r.NextWake()
	b.do()
}

func (b *bed) register(name string, steps ...flow.Step) *flow.Graph {
	b.t.Helper()
	d := &flow.Definition{Steps: steps}
	body, err := flow.Canonical(d)
	if err != nil {
		b.t.Fatal(err)
	}
	g, err := flow.NewGraph(d)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(&shard.Register{Name: name, Graph: g, Body: body, Reply: func(_ shard.Registered, err error) {
		if err != nil {
			b.t.Fatal(err)
		}
	}})
	return g
}

func (b *bed) start(id, workflow string) {
	b.t.Helper()
	b.do(&shard.Start{ID: id, Given: true, Workflow: workflow, Input: []byte("null"), Reply: func(_ shard.Started, err error) {
		if err != nil {
			b.t.Fatal(err)
		}
	}})
}

func (b *bed) join(tokens ...leases.Token) {
	b.t.Helper()
	b.do(b.joining(tokens...))
}

func (b *bed) joining(tokens ...leases.Token) any {
	return &hub.Join{ID: "A", Service: "far", Handlers: []string{"work", "more"}, Capacity: 9, Tokens: tokens, Reply: func([]leases.Token, error) {}}
}

// poll lets A take what there is.
func (b *bed) poll() {
	b.t.Helper()
	b.seq++
	b.do(&hub.Poll{ID: "A", Seq: b.seq, Max: 9, Reply: func(a hub.PollAnswer, err error) {
		for _, s := range a.Tasks {
			b.took(s)
		}
	}})
}

// outcome is what the handler of the step answers: in process or, by its token, from A.
func (b *bed) outcome(key string) *shard.Outcome {
	b.t.Helper()
	s := b.tasks[key]
	if s == nil {
		b.t.Fatalf("nobody has %s", key)
	}
	in := &shard.Outcome{Output: []byte("null"), Hash: 7, Reply: func(shard.Result, bool, error) {}}
	if s.Slot.Local {
		in.Slot = s.Slot
	} else {
		in.Token = leases.Token{Run: s.Slot.Run, Step: s.Step, Attempt: s.Attempt, Worker: "A"}
	}
	return in
}

func (b *bed) number(id string) uint64 {
	b.t.Helper()
	n, _, ok, _ := b.disk.Lookup(id)
	if !ok {
		b.t.Fatalf("no run %s", id)
	}
	return n
}

// folded gives the run as the journal has it.
func (b *bed) folded(id string) *replay.State {
	b.t.Helper()
	number := b.number(id)
	h, _, _ := b.disk.Head(number)
	s, err := archive.New(b.disk).FoldRun(number, h.LastSeq)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bed) retry(id string) {
	b.t.Helper()
	b.do(&shard.Retry{ID: id, State: b.folded(id), Reply: func(err error) {
		if err != nil {
			b.t.Error(err)
		}
	}})
}

func objectWrite(key string) []event.ObjectWrite {
	return []event.ObjectWrite{{Key: key, State: []byte("1")}}
}
