package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/build"
	"github.com/agnt5/agnt5d/internal/crew"
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/timers"
	"github.com/agnt5/agnt5d/worker"
)

// Engine is a running engine on one journal. It is safe for concurrent use.
type Engine struct {
	o       Options
	j       journal.Log
	kept    journal.Log // as it was opened: j without what seals payloads
	archive *archive.Archive
	r       *shard.Shard // owned by loop
	h       *hub.Hub     // owned by loop, as all that a file has is one shard

	mu      sync.Mutex
	inbox   []shard.Input
	asks    []hub.Input // of workers
	commits []commit
	rows    []*shard.Rows // that were read for the shard
	wake    chan struct{} // capacity 1
	fromHub []shard.Input // what the hub has for the shard's next turn; the loop's own
	probeAt int64         // monotonic ms: when a full disk is asked for space next; the loop's own
	clock   *timers.Service

	reader  shard.Reader
	near    bool // rows are read on the loop
	reading int  // how many goroutines read; the loop's own

	tokens *leases.Signer

	durable   atomic.Uint64 // last durable sequence
	news      broadcast     // tells watchers that durable grew
	followers followers     // of single runs

	tasks    sync.WaitGroup // handlers that run in this process
	crew     crew.Crew[*attempt]
	thinking sync.WaitGroup // expressions that are worked out
	thinkers chan struct{}  // takes as many as are worked out at a time
	draining atomic.Bool
	held     atomic.Bool // see Held

	awake    chan struct{} // capacity 1: see lookAgain
	unkeep   func()        // ends the keeper
	keeping  chan struct{} // closed: it has ended
	stop     chan struct{} // closed: the loop ends when nothing is under way
	done     chan struct{} // closed: the loop has ended
	broken   atomic.Pointer[brokenError]
	closing  sync.Once
	closeErr error
	damages  damageList
	pausing  sync.Mutex // of services
	unserved sync.Map   // what the log has said of handlers that nobody serves
	newer    newerRuns
	counted  counted

	headroom []byte // see Options.GCHeadroom; never read or written
}

type commit struct {
	b   *shard.Batch
	err error
}

type brokenError struct{ err error }

// newBoot draws the number of this start; see leases.Token. It is not 0.
func newBoot() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return max(binary.BigEndian.Uint64(b[:]), 1)
}

// sayOpen tells what was found before the first event of this start: a wrong path looks like a journal from which every run has gone.
func (e *Engine) sayOpen(name string, first uint64, took time.Duration) {
	if file, err := filepath.Abs(e.Path()); err == nil && e.Path() != "" {
		name = file
	}
	const most = 100_000 // to count more would hold up the start
	n, _ := e.j.Runs(most)
	runs := strconv.Itoa(n)
	if n == most {
		runs += " or more"
	}
	open, _ := e.r.Counts()
	e.o.Logger.Info("engine open", "file", name, "created", e.j.Created(), "runs_open", open, "runs", runs,
		"events", first-journal.ShardOf(first).First(), "took", took.Round(time.Millisecond).String())
}

func (e *Engine) now() shard.Now {
	return shard.Now{Wall: e.o.Clock.Now().UnixMilli(), Mono: e.o.Clock.Mono().Milliseconds() + 1} // 0 stands for no time
}

// send hands inputs to the loop.
func (e *Engine) send(in ...shard.Input) {
	e.mu.Lock()
	e.inbox = append(e.inbox, in...)
	e.mu.Unlock()
	e.poke()
}

// ask hands the loop what a worker asks.
func (e *Engine) ask(in hub.Input) {
	e.mu.Lock()
	e.asks = append(e.asks, in)
	e.mu.Unlock()
	e.poke()
}

// link is the way from the hub to the shard, which are on one goroutine.
type link struct{ e *Engine }

func (l link) Send(in shard.Input)                       { l.e.fromHub = append(l.e.fromHub, in) }
func (l link) Lend(f *leases.Handler, s *leases.Session) { l.e.r.Lend(f, s) }

// take lets the hub turn, and gives the shard its inputs.
func (e *Engine) take(now shard.Now, inputs []shard.Input, asks []hub.Input) {
	e.h.Turn(now, asks)
	e.r.Take(now, inputs)
	e.r.Take(now, e.fromHub)
	clear(e.fromHub)
	e.fromHub = e.fromHub[:0]
}

func (e *Engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// loop turns the shard. It owns it: nobody else touches it.
func (e *Engine) loop() {
	defer close(e.done)
	defer e.clock.Stop()
	var inputs []shard.Input
	var asks []hub.Input
	var commits []commit
	var rows []*shard.Rows
	for {
		runtime.Gosched() // whoever is about to bring something brings it to this turn
		e.mu.Lock()
		commits, e.commits = e.commits, commits[:0]
		rows, e.rows = e.rows, rows[:0]
		e.mu.Unlock()
		e.land(commits)
		clear(commits)
		e.give(rows)
		clear(rows)
		if e.fallen() { // a turn that writes nothing would answer, and hand out tasks, by what may not be so any more
			return
		}
		e.mu.Lock()
		inputs, e.inbox = e.inbox, inputs[:0]
		asks, e.asks = e.asks, asks[:0]
		e.mu.Unlock()
		now := e.now()
		e.take(now, inputs, asks)
		clear(inputs)
		clear(asks)
		e.fetch()
		if b := e.r.Turn(now, nil); b != nil {
			e.j.Append(b.Batch, func(err error) { e.landed(b, err) })
		}
		e.h.Dispatch(now)
		e.fetch() // what came of the turn may want something, too
		if e.fallen() || !e.sleep() {
			return
		}
	}
}

// fallen stops an engine that cannot go on: the shard is broken, or the journal takes nothing more and is perhaps another's.
func (e *Engine) fallen() bool {
	err := cmp.Or(e.r.Broken(), e.j.Err())
	if err == nil {
		return false
	}
	e.r.Stop(err)
	e.breakDown(err)
	return true
}

// maxReaders bounds how many goroutines read for the shard at once. What is wanted meanwhile is read by the next one, together.
const maxReaders = 16

// fetch reads what the shard wants: at once when the journal is near, and in a goroutine when it is not.
func (e *Engine) fetch() {
	for e.reading < maxReaders {
		w := e.r.Wanted()
		if w == nil {
			return
		}
		if e.near {
			e.r.Give(e.reader.Read(w))
			continue
		}
		e.reading++
		go func() {
			rows := e.reader.Read(w)
			e.mu.Lock()
			e.rows = append(e.rows, rows)
			e.mu.Unlock()
			e.poke()
		}()
	}
}

func (e *Engine) give(rows []*shard.Rows) {
	e.reading -= len(rows)
	for _, r := range rows {
		e.r.Give(r)
	}
}

// fetchAll reads until nothing is wanted and nobody reads.
func (e *Engine) fetchAll() {
	for e.fetch(); e.reading > 0; e.fetch() {
		<-e.wake
		e.mu.Lock()
		rows := e.rows
		e.rows = nil
		e.mu.Unlock()
		e.give(rows)
	}
}

func (e *Engine) landed(b *shard.Batch, err error) {
	e.mu.Lock()
	e.commits = append(e.commits, commit{b, err})
	e.mu.Unlock()
	e.poke()
}

func (e *Engine) land(commits []commit) {
	if len(commits) == 0 {
		return
	}
	full, now := e.r.Full(), e.now()
	for _, c := range commits {
		if c.err == nil { // first: who gets his answer now finds what it is about in the feed
			e.durable.Store(c.b.Last)
			e.followers.tell(c.b.Batch)
		}
		e.r.Committed(c.b, c.err, now)
	}
	if e.r.Full() && !full {
		e.probeAt = e.now().Mono + probeEvery.Milliseconds()
		e.o.Logger.Warn("the disk is full: nothing is recorded until there is space; reads still work")
	}
	e.h.Dispatch(now)
	e.news.tell()
}

// sleep waits until there is something to do. It reports false when the engine is to stop.
func (e *Engine) sleep() bool {
	w := e.r.NextWake()
	if e.r.Full() {
		w = e.probe()
	}
	if at := e.h.NextWake().Mono; at != 0 && (w.Mono == 0 || at < w.Mono) {
		w.Mono = at
	}
	e.clock.Set(w.Wall, w.Mono)
	select {
	case <-e.wake:
	case <-e.j.Broken():
	case <-e.stop:
		return false
	}
	return true
}

// probeEvery is how often a full disk is asked for space again.
const probeEvery = time.Second

// probe asks once in a while whether there is space again, lets the shard go on if so, and says when it is to turn.
func (e *Engine) probe() shard.Wake {
	if e.now().Mono < e.probeAt {
		return shard.Wake{Mono: e.probeAt}
	}
	e.probeAt = e.now().Mono + probeEvery.Milliseconds()
	if err := e.j.Probe(); err != nil {
		return shard.Wake{Mono: e.probeAt}
	}
	e.o.Logger.Info("disk has space again")
	kept := e.r.Resume()
	e.send(kept...)
	return e.r.NextWake()
}

func (e *Engine) breakDown(err error) {
	e.broken.Store(&brokenError{fmt.Errorf("engine: stopped; reopen it to continue: %w", err)})
	e.o.Logger.Error("engine stopped", "err", err)
	e.drop()
}

// drop answers whoever still waits.
func (e *Engine) drop() {
	e.mu.Lock()
	inputs, asks := e.inbox, e.asks
	e.inbox, e.asks = nil, nil
	e.mu.Unlock()
	for _, in := range inputs {
		shard.Refuse(in, e.err())
	}
	for _, in := range asks {
		hub.Refuse(in, e.err())
	}
	e.news.close()
}

// err is why the engine takes no calls; nil while it does.
func (e *Engine) err() error {
	if b := e.broken.Load(); b != nil {
		return b.err
	}
	select {
	case <-e.done:
		return ErrClosed
	default:
		return nil
	}
}

// Done is closed when the engine has stopped: by Close, or because a commit failed in a way that leaves unknown what is on
// disk (Err says which).
func (e *Engine) Done() <-chan struct{} { return e.done }

// Err is why the engine stopped by itself; nil when it did not.
func (e *Engine) Err() error {
	if b := e.broken.Load(); b != nil {
		return b.err
	}
	return nil
}

// Cause is Err as the journal told it, without what an embedder is to do; nil when the engine did not stop by itself.
func (e *Engine) Cause() error { return errors.Unwrap(e.Err()) }

// Close stops taking steps, waits for the handlers that run in this process up to Options.Drain, writes a recovery point and
// closes the file. What has not returned is offered again at the next start.
func (e *Engine) Close() error {
	e.closing.Do(func() { e.closeErr = e.close() })
	return e.closeErr
}

func (e *Engine) close() error {
	e.unkeep()
	<-e.keeping
	if e.err() == nil {
		e.draining.Store(true)
		e.inspect(func(*shard.Shard) { e.h.Hold() })
		e.drain()
		close(e.stop)
		<-e.done
		e.rest()
	} else {
		<-e.done
	}
	for _, slot := range e.r.Hub.Leases() { // the loop has ended: the shard is ours
		if a, ok := slot.Data.(*attempt); ok {
			a.Cancel(context.Canceled)
		}
	}
	e.crew.Dismiss()
	e.thinking.Wait() // they read the journal
	e.drop()
	e.headroom = nil
	return errors.Join(e.Err(), e.j.Close())
}

// drain waits for the handlers of this process.
func (e *Engine) drain() {
	idle := make(chan struct{})
	go func() {
		e.tasks.Wait()
		close(idle)
	}()
	clock, stop := e.o.Clock.After(e.o.Drain)
	defer stop()
	select {
	case <-idle:
	case <-clock:
		e.o.Logger.Warn("handlers did not return in time", "drain", e.o.Drain.String())
	case <-e.done:
	}
}

// rest takes what came last, and writes the recovery point of a clean stop.
func (e *Engine) rest() {
	if e.Err() != nil || e.r.Full() {
		return
	}
	defer func() {
		if err := cmp.Or(e.r.Broken(), e.j.Err()); err != nil {
			e.breakDown(err)
		}
	}()
	if e.j.Err() != nil {
		return
	}
	e.mu.Lock()
	inputs, asks := e.inbox, e.asks
	e.inbox, e.asks = nil, nil
	e.mu.Unlock()
	e.take(e.now(), inputs, asks)
	e.fetchAll()
	last := make(chan struct{})
	batches := []*shard.Batch{e.r.Turn(e.now(), nil), e.r.Rest(e.now())}
	if batches[1] == nil { // it broke
		return
	}
	for i, b := range batches {
		if b == nil {
			continue
		}
		e.j.Append(b.Batch, func(err error) {
			e.landed(b, err)
			if i == len(batches)-1 {
				close(last)
			}
		})
	}
	<-last // Rest always writes: the mark of a clean stop
	e.mu.Lock()
	commits := e.commits
	e.commits = nil
	e.mu.Unlock()
	e.land(commits)
}

// inspect runs fn on the loop and waits for it. It reports false when the engine has stopped.
func (e *Engine) inspect(fn func(*shard.Shard)) bool {
	done := make(chan struct{})
	e.send(&shard.Inspect{Read: fn, Done: func() { close(done) }})
	select {
	case <-done:
		return true
	case <-e.done:
		return false
	}
}

// Handle registers a typed handler of a service for this process. In is filled from the task as package worker says at
// Bind; Out becomes the step's output as JSON.
func Handle[In, Out any](e *Engine, service, handler string, fn func(ctx context.Context, in In) (Out, error)) error {
	f, err := worker.Adapt(fn)
	if err != nil {
		return err
	}
	return e.serve(service, handler, f)
}

// HandleRaw registers a handler that gets the whole task and answers in JSON. Outputs of over 16 MiB together it reads with Task.Dependency.
func HandleRaw(e *Engine, service, handler string, fn worker.Func) error {
	return e.serve(service, handler, worker.Whole(fn))
}

func (e *Engine) serve(service, handler string, fn worker.Func) error {
	for _, name := range []string{service, handler} {
		if err := flow.ValidName(name); err != nil {
			return fmt.Errorf("engine: handler %s/%s: %w", service, handler, err)
		}
	}
	asked, taken := false, false
	if !e.inspect(func(r *shard.Shard) {
		if !asked { // it may be called again, see shard.Inspect
			asked, taken = true, !r.Serve(service, handler, fn)
			e.h.Serve(service, handler)
		}
	}) {
		return e.err()
	}
	if taken {
		return fmt.Errorf("engine: handler %s/%s is already registered in this process", service, handler)
	}
	return nil
}

// Release is the version of agnt5d that this binary was built from.
func Release() string { return build.Read().Version }

// broadcast tells any number of listeners that something changed.
type broadcast struct {
	mu     sync.Mutex
	ch     chan struct{}
	used   bool
	closed bool
}

// next gives a channel that is closed at the next tell.
func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used = true
	return b.ch
}

func (b *broadcast) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used && !b.closed {
		close(b.ch)
		b.ch, b.used = make(chan struct{}), false
	}
}

func (b *broadcast) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.ch)
	}
}

// damageList is what was found damaged, for status pages and logs.
type damageList struct {
	mu   sync.Mutex
	all  []journal.Damage // each once: that a run is quarantined for it is no other damage
	told []about          // what the log has said
}

type about struct {
	run, seq     uint64
	kind, detail string // detail: of damage to no run and no record
}

func aboutDamage(d *journal.Damage) about {
	a := about{d.Run, d.Seq, d.Kind, ""}
	if d.Run == 0 && d.Seq == 0 {
		a.detail = d.Detail
	}
	return a
}

func (e *Engine) damaged(d journal.Damage) {
	e.damages.mu.Lock()
	this := aboutDamage(&d)
	told := slices.Contains(e.damages.told, this)
	if !told {
		e.damages.told = append(e.damages.told, this)
	}
	if !slices.ContainsFunc(e.damages.all, func(o journal.Damage) bool {
		return aboutDamage(&o) == this || o.Run == d.Run && o.Seq == d.Seq && d.Kind == shard.Quarantined
	}) {
		e.damages.all = append(e.damages.all, d)
	}
	e.damages.mu.Unlock()
	if told { // it is found again whenever it is read
		return
	}
	run := ""
	if d.Run != 0 {
		run = e.archive.Name(d.Run)
	}
	e.o.Logger.Error("journal damage", "seq", d.Seq, "run", run, "kind", d.Kind, "detail", d.Detail)
}

// Damages is what was found damaged in the journal since it was opened.
func (e *Engine) Damages() []journal.Damage {
	e.damages.mu.Lock()
	defer e.damages.mu.Unlock()
	return append([]journal.Damage(nil), e.damages.all...)
}
