package replay_test

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/expression"
	"github.com/agnt5/agnt5d/replay"
)

// TestEndings holds the fold and the decisions against cases that another model worked out: runs with compensations and finally steps,
// and what happens in them, fact by fact.
func TestEndings(t *testing.T) {
	f, err := os.Open("../testdata/language/endings.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var c endingCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if why := c.differs(t); why != "" {
			t.Errorf("line %d: %s\n%s", n+1, why, lines.Bytes())
		}
	}
	if n != endingCases {
		t.Errorf("%d cases", n)
	}
}

const endingCases = 433

type endingCase struct {
	Definition, Input json.RawMessage
	Facts             [][]string
	Expect            map[string]any

	s   *replay.State
	seq uint64
	at  int64
}

func (c *endingCase) differs(t *testing.T) string {
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
	c.s, c.seq, c.at = replay.New(g), 1, 1
	if why := c.turn(func(turn *replay.Turn) error { turn.Start("r", "w", 1, c.Input, ""); return nil }); why != "" {
		return why
	}
	for _, f := range c.Facts {
		if why := c.turn(func(turn *replay.Turn) error { return c.happens(turn, f) }); why != "" {
			return strings.Join(f, " ") + ": " + why
		}
	}
	got := c.result()
	for k, want := range c.Expect {
		if k == "skip_reasons" { // the other model keeps those of a finally step that a retry took back
			for step := range want.(map[string]any) {
				if c.Expect["steps"].(map[string]any)[step] != "skipped" {
					delete(want.(map[string]any), step)
				}
			}
		}
		if !reflect.DeepEqual(want, got[k]) {
			return fmt.Sprintf("%s is %v, want %v", k, got[k], want)
		}
	}
	return ""
}

// turn folds something, and all that follows from it; the state is encoded and decoded in between.
func (c *endingCase) turn(do func(*replay.Turn) error) string {
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
			if asks < 0 && c.s.Asks(replay.Instance(i)) != replay.AskNothing {
				asks = replay.Instance(i)
			}
		}
		if asks < 0 {
			return ""
		}
		got := c.evaluate(asks)
		do = func(turn *replay.Turn) error { turn.Evaluated(asks, got); return nil }
	}
}

func (c *endingCase) happens(turn *replay.Turn, f []string) error {
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
		turn.Reopen()
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

// evaluate works out what a step asks.
func (c *endingCase) evaluate(i replay.Instance) (got replay.Evaluated) {
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
func (c *endingCase) result() map[string]any {
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
