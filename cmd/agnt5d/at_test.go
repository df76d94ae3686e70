package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

// randomFlow has steps of each type, one after some of those before it.
func randomFlow(r *rand.Rand) flow.Definition {
	var def flow.Definition
	for i := range 2 + r.IntN(7) {
		var after []string
		for k := range i {
			if r.IntN(3) == 0 {
				after = append(after, fmt.Sprint("s", k))
			}
		}
		opts := []flow.StepOption{flow.After(after...)}
		name := fmt.Sprint("s", i)
		switch r.IntN(6) {
		case 0:
			def.Steps = append(def.Steps, flow.WaitSignal(name, "go", append(opts, flow.Timeout(time.Hour))...))
		case 1:
			def.Steps = append(def.Steps, flow.WaitTimer(name, name, append(opts, flow.Delay(time.Millisecond))...))
		case 2:
			opts = append(opts, flow.Keys("one"))
			fallthrough
		default:
			step := flow.Task(name, "svc", "h", opts...)
			step.Retry = &flow.Retry{MaxAttempts: 3, InitialIntervalMS: 1, MaxIntervalMS: 1, BackoffCoefficient: 1}
			def.Steps = append(def.Steps, step)
		}
	}
	return def
}

// randomRuns fills a journal with runs of random flows, of which some fail, some are cancelled and some retried.
func randomRuns(t *testing.T, eng *engine.Engine, seed uint64) (ids []string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(engine.HandleRaw(eng, "svc", "h", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
		h := fnv.New32()
		fmt.Fprint(h, seed, task.WorkflowID, task.Step, task.Attempt)
		switch h.Sum32() % 7 {
		case 0:
			return nil, flow.NonRetryable(errors.New("never"))
		case 1, 2:
			return nil, errors.New("not yet")
		}
		return json.RawMessage(`{"by":"` + task.Step + `"}`), nil
	}))
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range 12 {
		name := fmt.Sprint("flow", i)
		must(eng.Register(name, randomFlow(r)))
		id, err := eng.Start(t.Context(), name, i, engine.WithID(fmt.Sprint("run", i)))
		must(err)
		ids = append(ids, id)
	}
	for i, id := range ids {
		if i%4 == 3 {
			if err := eng.Cancel(t.Context(), id, "enough"); err != nil && !errors.Is(err, engine.ErrRunFinished) {
				t.Fatal(err)
			}
			continue
		}
		st := finish(t, eng, id)
		if st.State == "failed" && i%2 == 0 {
			must(eng.Retry(t.Context(), id, ""))
			finish(t, eng, id)
		}
	}
	return ids
}

// finish sends a run enough signals for all of its waits, and waits for its end.
func finish(t *testing.T, eng *engine.Engine, id string) *engine.Status {
	t.Helper()
	for range 8 {
		if err := eng.Signal(t.Context(), id, "go", nil); err != nil && !errors.Is(err, engine.ErrRunFinished) {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	st, err := eng.Wait(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// served opens a journal under an API, until stop is called.
func served(t *testing.T, path string) (eng *engine.Engine, c *client.Client, stop func()) {
	t.Helper()
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := api.New(eng, api.Options{})
	srv := httptest.NewServer(h)
	stop = sync.OnceFunc(func() {
		h.Stop()
		srv.Close()
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	if c, err = client.New(srv.URL, client.Options{}); err != nil {
		t.Fatal(err)
	}
	return eng, c, stop
}

// What the daemon says of a run as of an event is what "agnt5d replay --at" says, for every event of random runs, and it is the
// state after that event and not after one beside it.
func TestTheStatusAsOfAnEventIsThatOfTheReplay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, c, stop := served(t, path)
	type moment struct {
		seq uint64
		st  *model.Status
	}
	of := map[string][]moment{}
	for _, id := range randomRuns(t, eng, uint64(time.Now().UnixNano())) {
		events, _, err := c.Events(t.Context(), id, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range events {
			st, err := c.StatusAt(t.Context(), id, e.Seq, "")
			if err != nil {
				t.Fatal(err)
			}
			if st.AsOf == nil || *st.AsOf != (model.AsOf{Seq: e.Seq, N: e.N, At: e.At}) || st.Events != uint64(i+1) {
				t.Fatalf("run %s at %d, its event %d: as of %+v, %d events", id, e.Seq, e.N, st.AsOf, st.Events)
			}
			of[id] = append(of[id], moment{e.Seq, st})
			if i+1 < len(events) && events[i+1].Seq > e.Seq+1 { // an event of another run, or of the engine
				between, err := c.StatusAt(t.Context(), id, events[i+1].Seq-1, "")
				if err != nil || *between.AsOf != *st.AsOf {
					t.Fatalf("run %s at %d: as of %+v, want %+v (%v)", id, events[i+1].Seq-1, between.AsOf, st.AsOf, err)
				}
			}
		}
		last, err := c.Status(t.Context(), id, "")
		if err != nil {
			t.Fatal(err)
		}
		then, _ := c.StatusAt(t.Context(), id, 1<<62, "")
		then.AsOf = nil
		if a, b := asJSON(last), asJSON(then); a != b {
			t.Errorf("run %s after its last event:\n%s\nand as it is:\n%s", id, b, a)
		}
	}
	stop()
	for id, moments := range of {
		for _, m := range moments {
			code, out, errs := agnt5d(t, "replay", path, "--run", id, "--at", fmt.Sprint(m.seq), "-o", "json")
			if code != 0 {
				t.Fatalf("exit %d: %s", code, errs)
			}
			if want := replayed(m.st); asJSON(json.RawMessage(out)) != want {
				t.Fatalf("run %s at %d: the daemon says\n%s\nand replay\n%s", id, m.seq, want, out)
			}
		}
	}
}

func asJSON(v any) string {
	b, _ := json.Marshal(v)
	var any map[string]any
	_ = json.Unmarshal(b, &any)
	delete(any, "digest")
	b, _ = json.Marshal(any)
	return string(b)
}

// replayed is a status as "agnt5d replay --at" prints it.
func replayed(st *model.Status) string {
	steps := map[string]any{}
	for name, s := range st.Steps {
		one := map[string]any{"state": s.State, "attempt": s.Attempt, "since": s.Since}
		if s.Due != "" {
			one["due"] = s.Due
		}
		if s.Error != nil {
			one["error"] = map[string]any{"code": s.Error.Code, "message": s.Error.Message, "attempt": s.Error.Attempt}
		}
		steps[name] = one
	}
	return asJSON(map[string]any{"workflow_id": st.WorkflowID, "workflow_name": st.WorkflowName, "version": st.Version, "state": st.State,
		"events": st.Events, "created_at": st.CreatedAt, "steps": steps})
}

// A timeline tells of each event that begins, starts or ends something, and page by page it is the same as at once.
func TestTheTimelineOfARun(t *testing.T) {
	eng, c, _ := served(t, filepath.Join(t.TempDir(), "runs.db"))
	seen := map[string]int{}
	for _, id := range randomRuns(t, eng, uint64(time.Now().UnixNano())) {
		all, next, err := c.Timeline(t.Context(), id, 0, "")
		if err != nil || next != "" {
			t.Fatal(next, err)
		}
		var paged []model.Span
		for cursor, first := "", true; first || cursor != ""; first = false {
			page, next, err := c.Timeline(t.Context(), id, 1, cursor)
			if err != nil || len(page) > 1 {
				t.Fatal(len(page), err)
			}
			paged, cursor = append(paged, page...), next
		}
		if !slices.Equal(all, paged) {
			t.Errorf("run %s at once:\n%+v\nand by pages:\n%+v", id, all, paged)
		}
		events, _, err := c.Events(t.Context(), id, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		waited := map[string]bool{}
		begun := map[string]int{}
		for _, e := range events {
			begun[e.Kind]++
			then, _, err := c.TimelineAt(t.Context(), id, e.Seq, 0, "")
			if err != nil {
				t.Fatal(err)
			}
			attempts, started := 0, 0
			for i, s := range then {
				if s.Kind == "attempt" {
					attempts++
				}
				if s.StartedAt != "" {
					started++
				}
				if s.Seq != all[i].Seq || s.Step != all[i].Step || s.StartedAt != "" && s.StartedAt != all[i].StartedAt {
					t.Errorf("run %s at %d: %+v, later %+v", id, e.Seq, s, all[i])
				}
			}
			if attempts != begun["StepScheduled"] || started != begun["AttemptStarted"] {
				t.Errorf("run %s at %d (%s): %d attempts of %d, %d started of %d", id, e.Seq, e.Kind, attempts, begun["StepScheduled"], started, begun["AttemptStarted"])
			}
		}
		if then, _, _ := c.TimelineAt(t.Context(), id, 1<<62, 0, ""); !slices.Equal(all, then) {
			t.Errorf("run %s as of its end:\n%+v\nand now:\n%+v", id, then, all)
		}
		for _, e := range events {
			if waited[e.Step] = waited[e.Step] || e.Kind == "SignalAwaited"; e.Data["signal_seq"] != nil && !waited[e.Step] {
				continue // the signal was there, and it took no time
			}
			found := slices.ContainsFunc(all, func(s model.Span) bool {
				if s.Step != e.Step {
					return false
				}
				switch e.Kind {
				case "StepScheduled":
					return s.Seq == e.Seq && s.Kind == "attempt" && s.Attempt == e.Attempt && s.ScheduledAt == e.At
				case "SignalAwaited", "TimerSet":
					return s.Seq == e.Seq && s.Kind == "wait" && s.ScheduledAt == e.At
				case "StepBlocked":
					return s.Seq == e.Seq && s.Kind == "keys"
				case "KeysGranted":
					return s.Kind == "keys" && s.Outcome == "granted" && s.EndedAt == e.At
				case "AttemptStarted":
					return s.Attempt == e.Attempt && s.Worker == e.Data["worker"] && s.StartedAt == e.Data["started_at"]
				case "AttemptFailed":
					return s.Attempt == e.Attempt && s.Outcome == "failed" && s.EndedAt == e.At && s.Message == e.Data["message"]
				case "RetrySet":
					return s.RetryAt == e.Data["due"]
				case "StepCompleted":
					return s.Attempt == e.Attempt && s.Outcome == "completed" && s.EndedAt == e.At
				case "AttemptEnded":
					return s.Attempt == e.Attempt && s.Outcome == "cancelled" && s.EndedAt == e.At
				}
				return true
			})
			if !found && e.Step != "" {
				t.Errorf("run %s: the timeline does not tell of %+v:\n%+v", id, e, all)
			}
		}
		for _, s := range all {
			if seen[s.Kind+" "+s.Outcome]++; s.EndedAt == "" || s.Outcome == "" {
				t.Errorf("run %s has ended, and %+v has not", id, s)
			}
		}
	}
	for _, want := range []string{"attempt completed", "attempt failed", "wait completed", "keys granted"} {
		if seen[want] == 0 {
			t.Errorf("no run had a span %s: %v", want, seen)
		}
	}
}
