package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/worker"
)

// far is a journal on the other side of a line. It counts what is read on the goroutine that appends, which is the engine's loop.
type far struct {
	journal.Log
	roundTrip time.Duration

	loop         atomic.Int64
	reads, waits atomic.Int64 // all, and those on the loop
}

func openFar(t testing.TB, path string, o engine.Options, roundTrip time.Duration) (*engine.Engine, *far) {
	t.Helper()
	j, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &far{Log: j, roundTrip: roundTrip}
	eng, err := engine.OpenOn(f, "far", o)
	if err != nil {
		t.Fatal(err)
	}
	f.loop.Store(0) // recovery reads
	f.reads.Store(0)
	f.waits.Store(0)
	return eng, f
}

// goroutine is the number of the one that calls.
func goroutine() int64 {
	b := make([]byte, 64)
	b = bytes.TrimPrefix(b[:runtime.Stack(b, false)], []byte("goroutine "))
	n, _ := strconv.ParseInt(string(b[:bytes.IndexByte(b, ' ')]), 10, 64)
	return n
}

func (f *far) Append(b *journal.Batch, done func(error)) {
	if f.loop.Load() == 0 {
		f.loop.Store(goroutine())
	}
	f.Log.Append(b, done)
}

func (f *far) read() {
	f.reads.Add(1)
	if f.loop.Load() == goroutine() {
		f.waits.Add(1)
	}
	time.Sleep(f.roundTrip)
}

// Ask is one round trip.
func (f *far) Ask(q *journal.Question) *journal.Answer {
	f.read()
	return journal.AskEach(f.Log, q)
}

func (f *far) Lookup(id string) (uint64, int64, bool, error) { f.read(); return f.Log.Lookup(id) }
func (f *far) Head(run uint64) (journal.Head, bool, error)   { f.read(); return f.Log.Head(run) }
func (f *far) Snapshot(run uint64) (journal.Snapshot, bool, error) {
	f.read()
	return f.Log.Snapshot(run)
}
func (f *far) Object(key string) (journal.Object, bool, error) { f.read(); return f.Log.Object(key) }
func (f *far) Get(seq uint64) (journal.Record, error)          { f.read(); return f.Log.Get(seq) }
func (f *far) Definitions() ([]journal.Definition, error)      { f.read(); return f.Log.Definitions() }
func (f *far) DefinitionBody(digest string) ([]byte, error) {
	f.read()
	return f.Log.DefinitionBody(digest)
}
func (f *far) Rows(prefix string) ([]journal.Row, error) { f.read(); return f.Log.Rows(prefix) }

func (f *far) Scan(after uint64, limit int, fn func(journal.Record) error) error {
	f.read()
	return f.Log.Scan(after, limit, fn)
}

func (f *far) RunRecords(run, last, fromN uint64, limit int) ([]journal.Record, error) {
	f.read()
	return f.Log.RunRecords(run, last, fromN, limit)
}

// The loop never waits for the journal, whatever is asked of it: about runs that it does not know, that sleep, that have ended, and
// about objects and definitions that it has not seen since the start.
func TestTheLoopNeverWaitsForTheJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	ctx := t.Context()
	fails := atomic.Bool{}
	setUp := func() (*engine.Engine, *far) {
		eng, f := openFar(t, path, engine.Options{}, 0)
		handle(t, eng, "count", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
			var n int
			_ = json.Unmarshal(task.Objects["k"].State, &n)
			return nil, task.SetObject("k", n+1)
		})
		handle(t, eng, "fails", func(context.Context, *worker.Task) (json.RawMessage, error) {
			if fails.Load() {
				return nil, errors.New("no luck")
			}
			return nil, nil
		})
		return eng, f
	}
	fails.Store(true)
	eng, _ := setUp()
	register(t, eng, "sleeps", flow.WaitSignal("w", "go"))
	register(t, eng, "naps", flow.WaitSignal("w", "go", flow.Timeout(time.Millisecond, "done")), flow.Task("done", "svc", "fails"))
	register(t, eng, "counts", flow.Task("a", "svc", "count", flow.Keys("k")))
	register(t, eng, "fails", flow.Task("a", "svc", "fails", once))
	start := func(workflow, id string) {
		t.Helper()
		if _, err := eng.Start(ctx, workflow, nil, engine.WithID(id)); err != nil {
			t.Fatal(workflow, id, err)
		}
	}
	for n := range 4 {
		start("sleeps", fmt.Sprint("sleeper-", n))
	}
	start("counts", "first")
	start("fails", "failed")
	start("fails", "deleted")
	for _, id := range []string{"first", "failed", "deleted"} {
		if _, err := eng.Wait(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}

	fails.Store(false)
	eng, f := setUp()
	defer eng.Close()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	completes := func(id string) {
		t.Helper()
		if st, err := eng.Wait(ctx, id); err != nil || st.State != "completed" {
			t.Errorf("%s: %+v %v", id, st, err)
		}
	}
	start("sleeps", "sleeper-0") // it exists, and sleeps
	start("fails", "failed")     // it exists, and has ended
	start("counts", "second")    // it is new; its definition and its object were not read yet
	completes("second")
	must("signal", eng.Signal(ctx, "sleeper-0", "go", nil))
	completes("sleeper-0")
	must("cancel", eng.Cancel(ctx, "sleeper-1", "enough"))
	if _, err := eng.Status(ctx, "sleeper-2"); err != nil {
		t.Error(err)
	}
	must("retry", eng.Retry(ctx, "failed", ""))
	completes("failed")
	must("delete", eng.Delete(ctx, "deleted"))
	start("naps", "nap")
	completes("nap")
	if o, err := eng.Object(ctx, "k"); err != nil || string(o.State) != "2" {
		t.Errorf("object k: %+v %v", o, err)
	}
	if f.reads.Load() == 0 || f.loop.Load() == 0 {
		t.Fatalf("%d reads, the loop is goroutine %d: nothing was tried", f.reads.Load(), f.loop.Load())
	}
	if n := f.waits.Load(); n != 0 {
		t.Errorf("the loop read the journal %d times, of %d reads", n, f.reads.Load())
	}
}

// BenchmarkFarAway runs chains of ten steps, 512 at once, over a journal whose reads take a round trip of 0.5 ms, with ids that the
// engine makes and with ids that the caller gives: of these it must ask whether they are new.
func BenchmarkFarAway(b *testing.B) {
	for _, given := range []bool{false, true} {
		b.Run(fmt.Sprintf("given=%v", given), func(b *testing.B) {
			eng, f := openFar(b, filepath.Join(b.TempDir(), "runs.db"), engine.Options{}, 500*time.Microsecond)
			defer eng.Close()
			if err := engine.HandleRaw(eng, "svc", "noop", null); err != nil {
				b.Fatal(err)
			}
			var steps []flow.Step
			for i := range 10 {
				var opts []flow.StepOption
				if i > 0 {
					opts = append(opts, flow.After(fmt.Sprint("s", i-1)))
				}
				steps = append(steps, flow.Task(fmt.Sprint("s", i), "svc", "noop", opts...))
			}
			if err := eng.Register("chain", flow.Definition{Steps: steps}); err != nil {
				b.Fatal(err)
			}
			runs := make(chan int, 512)
			var wg sync.WaitGroup
			b.ResetTimer()
			for range 512 {
				wg.Go(func() {
					for n := range runs {
						var opts []engine.StartOption
						if given {
							opts = append(opts, engine.WithID(fmt.Sprint("run-", n)))
						}
						id, err := eng.Start(context.Background(), "chain", nil, opts...)
						if err == nil {
							_, err = eng.Wait(context.Background(), id)
						}
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			for n := range (b.N + 9) / 10 {
				runs <- n
			}
			close(runs)
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "steps/s")
			b.ReportMetric(float64(f.waits.Load()), "reads-on-loop")
		})
	}
}
