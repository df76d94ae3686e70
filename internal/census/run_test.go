package census

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// world is one process that runs every case of every definition on one journal, in a bubble of testing/synctest: there, days pass in
// milliseconds.
type world struct {
	*engine.Engine
	t    *testing.T
	defs []*definition
	done map[string]bool // what had completed when the process began: RUN/STEP

	after  uint64          // the last event that was there when it began
	midway map[string]bool // definitions of which a run was in the middle when it was last looked at
}

// begin opens the journal, and brings every definition and run that it does not have yet.
func begin(t *testing.T, path string, defs []*definition) *world {
	t.Helper()
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{Engine: eng, t: t, defs: defs, done: map[string]bool{}}
	w.look()
	served := map[[2]string]bool{}
	for _, d := range defs {
		if err := eng.Register(d.name, *d.def); err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
		for _, at := range handlers(d.def) {
			if !served[at] {
				served[at] = true
				if err := engine.HandleRaw(eng, at[0], at[1], w.handle); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	w.each(func(id string, d *definition, p *plan) {
		_, err := eng.Start(t.Context(), d.name, p.Input, engine.WithID(id), engine.WithDelay(time.Minute))
		for _, name := range sorted(p.Signals) {
			if child, signal, is := strings.Cut(name, "/"); is {
				go w.tell(id, child, signal, p.Signals[name])
			} else if err == nil {
				err = eng.Signal(t.Context(), id, name, p.Signals[name], engine.WithSignalID(name))
			}
		}
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	})
	return w
}

// handlers gives service and handler of each step and of each compensation.
func handlers(d *flow.Definition) (all [][2]string) {
	for _, s := range d.All() {
		if s.Handler != "" {
			all = append(all, [2]string{s.Service, s.Handler})
		}
		if c := s.Compensate; c != nil {
			all = append(all, [2]string{orString(c.Service, s.Service), c.Handler})
		}
	}
	return all
}

// tell sends a signal to the child of a step as soon as it is there.
func (w *world) tell(run, step, signal string, payload any) {
	for {
		if child := w.child(run, step); child != "" {
			_ = w.Signal(w.t.Context(), child, signal, payload, engine.WithSignalID(signal)) // what came before a kill is known
			return
		}
		select {
		case <-time.After(time.Second):
		case <-w.t.Context().Done():
			return
		}
	}
}

// child is the id of the newest child of a step, or of an item; "": there is none.
func (w *world) child(run, name string) string {
	step, place, item := strings.Cut(strings.TrimSuffix(name, "]"), "[")
	st, err := w.Status(w.t.Context(), run, engine.WithItems(engine.ItemsAsked{Step: step}))
	if !item || err != nil {
		if st, err = w.Status(w.t.Context(), run); err != nil {
			return ""
		}
		return st.Steps[step].Child
	}
	for _, i := range st.Items.Items {
		if fmt.Sprint(i.Index) == place {
			return i.Child
		}
	}
	return ""
}

// look notes which steps have completed.
func (w *world) look() {
	w.midway = map[string]bool{}
	w.each(func(id string, d *definition, p *plan) {
		st, err := w.Status(w.t.Context(), id)
		if errors.Is(err, engine.ErrRunNotFound) {
			return
		} else if err != nil {
			w.t.Fatal(err)
		}
		w.after = max(w.after, st.LastSeq)
		if st.State == "running" && st.Events > uint64(1+len(p.Signals)) {
			w.midway[d.name] = true
		}
		for name, s := range st.Steps {
			if s.State == "completed" {
				w.done[id+"/"+name] = true
			}
		}
	})
}

func (w *world) each(fn func(id string, d *definition, p *plan)) {
	for _, d := range w.defs {
		for _, name := range sorted(d.Cases) {
			p := d.Cases[name]
			fn(d.name+"/"+name, d, &p)
		}
	}
}

// handle is every handler: it does what the case says.
func (w *world) handle(ctx context.Context, task *worker.Task) (json.RawMessage, error) {
	if w.done[task.WorkflowID+"/"+stepOf(task)] && task.Output == nil { // with an output, it is a compensation

		fmt.Printf("again %s of %s\n", task.Step, task.WorkflowID) // for TestKilled: this process may be killed
		w.t.Errorf("%s of %s had completed, and ran again", task.Step, task.WorkflowID)
	}
	p, names := w.plan(task.WorkflowID), namesOf(task)
	why := p.Fails[names[0]]
	if why == "" && is(p.Hangs, names) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	select {
	case <-time.After(duration(strings.Join(names, " "))):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for _, name := range names {
		why = orString(why, p.Fails[name])
	}
	if why != "" {
		return nil, flow.NonRetryable(errors.New(why))
	}
	if is(p.Breaks, names) || is(p.Stumbles, names) && task.Attempt == 1 {
		return nil, errors.New("not now")
	}
	return p.gives(names, task), nil
}

// stepOf is the step of a task, without the place of an item.
func stepOf(task *worker.Task) string {
	name, _, _ := strings.Cut(task.Step, "[")
	return name
}

// namesOf is what a case may call a task, what says the most first: STEP[INDEX], STEP, and before each of them, of a child, the
// step of its parent, as in PARENT[INDEX]/STEP. A compensation is STEP/undo.
func namesOf(task *worker.Task) []string {
	step := stepOf(task)
	names := []string{step}
	if task.Index != nil {
		names = []string{fmt.Sprintf("%s[%d]", step, *task.Index), step}
	}
	if task.Output != nil {
		for i := range names {
			names[i] += "/undo"
		}
	}
	if parts := strings.Split(task.WorkflowID, "/"); len(parts) > 2 { // of a child: RUN/STEP, and after a dot what makes it the only one
		parent, _, _ := strings.Cut(parts[2], ".")
		for _, name := range slices.Backward(names) {
			names = slices.Insert(names, 0, parent+"/"+name)
		}
	}
	return names
}

func (p *plan) gives(names []string, task *worker.Task) json.RawMessage {
	for _, name := range names {
		if given, ok := p.Gives[name]; ok {
			return given
		}
		if rounds := p.Rounds[name]; task.Round != nil && len(rounds) > 0 {
			return rounds[min(int(*task.Round), len(rounds)-1)]
		}
		if items := p.Items[name]; task.Index != nil && *task.Index < len(items) {
			return items[*task.Index]
		}
	}
	return json.RawMessage("{}")
}

// plan is the case of a run, or of the run whose child it is.
func (w *world) plan(run string) *plan {
	parts := strings.Split(run, "/")
	for _, d := range w.defs {
		if p, ok := d.Cases[parts[1]]; ok && d.name == parts[0] {
			return &p
		}
	}
	w.t.Errorf("no case is called %s", run)
	return &plan{}
}

// duration is how long a handler works: it differs from step to step, so that at every moment some runs are in the middle, but only so
// much that many end together, in one commit.
func duration(of string) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(of))
	return time.Duration(h.Sum32()%4+1) * 500 * time.Millisecond
}

// dieAfter kills the process as soon as n events more are durable. It says which definitions have a run that is in the middle then.
func (w *world) dieAfter(n uint64) {
	first := uint64(0)
	_ = w.Watch(w.t.Context(), engine.WatchFilter{After: w.after}, func(ev engine.Event) error {
		if first++; first < n {
			return nil
		}
		w.look()
		for name := range w.midway {
			fmt.Println("midway", name)
		}
		fmt.Printf("dies at %d ms, %d completed\n", time.Now().UnixMilli(), len(w.done))
		self, err := os.FindProcess(os.Getpid())
		return errors.Join(err, self.Kill())
	})
}

// check waits for every run, and holds it to its plan.
func (w *world) check() {
	ctx, cancel := context.WithTimeout(w.t.Context(), 48*time.Hour)
	defer cancel()
	w.each(func(id string, d *definition, p *plan) {
		st, err := w.Wait(ctx, id)
		if err != nil {
			reasons, _ := w.Explain(w.t.Context(), id)
			w.t.Errorf("%s: %v\n%v", id, err, reasons)
			return
		}
		for _, wrong := range p.wrong(d, st) {
			w.t.Errorf("%s: %s", id, wrong)
		}
		if got := w.compensated(id); !slices.Equal(got, p.Compensated) {
			w.t.Errorf("%s: compensated are %v; want %v", id, got, p.Compensated)
		}
		for name, state := range p.Children {
			if child, err := w.Status(w.t.Context(), w.child(id, name)); err != nil || child.State != state {
				w.t.Errorf("%s: the child of %s: %+v, %v; want it %s", id, name, child, err, state)
			}
		}
	})
}

// compensated gives what was compensated, in order.
func (w *world) compensated(run string) (all []string) {
	for after := uint64(0); ; {
		events, err := w.History(w.t.Context(), run, after, 0)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, ev := range events {
			after = ev.Seq
			if name, is := strings.CutSuffix(ev.Step, "/undo"); is && ev.Kind == "StepCompleted" {
				all = append(all, name)
			}
		}
		if len(events) == 0 {
			return all
		}
	}
}

// wrong says in what a run is not as planned.
func (p *plan) wrong(d *definition, st *engine.Status) (all []string) {
	differs := func(what string, got, want any) {
		if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
			all = append(all, fmt.Sprintf("%s %s; want %s", what, g, w))
		}
	}
	differs("the run is", st.State, p.State)
	failure := ""
	if st.Error != nil {
		failure = st.Error.Code
		if st.Error.Step != "" {
			failure = st.Error.Step + ": " + failure
		}
	}
	differs("its error is", failure, p.Error)
	if p.Output != nil {
		differs("its output is", compact(st.Output), compact(p.Output))
	}
	want := p.states()
	for _, s := range d.def.All() {
		is := st.Steps[s.Name]
		state := is.State
		if state == "pending" || state == "dormant" {
			state = "never"
		}
		if is.SkipReason != "" {
			state += ", " + is.SkipReason
		}
		differs("step "+s.Name+" is", state, strings.Join(want[s.Name], " and "))
		delete(want, s.Name)
		if c := is.Items; c != nil {
			differs("the items of "+s.Name+" are", fmt.Sprintf("%d/%d/%d", c.Completed, c.Failed, c.Cancelled), orString(p.Ended[s.Name], fmt.Sprintf("%d/0/0", c.Total)))
		}
		if is.Attempt < p.Attempts[s.Name] {
			all = append(all, fmt.Sprintf("step %s had %d attempts; want %d or more", s.Name, is.Attempt, p.Attempts[s.Name]))
		}
		if n, ok := p.Took[s.Name]; ok && (is.Round == nil || *is.Round+1 != n) {
			all = append(all, fmt.Sprintf("the newest round of %s is %v; want %d rounds", s.Name, is.Round, n))
		}
	}
	for name := range want {
		all = append(all, "the definition has no step "+name)
	}
	return all
}

// states is what must become of each step; of a step that is named twice, both.
func (p *plan) states() map[string][]string {
	want := map[string][]string{}
	for state, names := range map[string][]string{"completed": p.Ran, "failed": p.Failed, "timed_out": p.TimedOut, "cancelled": p.Cancelled, "never": p.Never} {
		for _, name := range names {
			want[name] = append(want[name], state)
		}
	}
	for name, why := range p.Skipped {
		want[name] = append(want[name], "skipped, "+why)
	}
	return want
}

func compact(b json.RawMessage) string {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return string(b)
	}
	out, _ := json.Marshal(v)
	return string(out)
}

func sorted[V any](m map[string]V) []string {
	all := make([]string, 0, len(m))
	for name := range m {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func orString(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
