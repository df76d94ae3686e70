package replay_test

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/expression"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/replay"
)

// TestCases holds the fold and the decisions against all 2,000 cases that another model worked out: what happens in a run, and what the
// run must then be. Of "facts" the order of what happens is given. Of "outcomes" only how each step ends is: what happens comes in any
// order, so only of a run that completes all is compared, and of others how they end. Not one is left out. In four, steps go on while an
// expression is worked out that then fails the run: see pass.
func TestCases(t *testing.T) {
	apart := 0
	for file, want := range map[string]int{
		"cases":    505, // plain ones
		"endings":  945, // with compensate or finally
		"children": 550, // with workflow steps
	} {
		f, err := os.Open("../testdata/language/" + file + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		n := 0
		for ; lines.Scan(); n++ {
			var c oneCase
			if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
				t.Fatal(err)
			}
			c.rng = rand.New(rand.NewPCG(uint64(n), 15))
			if why := c.differs(t); why != "" {
				t.Errorf("%s, line %d: %s\n%s", file, n+1, why, lines.Bytes())
			}
			if c.apart {
				apart++
			}
		}
		if n != want {
			t.Errorf("%s: %d cases", file, n)
		}
	}
	if apart != 4 {
		t.Errorf("in %d cases something went on while an expression failed the run, want 4", apart)
	}
}

type oneCase struct {
	Kind              string
	Definition, Input json.RawMessage
	Facts             [][]string
	Outcomes          map[string]json.RawMessage
	Expect            map[string]any

	rng   *rand.Rand
	s     *replay.State
	seq   uint64
	at    int64
	alone map[string]bool // children that have not ended, though their step may have left them alone
	apart bool            // what an expression that failed the run was quicker than differs
}

func (c *oneCase) differs(t *testing.T) string {
	def, problems := flow.Parse(c.Definition)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	limit := int64(1) << 40 // the other model lets the time of any run be over
	def.TimeoutMS = &limit
	g, err := flow.NewGraph(def)
	if err != nil {
		t.Fatal(err)
	}
	c.s, c.seq, c.at, c.alone = replay.New(g), 1, 1, map[string]bool{}
	if why := c.turn(func(turn *replay.Turn) error { turn.Start("r", "w", 1, c.Input, ""); return nil }); why != "" {
		return why
	}
	for _, f := range c.Facts {
		if why := c.turn(func(turn *replay.Turn) error { return c.happens(turn, f) }); why != "" {
			return strings.Join(f, " ") + ": " + why
		}
	}
	for c.Kind == "outcomes" && c.s.Status.Live() {
		all := c.enabled()
		if len(all) == 0 {
			return "nothing can happen"
		}
		f := all[c.rng.IntN(len(all))]
		if why := c.turn(func(turn *replay.Turn) error { return c.happens(turn, f) }); why != "" {
			return strings.Join(f, " ") + ": " + why
		}
	}
	got := c.result()
	c.pass(got)
	for k, want := range c.Expect {
		if k == "skip_reasons" { // the other model keeps those of a finally step that a retry took back
			for step := range want.(map[string]any) {
				if c.Expect["steps"].(map[string]any)[step] != "skipped" {
					delete(want.(map[string]any), step)
				}
			}
		}
		if want == nil && c.Kind == "outcomes" && strings.HasPrefix(k, "compensat") {
			continue // it says nothing of it
		}
		if !reflect.DeepEqual(want, got[k]) {
			return fmt.Sprintf("%s is %v, want %v", k, got[k], want)
		}
	}
	return ""
}

// pass takes over what may differ. The other model looks at one step after the other, and at none after one whose expression fails the run.
// Here others may have gone on while that was worked out.
func (c *oneCase) pass(got map[string]any) {
	_, why := c.s.Why()
	steps, is := c.Expect["steps"].(map[string]any)
	if !is || why == nil || why.Code != failure.ExpressionFailed || c.s.Status != replay.Failed {
		return
	}
	for step, want := range steps {
		now := got["steps"].(map[string]any)[step]
		if (want == "pending" || want == "dormant") && (now == "cancelled" || now == "skipped") {
			got["steps"].(map[string]any)[step] = want
			delete(got["skip_reasons"].(map[string]any), step)
			delete(got["items"].(map[string]any), step)
			c.apart = true
		}
	}
}

// enabled gives what can happen now and is what the case says will come of its step.
func (c *oneCase) enabled() (all [][]string) {
	s := c.s
	for i, st := range s.All() {
		name := s.Name(i)
		switch _, out := s.Out(i); {
		case s.KnowsFate(i) && s.Target(i) != i:
			continue // it is a compensation
		case st.State == replay.StepScheduled && !out:
			all = append(all, []string{"take", name})
		case st.State == replay.StepRunning, st.State == replay.StepWaiting && s.Spec(i).Type == flow.TypeWorkflow && c.list(i) < 0:
			all = append(all, []string{c.outcome(name, "ok"), name})
		case st.State == replay.StepWaiting && s.Spec(i).Type == flow.TypeWaitTimer:
			all = append(all, []string{"fire", name})
		case st.State == replay.StepWaiting && s.Spec(i).Type == flow.TypeWaitSignal:
			all = append(all, []string{c.outcome(name, "signal"), name})
		}
	}
	if now, _ := s.Compensation(); now.Now >= 0 {
		all = append(all, []string{map[bool]string{true: "comp_take", false: "comp_ok"}[s.At(now.Now).State == replay.StepScheduled]})
	}
	for _, out := range s.Outs {
		all = append(all, []string{"answer", s.Name(out.Step)})
	}
	s.EachUnwanted(func(i replay.Instance, _ string) { all = append(all, []string{"child_end", s.Name(i)}) })
	return all
}

// outcome is what will come of a step or an item.
func (c *oneCase) outcome(name, usual string) (what string) {
	base, index, item := strings.Cut(strings.TrimSuffix(name, "]"), "[")
	raw := c.Outcomes[base]
	if !item {
		_ = json.Unmarshal(raw, &what)
		return cmp.Or(what, usual)
	}
	var each []string
	_ = json.Unmarshal(raw, &each)
	if n, _ := strconv.Atoi(index); n < len(each) {
		what = each[n]
	}
	return cmp.Or(what, usual)
}

// list is the list over which a step goes; -1: it goes over none, or is an item.
func (c *oneCase) list(i replay.Instance) int {
	if int(i) >= len(c.s.Steps) {
		return -1
	}
	return c.s.Graph.ListOf(i)
}

// turn folds something, and all that follows from it; the state is encoded and decoded in between.
func (c *oneCase) turn(do func(*replay.Turn) error) string {
	for {
		turn := &replay.Turn{S: c.s, At: c.at, Seq: c.seq}
		if err := do(turn); err != nil {
			return err.Error()
		}
		turn.Decide()
		if turn.Err != nil {
			return turn.Err.Error()
		}
		c.seq += uint64(len(turn.Events))
		c.s.EndRecord(c.seq - 1)
		if err := c.s.Check(); err != nil {
			return err.Error()
		}
		again, err := replay.Decode(c.s.Append(nil), c.s.Graph)
		if err != nil {
			return err.Error()
		}
		if string(again.Digest()) != string(c.s.Digest()) {
			return "its encoding is not that of what was decoded"
		}
		c.s = again
		asks := replay.Instance(-1)
		for i := range c.s.Steps {
			if ask := c.s.Asks(replay.Instance(i)); asks < 0 && ask != replay.AskNothing && ask != replay.AskChild {
				asks = replay.Instance(i)
			}
		}
		if asks < 0 {
			c.noteChildren()
			if i := c.goesOn(); i >= 0 {
				do = func(turn *replay.Turn) error { turn.TakeChild(i); return nil }
				continue
			}
			return ""
		}
		got := c.evaluate(asks)
		do = func(turn *replay.Turn) error { turn.Evaluated(asks, got); return nil }
	}
}

func (c *oneCase) happens(turn *replay.Turn, f []string) error {
	s, at := c.s, replay.Instance(0)
	if len(f) > 1 {
		var ok bool
		if at, ok = s.Graph.Instance(f[1]); !ok {
			return fmt.Errorf("no step %s", f[1])
		}
	} else if strings.HasPrefix(f[0], "comp_") {
		now, _ := s.Compensation()
		if at = now.Now; at < 0 {
			return fmt.Errorf("nothing is compensated")
		}
	}
	st := s.At(at)
	if st == nil {
		st = &replay.Step{} // an item that has not begun, or is done
	}
	if len(f) > 1 && s.Spec(at).Type == flow.TypeWorkflow {
		switch f[0] {
		case "take":
			return c.takeChild(turn, at)
		case "ok":
			return c.childOver(turn, at, replay.Completed)
		case "fail":
			return c.childOver(turn, at, replay.Failed)
		case "child_cancel", "child_end", "answer":
			return c.childOver(turn, at, replay.Cancelled)
		}
	}
	switch f[0] {
	case "take", "comp_take":
		turn.Started(at, st.Attempt, "w", c.at, false)
	case "ok", "comp_ok":
		turn.Complete(at, st.Attempt, []byte(`{"n":1}`), nil, 0)
	case "fail", "comp_fail":
		turn.Fail(at, st.Attempt, replay.AttemptError{Code: "failed", Final: f[0] == "comp_fail"})
	case "signal":
		turn.Signal("g_"+f[1], strconv.FormatUint(c.seq, 10), []byte(`{"n":1}`))
	case "timeout", "fire", "due":
		due := st.Due
		c.at = max(c.at, due)
		turn.At = c.at
		if !turn.Due(at, due) {
			return fmt.Errorf("it does not wait for %d", due)
		}
	case "answer":
		out, _ := s.Out(at)
		turn.Ended(at, out.Attempt)
	case "cancel":
		turn.Cancel("")
	case "force":
		turn.End("")
		for _, out := range s.Outs { // in the other model nobody waits for these
			if s.KnowsFate(out.Step) {
				turn.Ended(out.Step, out.Attempt)
			}
		}
	case "run_timeout":
		turn.At = max(c.at, s.Deadline)
		turn.Due(replay.RunItself, s.Deadline)
	case "retry":
		if err := s.MatchRetry(); err != nil {
			return err
		}
		turn.Reopen("")
	case "pause":
		turn.Pause("")
	case "resume":
		turn.Resume("")
	case "op_complete", "op_skip", "op_fail":
		as := replay.Correction(strings.TrimPrefix(f[0], "op_"))
		i, err := s.MatchCorrect(f[1], as, []byte(`{"n":1}`))
		if err != nil {
			return err
		}
		turn.Correct(i, as, []byte(`{"n":1}`), "")
	default:
		return fmt.Errorf("unknown fact")
	}
	return nil
}

// noteChildren notes the open children that are left alone when their step ends.
func (c *oneCase) noteChildren() {
	for i := range c.s.Steps {
		if child, had := c.s.Child(replay.Instance(i)); had && child.Open && c.s.Spec(replay.Instance(i)).OnParentEnd == flow.AbandonChild {
			c.alone[child.ID] = true
		}
	}
}

// goesOn gives a step whose child was left alone, and goes on for it; -1: there is none.
func (c *oneCase) goesOn() replay.Instance {
	for i := range c.s.Steps {
		i := replay.Instance(i)
		if child, had := c.s.Child(i); had && c.s.Asks(i) == replay.AskChild && c.alone[child.ID] {
			return i
		}
	}
	return -1
}

// takeChild starts a child, or lets the last one go on.
func (c *oneCase) takeChild(turn *replay.Turn, i replay.Instance) error {
	if c.s.Asks(i) != replay.AskChild {
		return fmt.Errorf("it asks for no child")
	}
	if _, had := c.s.Child(i); had && c.rng.IntN(2) == 0 {
		turn.TakeChild(i)
		return nil
	}
	turn.StartChild(i, 1)
	return nil
}

// childOver ends the child of a step. One that was left alone ends unseen.
func (c *oneCase) childOver(turn *replay.Turn, i replay.Instance, as replay.RunState) error {
	child, had := c.s.Child(i)
	if had && !child.Open && c.s.Spec(i).OnParentEnd == flow.AbandonChild {
		return nil
	}
	if !had || !child.Open {
		return fmt.Errorf("it has no child that is open")
	}
	delete(c.alone, child.ID)
	turn.ChildOver(i, replay.ChildEnd{ID: child.ID, State: as, Output: []byte(`{"n":1}`)})
	return nil
}

// evaluate works out what a step asks.
func (c *oneCase) evaluate(i replay.Instance) (got replay.Evaluated) {
	s, spec := c.s, c.s.Spec(i)
	if s.Asks(i) == replay.AskOutput {
		var all []string
		for _, p := range s.Outputs(i) {
			all = append(all, map[bool]string{true: "null", false: `{"n":1}`}[p.Seq == 0])
		}
		return replay.Evaluated{List: []byte("[" + strings.Join(all, ",") + "]")}
	}
	env := &expression.Env{Input: c.Input, Steps: map[string]expression.Step{}, Fate: s.FateJSON()}
	for k := range s.Steps {
		state, st := s.Shown(replay.Instance(k)), &s.Steps[k]
		v := expression.Step{State: state.String()}
		if st.State == replay.StepCompleted {
			v.Output = json.RawMessage(cmp.Or(string(st.Output.Data), `{"n":1}`))
			if st.Kind().Type == flow.TypeWaitTimer { // in the other model it gives what all do
				v.Output = json.RawMessage(`{"n":1}`)
			}
		}
		env.Steps[s.Name(replay.Instance(k))] = v
	}
	got.Yes = true
	names := expression.Names(0)
	if s.KnowsFate(i) {
		names = expression.Fate
	}
	cond, known := s.Condition(i)
	if spec.When != "" && !(known && cond.Yes) {
		p, err := expression.Compile(spec.When, names)
		if err == nil {
			got.Yes, err = p.True(env)
		}
		if err != nil {
			return replay.Evaluated{Err: err.Error()}
		}
		got.Saw = []byte("{}")
	}
	if _, known := s.List(i); spec.ForEach == nil || known {
		return got
	}
	text, is := spec.ItemsExpression()
	if got.List = spec.ForEach; !is {
		return got
	}
	p, err := expression.Compile(text, names)
	if err == nil {
		got.List, err = p.List(env)
	}
	if err != nil {
		got.ListErr = err.Error()
	}
	return got
}

// result is what can be seen of the run, as the cases say it.
func (c *oneCase) result() map[string]any {
	s := c.s
	steps, skips, items := map[string]any{}, map[string]any{}, map[string]any{}
	outputs, undone, failed := []any{}, []any{}, []any{}
	for k := range s.Steps {
		i := replay.Instance(k)
		steps[s.Name(i)] = s.Shown(i).String()
		if s.Steps[k].State == replay.StepSkipped {
			skips[s.Name(i)] = s.SkipReasons()[i].String()
		}
		if _, over := s.List(i); over {
			all := []any{}
			s.ItemStates(i, 0, func(it replay.ItemState) bool {
				state := it.State.String()
				if state == "scheduled" || state == "pending" {
					state = "wait"
				}
				all = append(all, state)
				return true
			})
			items[s.Name(i)] = all
		}
		if i < s.Graph.Main && len(s.Graph.Dependents[i]) == 0 && s.Steps[k].State == replay.StepCompleted {
			outputs = append(outputs, s.Name(i))
		}
	}
	now, _ := s.Compensation()
	for _, i := range now.Done {
		undone = append(undone, s.Name(i))
	}
	for _, f := range now.Failed {
		failed = append(failed, s.Name(f.Of))
	}
	out := map[string]any{"state": s.Status.String(), "steps": steps, "skip_reasons": skips, "items": items, "handled_failures": float64(s.Handled),
		"output_keys": outputs, "compensated": undone, "compensation_failed": failed, "error_step": nil, "error_code": nil}
	if step, why := s.Why(); why != nil && step != "" {
		out["error_step"] = step
	} else if why != nil {
		out["error_code"] = why.Code
	}
	return out
}
