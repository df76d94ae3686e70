package pg

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/pgtest"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/worker"
)

// The figures of docs/cluster.md. They take minutes, and are measured by "make figures-cluster".
func figures(t *testing.T) {
	t.Helper()
	if os.Getenv("AGNT5_FIGURES") == "" {
		t.Skip("measures for minutes: make figures-cluster")
	}
}

// said prints a figure beside what it is to be.
func said(t *testing.T, what string, got, bound float64, atLeast bool) {
	t.Helper()
	verdict := "as it should be"
	if atLeast && got < bound || !atLeast && got > bound {
		verdict = "MISSED"
	}
	t.Logf("%s: %.3g (to be %s %.3g): %s", what, got, map[bool]string{true: "at least", false: "at most"}[atLeast], bound, verdict)
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// chained is an engine with runs of ten steps, one after the other, which do nothing.
func chained(t *testing.T, open func(engine.Options) (*engine.Engine, error)) *engine.Engine {
	t.Helper()
	eng, err := open(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = engine.HandleRaw(eng, "svc", "noop", func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	var d flow.Definition
	for i := range 10 {
		var after []flow.StepOption
		if i > 0 {
			after = append(after, flow.After(fmt.Sprint("s", i-1)))
		}
		d.Steps = append(d.Steps, flow.Task(fmt.Sprint("s", i), "svc", "noop", after...))
	}
	if err := eng.Register("chain", d); err != nil {
		t.Fatal(err)
	}
	return eng
}

func onTables(t *testing.T, o Options) func(engine.Options) (*engine.Engine, error) {
	return func(eo engine.Options) (*engine.Engine, error) { return engine.OpenOn(open(t, o), "figures", eo) }
}

// drive keeps so many runs going for a time, and gives how many ended. Ids are given by the caller if name is not "".
func drive(t *testing.T, eng *engine.Engine, inFlight int, ids string, took time.Duration) (runs int64) {
	t.Helper()
	until := time.Now().Add(took)
	var ended, number atomic.Int64
	var failed atomic.Pointer[string]
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			for time.Now().Before(until) && failed.Load() == nil {
				var opts []engine.StartOption
				if ids != "" {
					opts = append(opts, engine.WithID(fmt.Sprint(ids, number.Add(1))))
				}
				id, err := eng.Start(context.Background(), "chain", nil, opts...)
				var st *engine.Status
				if err == nil {
					st, err = eng.Wait(context.Background(), id)
				}
				if err != nil || st.State != "completed" {
					text := fmt.Sprintf("run %s: %+v, %v", id, st, err)
					failed.Store(&text)
					return
				}
				ended.Add(1)
			}
		})
	}
	wg.Wait()
	if f := failed.Load(); f != nil {
		t.Fatal(*f)
	}
	return ended.Load()
}

// One shard on PostgreSQL and a file, in turns: steps a second, and what a step costs on both sides together.
func TestFigureOfOneShard(t *testing.T) {
	figures(t)
	s := pgtest.Own(t)
	const inFlight, rounds, took = 512, 5, 5 * time.Second
	var ratios, costs, dearer []float64
	for n := range rounds {
		steps, cost := map[string]float64{}, map[string]float64{}
		for _, kind := range []string{"file", "PostgreSQL"} {
			opening := onTables(t, Options{URL: s.URL, Schema: fmt.Sprint("w1_", n)})
			if kind == "file" {
				opening = func(o engine.Options) (*engine.Engine, error) {
					return engine.Open(filepath.Join(t.TempDir(), "w1.db"), o)
				}
			}
			eng := chained(t, opening)
			drive(t, eng, inFlight, "", took/5)
			before := pgtest.CPU(os.Getpid()) + s.CPU()
			began := time.Now()
			runs := drive(t, eng, inFlight, "", took)
			used := pgtest.CPU(os.Getpid()) + s.CPU() - before
			steps[kind] = float64(runs) * 10 / time.Since(began).Seconds()
			cost[kind] = float64(used.Microseconds()) / float64(runs*10)
			t.Logf("round %d, %s: %.0f steps/s, %.1f µs of CPU a step", n+1, kind, steps[kind], cost[kind])
			if err := eng.Close(); err != nil {
				t.Fatal(err)
			}
		}
		ratios = append(ratios, steps["PostgreSQL"]/steps["file"])
		costs, dearer = append(costs, cost["PostgreSQL"]), append(dearer, cost["PostgreSQL"]/cost["file"])
	}
	said(t, "steps a second, against a file", median(ratios), 0.5, true)
	said(t, "µs of CPU a step, both sides", median(costs), 15, false)
	said(t, "CPU a step, against a file's", median(dearer), 15/7.7, false) // which is 7.7 µs on a quiet machine: docs/performance.md
}

// delayed gives the URL of a database that is so far away, in each direction.
func delayed(t *testing.T, dsn string, by time.Duration) string {
	t.Helper()
	to, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	type piece struct {
		at   time.Time
		data []byte
	}
	line := func(from, to net.Conn) {
		pieces := make(chan piece, 10_000)
		go func() {
			defer close(pieces)
			for {
				data := make([]byte, 64<<10)
				n, err := from.Read(data)
				if err != nil {
					return
				}
				pieces <- piece{time.Now().Add(by), data[:n]}
			}
		}()
		defer to.Close()
		for p := range pieces {
			time.Sleep(time.Until(p.at)) // the line is that long
			if _, err := to.Write(p.data); err != nil {
				_ = from.Close()
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("unix", filepath.Join(to.Host, fmt.Sprintf(".s.PGSQL.%d", to.Port)))
			if err != nil {
				_ = c.Close()
				continue
			}
			go line(c, s)
			go line(s, c)
		}
	}()
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", to.User, l.Addr(), to.Database)
}

// Ids that callers give must be looked up. Over a line of half a millisecond there and back that costs nothing that shows.
func TestFigureOfGivenIDs(t *testing.T) {
	figures(t)
	s := pgtest.Own(t)
	eng := chained(t, onTables(t, Options{URL: delayed(t, s.URL, 250*time.Microsecond)}))
	drive(t, eng, 512, "", time.Second)
	var ratios []float64
	for n := range 5 {
		made := drive(t, eng, 512, "", 4*time.Second)
		given := drive(t, eng, 512, fmt.Sprint("given-", n, "-"), 4*time.Second)
		t.Logf("round %d: %d runs with ids that are made, %d with ids that are given", n+1, made, given)
		ratios = append(ratios, float64(given)/float64(made))
	}
	said(t, "ids that are given, against made ones, 0.5 ms away", median(ratios), 0.9, true)
	if err := eng.Close(); err != nil {
		t.Error(err)
	}
}

// A transaction of somebody else that stays open keeps the server from clearing away what is replaced. Commits must not become dearer by that.
func TestFigureOfAForeignTransaction(t *testing.T) {
	figures(t)
	s := pgtest.Own(t, "fsync=off") // its CPU counts, and not the disk
	o := Options{URL: s.URL}
	run := uint64(0)
	commits := func(j *Journal, n int) float64 {
		before := pgtest.CPU(os.Getpid()) + s.CPU()
		var last journal.Record
		for i := range n {
			r := journal.Record{Seq: j.NextSeq(), Count: 1, Run: run, Prev: last.Seq, N: last.N + 1, At: 7, Body: make([]byte, 150)}
			b := &journal.Batch{}
			if i%10 == 0 {
				run = r.Seq
				r.Run, r.Prev, r.N = run, 0, 1
			}
			if i%10 == 0 || i%10 == 9 {
				b.Heads = []journal.Head{{Run: run, ID: fmt.Sprint("run-", run), Workflow: "w", LastSeq: r.Seq, Events: r.N, EndedAt: int64(i % 10), State: uint8(i % 10 / 9)}}
			}
			b.Records = []journal.Record{r}
			if err := put(j, b); err != nil {
				t.Fatal(err)
			}
			last = r
		}
		return float64((pgtest.CPU(os.Getpid()) + s.CPU() - before).Microseconds()) / float64(n)
	}
	j := open(t, o)
	commits(j, 1000)
	fresh := commits(j, 5000)
	conn, err := pgx.Connect(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	foreign, err := conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := foreign.Exec(t.Context(), `CREATE TABLE foreigner (x int)`); err != nil {
		t.Fatal(err)
	}
	between := commits(j, 100_000)
	after := commits(j, 5000)
	t.Logf("µs of CPU a commit: %.0f at first, %.0f over 100,000 with a foreign transaction open, %.0f after them", fresh, between, after)
	said(t, "a commit then, against a fresh one", after/fresh, 1.2, false)
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// The database is away for a minute under load: no run fails.
func TestFigureOfAnOutage(t *testing.T) {
	figures(t)
	s := pgtest.Own(t)
	eng := chained(t, onTables(t, Options{URL: s.URL}))
	const away = time.Minute
	done := make(chan error, 1)
	time.AfterFunc(2*time.Second, s.Kill)
	time.AfterFunc(2*time.Second+away, func() { done <- s.Run() })
	runs := drive(t, eng, 64, "", away+10*time.Second)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := eng.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("the database was away for %v: %d runs, 0 failed", away, runs)
}

// One node lets the journal go under load, and the other one, which waits, takes it: until its first commit.
func TestFigureOfAPlannedMove(t *testing.T) {
	figures(t)
	s := pgtest.Own(t)
	o := Options{URL: s.URL, Node: "node-0"}
	j := open(t, o)
	eng := chained(t, func(eo engine.Options) (*engine.Engine, error) { return engine.OpenOn(j, "figures", eo) })
	var moves []float64
	for n := range 21 {
		o.Node = fmt.Sprint("node-", n+1)
		next := make(chan *Journal, 1)
		waits := make(chan struct{})
		var once sync.Once
		go func() {
			j, err := Wait(context.Background(), o, func(*HeldError, error) { once.Do(func() { close(waits) }) })
			if err != nil {
				t.Error(err)
			}
			next <- j
		}()
		<-waits
		drive(t, eng, 64, "", 500*time.Millisecond)
		if err := j.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
		j = <-next
		eng = chained(t, func(eo engine.Options) (*engine.Engine, error) { return engine.OpenOn(j, "figures", eo) })
		if _, err := eng.Start(context.Background(), "chain", nil); err != nil {
			t.Fatal(err)
		}
		moves = append(moves, float64(time.Since(began).Microseconds())/1000)
	}
	t.Logf("moves took (ms): %.0f", moves)
	said(t, "ms from letting go to the first commit of the next", median(moves), 100, false)
	if err := eng.Close(); err != nil {
		t.Error(err)
	}
}
