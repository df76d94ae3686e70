package shard_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/naive"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/internal/sim"
	"github.com/agnt5/agnt5d/replay"
)

var (
	definitions = flag.Int("definitions", 2000, "how many random definitions the engine is compared with the second model on")
	oneOf       = flag.Uint64("definition", 0, "compare on this one, and print what happens")
)

// TestTheEngineIsWhatTheSecondModelSays runs random definitions on the shard, with restarts at any moment, and holds each state that it
// comes to against package naive.
func TestTheEngineIsWhatTheSecondModelSays(t *testing.T) {
	if *oneOf != 0 {
		compareOn(t, *oneOf, true)
		return
	}
	n := *definitions
	if testing.Short() {
		n = min(n, 200)
	}
	met := map[string]int{}
	for seed := uint64(1); seed <= uint64(n) && !t.Failed(); seed++ {
		maps.Copy(met, compareOn(t, seed, false))
	}
	for _, what := range []string{"completed", "failed", "cancelled", "retry", "restart", "restart with a question", "skip when", "skip failure", "skip dependency", "skip not_needed", "expression_failed", "caught", "items", "an item of many failed", "item_failed", "items were cancelled", "items went on", "pause", "resume", "an end while paused", "op_complete", "op_skip", "op_fail", "a correction opened a failed run", "skip operator",
		"a plan to complete came true", "a plan to skip came true", "a plan to fail came true", "a plan to retry or cancel came true",
		"kept", "a kept failure is caught anew", "a list was kept", "fork of a run that completed", "fork of a run that failed", "set",
		"input", "object keys", "object_key_invalid", "round", "rounds_used_up", "rounds of items", "the next round comes", "run_timeout", "the run itself: run_timeout", "output", "the run itself: expression_failed",
		"compensated", "a compensation failed", "an item was compensated", "comp_lost", "a compensation was corrected", "a retry was refused", "a compensated step runs again",
		"finally", "finally anew", "force", "the run itself: finally_failed", "a finally step was corrected", "a pause while finishing",
		"a child ended", "a child of an item ended", "child_cancelled", "child_failed", "a child was left alone", "a child goes on", "a child's input"} {
		if met[what] == 0 {
			t.Errorf("%s never happened in %d definitions", what, n)
		}
	}
}

// childOfAll is the child of all workflow steps: it gives what its handler does.
const childOfAll = `{"steps": [{"name": "do", "service_name": "svc", "handler_name": "h", "retry": {"max_attempts": 1}}], "output": "${ steps.do.output }"}`

const compareInput = `{"yes":true,"no":false,"list":[1,2,3]}`

// comparison is one run on both.
type comparison struct {
	*story
	seed  uint64
	rng   *rand.Rand
	text  string
	run   string // its id: r, or f once it was forked
	model *naive.Run
	met   map[string]int
	loud  bool
	facts []string
	asks  bool            // the definition has conditions
	apart bool            // the two need not agree any more
	round int             // the model's, of the step or item to which something happens, before it does
	ended map[string]bool // children that ended once
	seen  *replay.State   // the last one that was compared; nil: there was a restart since
}

func compareOn(t *testing.T, seed uint64, loud bool) map[string]int {
	defer func() {
		if t.Failed() {
			t.Logf("that was definition %d", seed)
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 15))
	c := &comparison{seed: seed, rng: rng, run: "r", met: map[string]int{}, ended: map[string]bool{}, loud: loud}
	c.text = randomLanguage(rng)
	c.asks = strings.Contains(c.text, `"when"`) || strings.Contains(c.text, `"for_each"`) || strings.Contains(c.text, `"repeat"`) || strings.Contains(c.text, `"input"`) || strings.Contains(c.text, "${")
	c.story = &story{t: t, disk: sim.NewDisk(0), now: shard.Now{Wall: 1_800_000_000_000, Mono: 1}, tasks: map[string]*shard.Spec{}}
	c.boot()
	c.register("w", c.text)
	c.register("child", childOfAll)
	var err error
	if c.model, err = naive.New([]byte(c.text), []byte(compareInput)); err != nil {
		t.Fatalf("definition %d: %v\n%s", seed, err, c.text)
	}
	c.turn(&shard.Start{ID: "r", Given: true, Workflow: "w", Input: []byte(compareInput), Reply: func(shard.Started, error) {}})
	for range 80 {
		c.take()
		if why := c.differs(); why != "" {
			t.Fatalf("definition %d: %s\nafter %s\n%s", seed, why, strings.Join(c.facts, ", "), c.text)
		}
		if c.apart {
			break
		}
		if !c.next() {
			break
		}
	}
	c.met[c.model.State]++
	for as, n := range c.foreseen {
		c.met["a plan to "+cmp.Or(string(as), "retry or cancel")+" came true"] += n
	}
	return c.met
}

// take hands tasks out in the model, and ends the children that it cancelled: the shard does both by itself.
func (c *comparison) take() {
	c.answerForChildren()
	for again := true; again; {
		again = false
		for _, f := range c.model.Enabled() {
			if f[0] == "take" || f[0] == "comp_take" || f[0] == "child_end" {
				again = c.model.Do(f) == nil
				break
			}
		}
	}
}

// answerForChildren lets those answer who have a task of a child that was cancelled: a child ends for its parent when nobody works for it.
func (c *comparison) answerForChildren() {
	ended := len(c.facts) > 0 && strings.HasPrefix(c.facts[len(c.facts)-1], "child_cancel") ||
		slices.ContainsFunc(c.model.Enabled(), func(f naive.Fact) bool { return f[0] == "child_end" })
	for again := ended; again; {
		again = false
		for _, key := range slices.Sorted(maps.Keys(c.tasks)) {
			if spec := c.tasks[key]; spec != nil && spec.ID != c.run && len(c.stateOf(spec.ID).Outs) > 0 {
				again = true // others may be cancelled because of it
				delete(c.tasks, key)
				c.turn(c.outcome(spec, "ok", func(error) {}))
			}
		}
	}
}

// live says whether the run has not ended.
func (c *comparison) live() bool {
	return c.model.State == naive.Running || c.model.State == naive.Finishing
}

// next lets something happen on both. It reports false when nothing more can, or enough has.
func (c *comparison) next() bool {
	often := 1 // in a run that is finishing all this happens more often: few are, and not for long
	if c.model.State == naive.Finishing {
		often = 3
	}
	if c.rng.IntN(100) < 5*often {
		c.met["restart"]++
		c.facts = append(c.facts, "restart")
		c.restart()
	}
	if c.model.State == naive.Failed && c.model.ErrStep != "" && !c.apart && !c.model.Compensated() && c.rng.IntN(100) < 30 {
		c.met["a correction opened a failed run"]++
		return c.do(naive.Fact{[]string{"op_complete", "op_skip"}[c.rng.IntN(2)], c.model.ErrStep})
	}
	if !c.live() {
		if s := c.state(); c.run == "r" && len(s.Outs) == 0 && s.Unwanted() == 0 && c.rng.IntN(100) < 40 { // an attempt that is out may hold keys
			c.fork()
			return true
		}
		if c.model.State == naive.Completed || c.met["retry"] == 2 || c.rng.IntN(2) == 0 {
			return false
		}
		if c.model.Compensated() {
			return c.refused()
		}
		c.met["retry"]++
		if c.met["finally"] > 0 {
			c.met["finally anew"]++
		}
		return c.do(naive.Fact{"retry"})
	}
	s := c.seen
	if s == nil {
		s = c.state()
	}
	names, due := firstDue(s)
	deadline := s.Deadline
	if c.model.State == naive.Finishing {
		deadline = 0
	}
	all := slices.DeleteFunc(c.model.Enabled(), func(f naive.Fact) bool {
		switch f[0] {
		case "timeout", "round":
			return !slices.Contains(names, f[1]) || f[0] == "timeout" && len(names) > 1 || deadline != 0 && deadline <= due
		case "run_timeout":
			return due != 0 && due <= deadline
		}
		return false
	})
	slices.SortFunc(all, func(a, b naive.Fact) int { return strings.Compare(a.String(), b.String()) })
	if c.model.Paused && (len(all) == 0 || c.rng.IntN(100) < 25) {
		c.met["resume"]++
		return c.do(naive.Fact{"resume"})
	}
	if len(all) == 0 {
		if len(c.model.Enabled()) == 0 && !c.model.Paused && !c.apart {
			c.t.Fatalf("definition %d: nothing can happen, and the run is %s\nafter %s\n%s", c.seed, c.model.State, strings.Join(c.facts, ", "), c.text)
		}
		return false
	}
	if !c.model.Paused && c.rng.IntN(100) < 4*often {
		c.met["pause"]++
		if c.model.State == naive.Finishing {
			c.met["a pause while finishing"]++
		}
		return c.do(naive.Fact{"pause"})
	}
	if open := c.openSteps(); len(open) > 0 && c.rng.IntN(100) < 5*often {
		what := []string{"op_complete", "op_skip", "op_fail"}[c.rng.IntN(3)]
		c.met[what]++
		if c.model.State == naive.Finishing {
			c.met[map[bool]string{true: "a compensation was corrected", false: "a finally step was corrected"}[c.model.Undo() != ""]]++
		}
		return c.do(naive.Fact{what, open[c.rng.IntN(len(open))]})
	}
	if c.rng.IntN(100) < 2*often {
		return c.do(naive.Fact{map[bool]string{true: "cancel", false: "force"}[c.model.State == naive.Running]})
	}
	return c.do(all[c.rng.IntN(len(all))])
}

// refused asks for a retry of a run of which something was compensated. It reports false: nothing more happens.
func (c *comparison) refused() bool {
	c.met["a retry was refused"]++
	in := &shard.Retry{ID: c.run, Reply: func(err error) {
		if !errors.Is(err, refusal.ErrRunCompensated) {
			c.t.Fatalf("definition %d: a retry after a compensation: %v\nafter %s\n%s", c.seed, err, strings.Join(c.facts, ", "), c.text)
		}
	}}
	if st := c.state(); !st.Resident() {
		in.State = st
	}
	c.turn(in)
	return false
}

// fork lets a fork of the run take its place.
func (c *comparison) fork() {
	s := c.state()
	names := []string{}
	for i := range s.Graph.Main {
		names = append(names, s.Name(i))
	}
	from, sets := names[c.rng.IntN(len(names))], []string{}
	for range []int{0, 0, 0, 1, 2}[c.rng.IntN(5)] {
		sets = append(sets, names[c.rng.IntN(len(names))])
	}
	sets = slices.Compact(slices.Sorted(slices.Values(sets)))
	c.facts = append(c.facts, fmt.Sprint("fork ", from, sets))
	plan, err := s.PlanFork(s.Graph, from, sets)
	if err != nil {
		c.t.Fatalf("definition %d: fork: %v", c.seed, err)
	}
	in := &shard.Fork{Of: replay.Forked{ID: "r", Run: s.Run, From: from}, Digest: s.Graph.Digest, Set: map[replay.Instance][]byte{}}
	for _, name := range sets {
		in.Set[s.Graph.Index[name]] = []byte(`{"n":1}`)
	}
	undone := len(c.model.Result().Compensated)
	if in.Kept, err = s.Keep(plan, 0, func(p replay.Payload) ([]byte, error) { return c.archive().Payload(p) }); err != nil {
		c.t.Fatalf("definition %d: fork: %v", c.seed, err)
	}
	if c.model, err = c.model.Fork(from, sets); err != nil {
		c.t.Fatalf("definition %d: fork: %v", c.seed, err)
	}
	if got := plan.Names(replay.ForkKept); !slices.Equal(got, c.model.Kept()) {
		c.t.Fatalf("definition %d: it keeps %v, want %v\nafter %s\n%s", c.seed, got, c.model.Kept(), strings.Join(c.facts, ", "), c.text)
	}
	c.run, c.seen = "f", nil
	c.turn(&shard.Start{ID: "f", Given: true, Workflow: "w", Version: 1, Input: []byte(compareInput), Fork: in, Reply: func(_ shard.Started, err error) {
		if err != nil {
			c.t.Fatalf("definition %d: fork: %v", c.seed, err)
		}
	}})
	if c.met["fork of a run that "+s.Status.String()]++; len(c.model.Kept()) > 0 {
		c.met["kept"]++
	}
	if undone > 0 {
		c.met["a compensated step runs again"]++
	}
	f := c.state()
	for i, st := range f.All() {
		switch _, over := f.ItemCounts(i); {
		case over && st.Kept:
			c.met["a list was kept"]++
		case st.Kept && st.State == replay.StepFailed && !st.Caught:
			c.met["a kept failure is caught anew"]++
		case st.Set:
			c.met["set"]++
		}
	}
}

// openSteps gives the steps that an operator may end.
func (c *comparison) openSteps() (all []string) {
	for name, st := range c.model.Steps {
		if st == naive.Scheduled || st == naive.Running || st == naive.Waiting || st == naive.Deferred {
			all = append(all, name)
		}
		for i, x := range c.model.Items[name] {
			if st == naive.Running && (x == naive.Waiting || x == naive.Running || x == naive.Resting) {
				all = append(all, naive.Item(name, i))
			}
		}
	}
	if undo := c.model.Undo(); undo != "" {
		all = append(all, undo)
	}
	slices.Sort(all)
	return all
}

// restart kills the shard: what it asked is not answered.
func (c *comparison) restart() {
	c.seen = nil
	had := c.tasks
	c.tasks, c.asked = map[string]*shard.Spec{}, nil
	c.boot()
	for step, spec := range had { // an attempt in process that is out when its engine ends is over
		if spec.ID != c.run {
			continue // a child's
		}
		name := strings.TrimPrefix(step, c.run+"/")
		if c.model.Do(naive.Fact{"answer", name}) == nil {
			continue
		}
		_ = c.model.Do(naive.Fact{"lost", name}) // and one that was under way is offered again
		if spec.Undo && c.model.Do(naive.Fact{"comp_lost"}) == nil {
			c.met["comp_lost"]++
		}
	}
	c.take()
}

// firstDue is the wait, or the step or item between two rounds, whose time comes first; due 0: there is none. Whose times come come
// are all named.
func firstDue(s *replay.State) (names []string, first int64) {
	for i, st := range s.All() {
		if st.Due != 0 && st.State == replay.StepWaiting && (s.Spec(i).Signal != nil || s.Spec(i).Repeat != nil) && (first == 0 || st.Due <= first) {
			if st.Due != first {
				names = nil
			}
			names, first = append(names, s.Name(i)), st.Due
		}
	}
	return names, first
}

func (c *comparison) state() *replay.State { return c.stateOf(c.run) }

func (c *comparison) stateOf(id string) *replay.State {
	run, _, _, _ := c.disk.Lookup(id)
	s, err := c.folded(run)
	if err != nil {
		c.t.Fatalf("definition %d: %v", c.seed, err)
	}
	return s
}

func (c *comparison) do(f naive.Fact) bool {
	c.facts = append(c.facts, f.String())
	if c.loud {
		fmt.Println(f)
	}
	paused := c.model.Paused
	if len(f) > 1 {
		c.round = c.model.Rounds[f[1]]
	}
	if err := c.model.Do(f); err != nil {
		c.t.Fatalf("definition %d: %s: %v", c.seed, f, err)
	}
	if paused && !c.live() {
		c.met["an end while paused"]++
	}
	in := c.input(f)
	if c.rng.IntN(100) < 4 { // what it asks because of that is lost
		c.quietly(in)
		if len(c.asked) > 0 {
			c.met["restart with a question"]++
		}
		c.facts = append(c.facts, "restart")
		c.restart()
		return true
	}
	c.turn(in)
	return true
}

// quietly lets the shard take an input, and answers nothing that it asks.
func (c *comparison) quietly(in any) {
	give(c.shard, c.disk, c.now, []any{in})
	if b := c.shard.Turn(c.now, nil); b != nil {
		c.disk.Append(b)
	}
	for _, b := range c.disk.Commit(c.disk.Queued()) {
		c.shard.Committed(b, nil, c.now)
	}
	if err := c.shard.Check(); err != nil {
		c.t.Fatalf("definition %d: %v", c.seed, err)
	}
}

func (c *comparison) input(f naive.Fact) any {
	reply := func(err error) {
		if err != nil {
			c.t.Fatalf("definition %d: %s: %v\nafter %s\n%s", c.seed, f, err, strings.Join(c.facts, ", "), c.text)
		}
	}
	switch f[0] {
	case "cancel", "force":
		c.met[f[0]]++
		return &shard.Cancel{ID: c.run, Force: f[0] == "force", Reply: reply}
	case "retry":
		in := &shard.Retry{ID: c.run, Reply: reply}
		if st := c.state(); !st.Resident() {
			in.State = st
		}
		return in
	case "pause", "resume":
		return &shard.Pause{ID: c.run, Resume: f[0] == "resume", Reply: reply}
	case "op_complete", "op_skip", "op_fail":
		in := &shard.Correct{ID: c.run, Step: f[1], As: replay.Correction(strings.TrimPrefix(f[0], "op_")), Output: []byte(`{"n":1}`), Reply: reply}
		if st := c.state(); !st.Resident() {
			in.State = st
		}
		return in
	case "signal":
		return &shard.Signal{ID: c.run, Name: "g_" + f[1], SignalID: fmt.Sprint("s", len(c.facts)), Payload: []byte(`{"n":1}`), Reply: func(_ string, err error) { reply(err) }}
	case "fire":
		return &shard.Fire{ID: c.run, Timer: f[1], Reply: reply}
	case "timeout", "round":
		names, due := firstDue(c.state())
		for _, name := range names {
			if c.met["the next round comes"]++; name != f[1] { // at once with the other
				_ = c.model.Do(naive.Fact{"round", name})
			}
		}
		c.now.Wall = max(c.now.Wall, due)
		return &shard.Forget{ID: "nobody"} // the time itself is what happens
	case "run_timeout":
		c.met["run_timeout"]++
		c.now.Wall = max(c.now.Wall, c.state().Deadline)
		return &shard.Forget{ID: "nobody"}
	}
	if i, ok := c.state().Graph.Instance(f[1]); ok && c.state().Spec(i).Type == flow.TypeWorkflow {
		return c.inputOfChild(f, i, reply)
	}
	name := f[1]
	if strings.HasPrefix(f[0], "comp_") {
		name += "/undo"
	}
	spec := c.tasks[c.run+"/"+name]
	if spec == nil {
		c.t.Fatalf("definition %d: nobody has %s\nafter %s\n%s", c.seed, f[1], strings.Join(c.facts, ", "), c.text)
	}
	delete(c.tasks, c.run+"/"+name)
	if spec.Undo || f[0] == "answer" { // an answer may be of what a retry has forgotten
		return c.outcome(spec, f[0], reply)
	}
	if why := c.differsInTask(spec, f[1]); why != "" {
		c.t.Fatalf("definition %d: %s: %s\nafter %s\n%s", c.seed, f[1], why, strings.Join(c.facts, ", "), c.text)
	}
	return c.outcome(spec, f[0], reply)
}

// outcome is what a worker says of a task.
func (c *comparison) outcome(spec *shard.Spec, what string, reply func(error)) any {
	output := `{"n":1}`
	if spec.Round != nil {
		output = fmt.Sprintf(`{"n":1,"round":%d}`, spec.Round.N)
	}
	in := &shard.Outcome{Slot: spec.Slot, Output: []byte(output), Reply: func(_ shard.Result, _ bool, err error) { reply(err) }}
	if what == "fail" || what == "comp_fail" {
		in.Output, in.Fail = nil, &replay.AttemptError{Code: "handler_error", Message: "no luck"}
	}
	return in
}

// inputOfChild is what ends the child of a step or an item.
func (c *comparison) inputOfChild(f naive.Fact, i replay.Instance, reply func(error)) any {
	s := c.state()
	child, _ := s.Child(i)
	st := c.stateOf(child.ID)
	if c.met["a child ended"]++; int(i) >= len(s.Steps) {
		c.met["a child of an item ended"]++
	}
	if c.ended[child.ID] {
		c.met["a child goes on"]++
	}
	c.ended[child.ID] = true
	if want := c.model.Given[f[1]].Input; want != nil {
		c.met["a child's input"]++
		if why := c.differsInValue("the input of its child", st.Input, want); why != "" {
			c.t.Fatalf("definition %d: %s: %s\nafter %s\n%s", c.seed, f[1], why, strings.Join(c.facts, ", "), c.text)
		}
	}
	if f[0] == "child_cancel" {
		return &shard.Cancel{ID: child.ID, Reply: reply}
	}
	task := func() *shard.Spec {
		spec := c.tasks[child.ID+"/do"]
		if spec == nil {
			c.t.Fatalf("definition %d: nobody has the child of %s\nafter %s\n%s", c.seed, f[1], strings.Join(c.facts, ", "), c.text)
		}
		delete(c.tasks, child.ID+"/do")
		return spec
	}
	if len(st.Outs) > 0 { // it was cancelled and goes on, and somebody still has the task of before
		c.turn(c.outcome(task(), "ok", reply))
	}
	in := c.outcome(task(), f[0], reply).(*shard.Outcome)
	if in.Fail == nil && s.Spec(i).Repeat != nil {
		in.Output = fmt.Appendf(nil, `{"n":1,"round":%d}`, c.round)
	}
	return in
}

// differs says how the shard's run is not that of the model.
func (c *comparison) differs() string {
	s, want := c.state(), c.model.Result()
	c.seen = s
	doomed := s.Status == replay.Failed || s.Status == replay.Finishing && s.Fate == replay.Failed
	if s.Status.String() != want.State {
		if doomed && c.asks && (want.State == naive.Failed || want.State == naive.Finishing) && c.handedOut(s) {
			c.apart = true // while an expression was worked out that ended the run, tasks were handed out
			return ""
		}
		return fmt.Sprintf("the run is %s, want %s", s.Status, want.State)
	}
	failed := ""
	if s.FailedBy >= 0 {
		code := s.At(s.FailedBy).Error.Code
		if c.met[code]++; code == failure.ExpressionFailed || code == failure.ObjectKeyInvalid {
			c.apart = true // which of several is worked out first is not said
			return ""
		}
		failed = s.Name(s.FailedBy)
	}
	if i, ok := s.Step(c.model.ErrStep); ok && c.asks && failed != "" && failed != c.model.ErrStep && s.At(i).State < replay.StepBlocked {
		c.apart = true // its expression failed the run, and here another one was quicker
		return ""
	}
	if (s.Pause != nil) != c.model.Paused {
		return fmt.Sprintf("it is paused: %v, want %v", s.Pause != nil, c.model.Paused)
	}
	if failed != c.model.ErrStep {
		return fmt.Sprintf("the run failed by %q, want %q", failed, c.model.ErrStep)
	}
	if why := c.differsInEnd(s); why != "" {
		return why
	}
	if doomed && c.asks && c.handedOut(s) {
		c.apart = true // while an expression was worked out that ended the run, tasks were handed out
		return ""
	}
	why, caught := s.SkipReasons(), 0
	for i := range s.Steps {
		st, name := &s.Steps[i], s.Name(replay.Instance(i))
		if before, now := want.Steps[name], st.State.String(); doomed && c.asks && now != before &&
			(before == naive.Pending || before == naive.Dormant || now == naive.Pending || now == naive.Dormant) {
			c.apart = true // while an expression was worked out that ended the run, other steps went on, or waited for theirs
			return ""
		}
		if open := func(state string) string {
			if state == naive.Scheduled || state == replay.StepBlocked.String() {
				return naive.Running // the shard hands a task out at once, unless an attempt of it is out, which has its keys, too
			}
			return state
		}; open(shown(s, replay.Instance(i))) != open(want.Steps[name]) {
			return fmt.Sprintf("step %s is %s, want %s", name, st.State, want.Steps[name])
		}
		if why := c.differsInItems(s, replay.Instance(i), want.Items[name]); why != "" {
			return fmt.Sprintf("step %s: %s", name, why)
		}
		if reason := why[replay.Instance(i)].String(); reason != want.SkipReasons[name] {
			return fmt.Sprintf("step %s is skipped because of %q, want %q", name, reason, want.SkipReasons[name])
		}
		if st.State == replay.StepSkipped {
			c.met["skip "+want.SkipReasons[name]]++
		}
		if st.Error != nil {
			c.met[st.Error.Code]++
		}
		if code := c.model.Codes[name]; st.State == replay.StepFailed && code != "failed" && code != st.Error.Code {
			return fmt.Sprintf("step %s failed with the code %s, want %s", name, st.Error.Code, code)
		}
		if st.Caught && replay.Instance(i) < s.Graph.Main {
			caught++
			c.met["caught"]++
		}
	}
	if caught != want.HandledFailures {
		return fmt.Sprintf("%d failures are caught, want %d", caught, want.HandledFailures)
	}
	return c.differsInEnding(s, want)
}

// differsInEnding says how what was compensated is not that of the model.
func (c *comparison) differsInEnding(s *replay.State, want naive.Result) string {
	now, _ := s.Compensation()
	var done, failed []string
	for _, i := range now.Done {
		done = append(done, s.Name(i))
		c.met["compensated"]++
		if int(i) >= len(s.Steps) {
			c.met["an item was compensated"]++
		}
	}
	for _, f := range now.Failed {
		failed = append(failed, s.Name(f.Of))
		c.met["a compensation failed"]++
	}
	turn := ""
	if now.Now >= 0 {
		turn = s.Name(s.Target(now.Now))
	}
	if !slices.Equal(done, want.Compensated) || !slices.Equal(failed, want.NotCompensated) || turn != c.model.Undo() {
		return fmt.Sprintf("%q were compensated, %q could not be, and %q is; want %q, %q and %q", done, failed, turn, want.Compensated, want.NotCompensated, c.model.Undo())
	}
	if s.Final {
		c.met["finally"]++
	}
	for i := range s.Steps {
		if child, had := s.Child(replay.Instance(i)); had && !child.Open && s.At(replay.Instance(i)).State == replay.StepCancelled {
			c.met["a child was left alone"]++
		}
	}
	return ""
}

// hasChild says whether an instance waits for its child.
func hasChild(s *replay.State, i replay.Instance) bool {
	child, had := s.Child(i)
	return had && child.Open && !child.Leaving
}

// shown is the state of a step, in the words of the model.
func shown(s *replay.State, i replay.Instance) string {
	state := s.Shown(i)
	if s.At(i).State == replay.StepWaiting && hasChild(s, i) {
		return naive.Running
	}
	if state == replay.StepWaiting && s.Spec(i).Repeat != nil {
		return naive.Resting
	}
	return state.String()
}

// differsInEnd says how the end of the run is not that of the model, when no step is to blame.
func (c *comparison) differsInEnd(s *replay.State) string {
	code := ""
	if s.Fault != nil {
		code = s.Fault.Code
		c.met["the run itself: "+code]++
	}
	if code != c.model.ErrCode {
		return fmt.Sprintf("the run failed with the code %q, want %q", code, c.model.ErrCode)
	}
	if s.Status != replay.Completed || s.Graph.Def.Output == nil {
		return ""
	}
	c.met["output"]++
	return c.differsInValue("the run's output", s.Output, c.model.Output)
}

func (c *comparison) differsInValue(what string, p replay.Payload, want any) string {
	b, err := c.archive().Payload(p)
	var got any
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		return fmt.Sprintf("%s is %s, want %v; %v", what, b, want, err)
	}
	return ""
}

// differsInTask says how what a worker was given is not what the templates of the step or item come to.
func (c *comparison) differsInTask(spec *shard.Spec, name string) string {
	want := c.model.Given[name]
	if (spec.Filled != nil) != (want.Input != nil) || !slices.Equal(spec.Keys, want.Keys) {
		return fmt.Sprintf("it has an input: %v, want %v; its keys are %q, want %q", spec.Filled != nil, want.Input, spec.Keys, want.Keys)
	}
	if len(want.Keys) > 0 {
		c.met["object keys"]++
	}
	if why := c.differsInRound(spec); why != "" || want.Input == nil {
		return why
	}
	c.met["input"]++
	return c.differsInValue("its input", *spec.Filled, want.Input)
}

// differsInRound says how a worker was told of another round than the one that it is, or of another one before it.
func (c *comparison) differsInRound(spec *shard.Spec) string {
	n, repeats := c.round, spec.What.Repeat != nil
	if (spec.Round != nil) != repeats || repeats && int(spec.Round.N) != n {
		return fmt.Sprintf("it is round %+v, want %d", spec.Round, n)
	}
	if n == 0 {
		return ""
	}
	if c.met["round"]++; spec.Item != nil {
		c.met["rounds of items"]++
	}
	return c.differsInValue("what the round before gave", spec.Round.Previous, map[string]any{"n": 1.0, "round": float64(n - 1)})
}

// handedOut says whether an attempt is out of which the model knows nothing.
func (c *comparison) handedOut(s *replay.State) bool {
	known := c.model.Enabled()
	return slices.ContainsFunc(s.Outs, func(o replay.Out) bool {
		return !slices.ContainsFunc(known, func(f naive.Fact) bool { return f[0] == "answer" && f[1] == s.Name(o.Step) })
	})
}

// differsInItems says how the items of a step are not those of the model.
func (c *comparison) differsInItems(s *replay.State, step replay.Instance, want []string) (why string) {
	if _, known := s.ItemCounts(step); known != (want != nil) {
		return fmt.Sprintf("its list is known: %v", known)
	}
	var got []string
	s.ItemStates(step, 0, func(it replay.ItemState) bool {
		state := it.State.String()
		switch {
		case it.State == replay.StepPending:
			state = "wait"
		case it.State == replay.StepWaiting:
			if state = naive.Resting; hasChild(s, s.ItemNumber(step, it.Index)) {
				state = naive.Running
			}
		case it.State == replay.StepScheduled, it.State == replay.StepBlocked: // the shard hands it out at once, unless an attempt of it is out
			state = naive.Running
			if _, out := s.Out(s.ItemNumber(step, it.Index)); out || s.Pause != nil {
				state = "wait"
			}
		}
		got = append(got, state)
		return true
	})
	if !slices.Equal(got, want) {
		return fmt.Sprintf("its items are %v, want %v", got, want)
	}
	if len(want) > 0 {
		c.met["items"]++
	}
	if s.At(step).State == replay.StepCompleted && slices.Contains(want, naive.Failed) {
		c.met["an item of many failed"]++
	}
	if slices.Contains(want, naive.Cancelled) {
		c.met["items were cancelled"]++
	}
	if c.met["retry"] > 0 && slices.Contains(want, naive.Running) && slices.Contains(want, naive.Completed) {
		c.met["items went on"]++
	}
	return ""
}

// A definition beyond the usual ones: a retry took an end of the run back while somebody had an item of finally, and its state could not be read.
func TestAnItemOfAnEndThatWasTakenBack(t *testing.T) { compareOn(t, 4637, false) }
