package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/worker"
)

// kills is how often the child is killed. The suite's time allows a few dozen; AGNT5_KILLS asks for more.
const kills = 40

// TestKilledAtRandomMoments runs mixed workflows in a child process, kills it with SIGKILL again and again, and looks at what
// is left: nothing that was acknowledged is lost, nothing is completed twice.
func TestKilledAtRandomMoments(t *testing.T) {
	dir := t.TempDir()
	n := kills
	if s := os.Getenv("AGNT5_KILLS"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for range n {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "AGNT5D_TEST_CHILD="+dir)
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it says when its engine is open
			t.Fatalf("the child did not open: %v %q\n%s", err, line, said.String())
		}
		timer := time.AfterFunc(time.Duration(rng.IntN(120_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		err = cmd.Wait()
		timer.Stop()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v\n%s", err, said.String())
		}
	}
	settle(t, dir)
	judgeKilled(t, dir, kills/2)
}

// child is the program that is killed: it starts runs and signals them, and notes what was acknowledged.
func child(dir string) error {
	eng, err := openMixed(filepath.Join(dir, "runs.db"))
	if err != nil {
		return err
	}
	fmt.Println("open")
	notes, err := os.OpenFile(filepath.Join(dir, "acknowledged"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	note := func(format string, args ...any) { fmt.Fprintf(notes, format+"\n", args...) }
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; ; i++ {
				name := mixed[(w+i)%len(mixed)]
				id := fmt.Sprintf("%s-%d-%d-%d", name, os.Getpid(), w, i)
				if _, err := eng.Start(context.Background(), name, map[string]int{"n": i}, engine.WithID(id)); err != nil {
					return
				}
				note("start %s", id)
				if name == "approval" && i%2 == 0 {
					if _, err := eng.SignalRun(context.Background(), id, "approved", i, engine.WithSignalID("sig-"+id)); err != nil {
						return
					}
					note("signal %s sig-%s", id, id)
				}
			}
		}()
	}
	wg.Wait()
	return eng.Err()
}

var mixed = []string{"chain", "fan", "approval", "counter", "choice", "rounds", "templated", "items"}

// openMixed opens an engine with the mixed handlers in process and the mixed workflows.
func openMixed(path string) (*engine.Engine, error) {
	eng, err := engine.Open(path, engine.Options{CheckpointBytes: 256 << 10, Drain: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	for name, fn := range mixedHandlers {
		if err := engine.HandleRaw(eng, "svc", name, fn); err != nil {
			return nil, err
		}
	}
	for name, def := range mixedFlows() {
		if err := eng.Register(name, def); err != nil {
			return nil, err
		}
	}
	return eng, nil
}

// mixedHandlers serve the mixed workflows, in process and in a worker alike.
var mixedHandlers = map[string]worker.Func{
	"said": func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
		return json.Marshal(map[string]any{"input": t.Input, "keys": t.ObjectKeys})
	},
	"big": func(context.Context, *worker.Task) (json.RawMessage, error) {
		return json.RawMessage(`"` + strings.Repeat("x", 900<<10-2) + `"`), nil
	},
	"measure": func(ctx context.Context, t *worker.Task) (json.RawMessage, error) {
		n := 0
		for _, name := range slices.Concat(slices.Collect(maps.Keys(t.Dependencies)), slices.Collect(maps.Keys(t.References))) {
			out, _, err := t.Dependency(ctx, name)
			if err != nil {
				return nil, err
			}
			n += len(out)
		}
		return json.Marshal(map[string]int{"bytes": n, "referred": len(t.References)})
	},
	"noop": func(context.Context, *worker.Task) (json.RawMessage, error) { return json.RawMessage(`"done"`), nil },
	"count": func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
		for _, k := range t.ObjectKeys {
			var n int
			if err := json.Unmarshal(t.Objects[k].State, &n); err != nil {
				return nil, err
			}
			if err := t.SetObject(k, n+1); err != nil {
				return nil, err
			}
		}
		return nil, nil
	},
	"fail": func(context.Context, *worker.Task) (json.RawMessage, error) {
		return nil, flow.NonRetryable(errors.New("no good"))
	},
	"list": func(context.Context, *worker.Task) (json.RawMessage, error) {
		return json.RawMessage(`[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]`), nil
	},
	"double": func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
		if t.Attempt%3 == 1 && *t.Index%4 == 3 {
			return nil, errors.New("not yet")
		}
		var n int
		err := json.Unmarshal(t.Item, &n)
		return json.RawMessage(strconv.Itoa(2 * n)), err
	},
	"sum": func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
		if got := string(t.Dependencies["each"]); got != "[0,2,4,6,8,10,12,14,16,18,20,22]" {
			return nil, flow.NonRetryable(errors.New(got))
		}
		return nil, nil
	},
	"flaky": func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
		if t.Attempt%3 == 1 {
			return nil, errors.New("not yet")
		}
		return nil, nil
	},
}

func mixedFlows() map[string]flow.Definition {
	soon := flow.WithRetry(flow.Retry{MaxAttempts: 100, InitialIntervalMS: 1, MaxIntervalMS: 10})
	fan := []flow.Step{flow.Task("first", "svc", "noop")}
	var all []string
	for i := range 10 {
		name := fmt.Sprint("part-", i)
		all = append(all, name)
		fan = append(fan, flow.Task(name, "svc", "noop", flow.After("first")))
	}
	fan = append(fan, flow.Task("join", "svc", "noop", flow.After(all...)))
	return map[string]flow.Definition{
		"choice": {Steps: []flow.Step{flow.Task("check", "svc", "noop"),
			flow.Task("yes", "svc", "noop", flow.After("check"), flow.When(`steps.check.output == "done"`)),
			flow.Task("no", "svc", "noop", flow.After("check"), flow.When(`steps.check.output != "done"`)),
			flow.Task("end", "svc", "noop", flow.After("yes", "no"), flow.Joined(flow.JoinAny))}},
		"rounds": {Steps: []flow.Step{flow.Task("poll", "svc", "count", flow.Keys("counter:a"), flow.RepeatUntil("round == 2", time.Millisecond, 5)),
			flow.Task("end", "svc", "noop", flow.After("poll"), flow.OnFailure("sorry")), flow.Task("sorry", "svc", "noop")}},
		"templated": {Steps: []flow.Step{flow.Task("first", "svc", "noop"),
			flow.Task("count", "svc", "count", flow.After("first"), flow.Keys("counter:${ steps.first.output == \"done\" ? \"a\" : \"b\" }"),
				flow.Templates(map[string]string{"said": "${ steps.first.output }"}))}},
		"items": {Steps: []flow.Step{flow.Task("list", "svc", "list"),
			flow.Task("each", "svc", "double", flow.RunAfter("list"), flow.ForEach("steps.list.output"), flow.MaxParallel(4), soon),
			flow.Task("count", "svc", "count", flow.After("each"), flow.ForEachOf([]int{1, 2}), flow.Keys("counter:a")),
			flow.Task("sum", "svc", "sum", flow.After("each"))}},
		"chain": {Steps: []flow.Step{flow.Task("a", "svc", "noop"), flow.Task("b", "svc", "flaky", flow.After("a"), soon), flow.Task("c", "svc", "noop", flow.After("b"))}},
		"fan":   {Steps: fan},
		"approval": {Steps: []flow.Step{flow.Task("submit", "svc", "noop"),
			flow.WaitSignal("wait", "approved", flow.After("submit"), flow.Timeout(200*time.Millisecond, "escalate")),
			flow.Task("escalate", "svc", "noop"),
			flow.WaitTimer("pause", "pause", flow.Delay(5*time.Millisecond), flow.After("escalate")),
			flow.Task("publish", "svc", "noop", flow.After("wait", "pause"))}},
		"counter": {Steps: []flow.Step{flow.Task("one", "svc", "count", flow.Keys("counter:a", "counter:b")), flow.Task("two", "svc", "count", flow.Keys("counter:b"), flow.After("one"))}},
	}
}

// settle opens the journal a last time and lets every run come to its end.
func settle(t *testing.T, dir string) {
	eng, err := openMixed(filepath.Join(dir, "runs.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines(t, dir) {
		status, err := eng.Wait(t.Context(), l[1])
		if err != nil || status.State != "completed" {
			t.Fatalf("run %s: %v %+v", l[1], err, status)
		}
	}
	for { // runs whose start was not acknowledged may be there, too
		open, err := eng.List(t.Context(), engine.ListFilter{State: "running", Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(open) == 0 {
			break
		}
		if _, err := eng.Wait(t.Context(), open[0].WorkflowID); err != nil {
			t.Fatal(err)
		}
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
}

func lines(t *testing.T, dir string) [][]string {
	b, err := os.ReadFile(filepath.Join(dir, "acknowledged"))
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for l := range strings.Lines(string(b)) {
		if strings.HasSuffix(l, "\n") { // the last one may be cut
			out = append(out, strings.Fields(l))
		}
	}
	return out
}

// judgeKilled looks at a journal whose engine was killed: at least so often, else it proves nothing.
func judgeKilled(t *testing.T, dir string, atLeast int) {
	t.Helper()
	judgeAt(t, dir, filepath.Join(dir, "runs.db"), atLeast)
}

// judgeAt is judgeKilled for a journal that is kept anywhere.
func judgeAt(t *testing.T, dir, path string, atLeast int) {
	t.Helper()
	if code, out, errs := agnt5d(t, "replay", path, "--check"); code != 0 {
		t.Fatalf("replay --check: exit %d: %s %s", code, out, errs)
	}
	f, err := openFile(path, leaveOut)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	settled := map[string]int{}
	signals := map[string]bool{}
	counted := map[string]int{}
	starts := map[uint64]bool{}
	lost, killed := 0, 0
	for r, err := range f.Records(0) {
		if err != nil {
			t.Fatal(err)
		}
		events, err := event.DecodeAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			switch e.Kind {
			case event.RunStarted:
				starts[r.Run] = true
			case event.RoundCompleted:
				for _, o := range e.Objects {
					counted[o.Key]++
				}
			case event.StepCompleted, event.StepTimedOut, event.StepSkipped:
				settled[fmt.Sprintf("%d/%d", r.Run, e.Step)]++
				for _, o := range e.Objects {
					counted[o.Key]++
				}
			case event.SignalReceived:
				signals[e.ID] = true
			case event.AttemptLost:
				lost++
			case event.EngineStarted:
				if e.Forced {
					killed++
				}
			}
		}
	}
	for step, n := range settled {
		if n != 1 {
			t.Errorf("step %s was settled %d times", step, n)
		}
	}
	acknowledged := lines(t, dir)
	for _, l := range acknowledged {
		if run, _, ok, err := f.Lookup(l[1]); err != nil || !ok || !starts[run] {
			t.Errorf("start of %s was acknowledged and is not there: %v", l[1], err)
		}
		if l[0] == "signal" && !signals[l[2]] {
			t.Errorf("signal %s was acknowledged and is not there", l[2])
		}
	}
	for _, key := range []string{"counter:a", "counter:b"} {
		o, _, err := f.Object(key)
		if err != nil || string(o.State) != fmt.Sprint(counted[key]) {
			t.Errorf("object %s is %s, it was counted up %d times: %v", key, o.State, counted[key], err)
		}
	}
	if killed < atLeast || len(acknowledged) < kills {
		t.Errorf("%d unclean starts and %d acknowledgements prove nothing", killed, len(acknowledged))
	}
	t.Logf("%d runs, %d acknowledgements, %d steps settled, %d unclean starts, %d attempts lost, counters %v", len(starts), len(acknowledged), len(settled), killed, lost, counted)
}
