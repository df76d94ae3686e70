// Package evaluate works out what the expressions of a run's steps come to: it reads the outputs that they name, and gives the answer
// that is recorded. It runs outside of the loop.
package evaluate

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/expression"
	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// Source is where payloads are read: an archive.
type Source interface {
	Payload(replay.Payload) (json.RawMessage, error)
	Item(list replay.Payload, index int) (json.RawMessage, error)
	Join(parts []replay.Payload) (json.RawMessage, error)
	Over(run uint64, id string) (*replay.State, json.RawMessage, error)
}

// Answer answers a question of a shard. The error is what could not be read.
func Answer(q *shard.Question, from Source) (*shard.Evaluated, error) {
	out := &shard.Evaluated{Run: q.Run, Step: q.Step, No: q.No}
	switch q.Ask {
	case replay.AskEnd:
		out.End, out.Of = end(q, from), q.Child
		return out, nil // End nil: it has been reopened since
	case replay.AskChild:
		return out, birth(out, q, from)
	}
	if q.Ask == replay.AskOutput {
		var err error
		out.Got.List, err = from.Join(q.Outputs)
		return out, err
	}
	env, err := environment(q, from)
	if err != nil {
		return nil, err
	}
	if q.Ask == replay.AskResult {
		t, err := template(q.Template, 0)
		if err == nil {
			out.Got.Value, err = t.Eval(env)
		}
		if err != nil {
			out.Got.Err = fmt.Sprintf("output: %v", err)
		}
		return out, nil
	}
	if q.Ask == replay.AskUntil {
		env.Round = int64(q.Round)
		if env.Output, err = from.Payload(q.Output); err != nil {
			return nil, err
		}
		names := expression.Round | also(q)
		if q.Item != nil {
			names |= expression.Item
		}
		out.Got = condition("until", q.What.Repeat.Until, names, env)
		return out, nil
	}
	if q.Ask == replay.AskItems {
		out.Got.Items, err = filled(q, env, from)
		return out, err
	}
	out.Got.Yes = true
	if q.When {
		out.Got = condition("when", q.What.When, also(q), env)
	}
	if !out.Got.Yes || out.Got.Err != "" {
		return out, nil
	}
	if q.ForEach {
		out.Got.List, out.Got.ListErr = list(q.What, also(q), env)
	}
	if q.Fill {
		fill(&out.Got, q, env)
	}
	return out, nil
}

// end says how a child ended. One of which that cannot be read has failed, as its parent sees it. nil: it was retried since, and its
// parent hears of the next end.
func end(q *shard.Question, from Source) *replay.ChildEnd {
	s, output, err := from.Over(q.Child, q.ChildID)
	if errors.Is(err, refusal.ErrRunOpen) {
		return nil
	}
	if err != nil {
		return &replay.ChildEnd{ID: q.ChildID, State: replay.Failed, ErrCode: failure.TaskUnreadable, Why: "it has ended, and how cannot be read: " + err.Error()}
	}
	end := s.End()
	end.Output = output
	return &end
}

// birth reads what a child is given, or what became of the one before it.
func birth(out *shard.Evaluated, q *shard.Question, from Source) (err error) {
	if q.ChildID != "" {
		out.Child, out.Got.Input, err = from.Over(0, q.ChildID)
		switch {
		case errors.Is(err, refusal.ErrRunOpen): // it was retried since, and can go on
			out.Child, err = nil, nil
		case errors.Is(err, refusal.ErrRunNotFound), errors.Is(err, refusal.ErrRunExpired), errors.Is(err, refusal.ErrDamaged), errors.Is(err, refusal.ErrRunQuarantined):
			out.Child, err = &replay.State{}, nil // there is no such child any more
		}
		return err
	}
	if q.Give.Item {
		out.Got.Input, err = from.Item(q.Give.Payload, q.Give.Index)
	} else {
		out.Got.Input, err = from.Payload(q.Give.Payload)
	}
	return err
}

// also are the names that the expressions of a question may use beside the usual ones, whatever they are for.
func also(q *shard.Question) expression.Names {
	if q.Fate != nil {
		return expression.Fate
	}
	return 0
}

// fill works out what the templates of a step come to.
func fill(got *replay.Evaluated, q *shard.Question, env *expression.Env) {
	what, names := q.What, also(q)
	if what.ForEach != nil {
		names |= expression.Item
	}
	if what.Input != nil {
		t, err := template(what.Input, names)
		if err == nil {
			got.Input, err = t.Eval(env)
		}
		if err != nil {
			got.Err = fmt.Sprintf("input: %v", err)
			return
		}
	}
	if !q.FillKeys {
		return
	}
	for n, key := range what.ObjectKeys {
		if expression.HasTemplate(key) {
			text := key
			t, err := textTemplate(text, names)
			if err == nil {
				key, err = t.Text(env)
			}
			if err != nil {
				got.Err = fmt.Sprintf("object_keys[%d]: %v", n, err)
				return
			}
			if bad := flow.ValidObjectKey(key); bad != nil {
				got.Code, got.Err = failure.ObjectKeyInvalid, fmt.Sprintf("object_keys[%d]: %s came to what is no object key: %v", n, text, bad)
				return
			}
		}
		if !slices.Contains(got.Keys, key) {
			got.Keys = append(got.Keys, key)
		}
	}
}

// filled works out what the templates of items come to.
func filled(q *shard.Question, env *expression.Env, from Source) ([]replay.FilledItem, error) {
	all := make([]replay.FilledItem, len(q.Items))
	for n, index := range q.Items {
		var err error
		if env.Item, err = from.Item(q.Item.List, index); err != nil {
			return nil, err
		}
		env.Index = int64(index)
		all[n].Index = index
		fill(&all[n].Evaluated, q, env)
	}
	return all, nil
}

// list works out what a step goes over.
func list(step *replay.Spec, names expression.Names, env *expression.Env) (items json.RawMessage, why string) {
	text, is := step.ItemsExpression()
	if !is {
		return step.ForEach, ""
	}
	p, err := compiled(text, names)
	if err == nil {
		items, err = p.List(env)
	}
	if err != nil {
		return nil, fmt.Sprintf("for_each: %v", err)
	}
	return items, ""
}

// condition works out what must be true or false; key is what it is called.
func condition(key, text string, names expression.Names, env *expression.Env) (got replay.Evaluated) {
	p, err := compiled(text, names)
	if err == nil {
		got.Yes, err = p.True(env)
	}
	if err != nil {
		return replay.Evaluated{Err: fmt.Sprintf("%s: %v", key, err)}
	}
	got.Saw, _ = json.Marshal(p.Saw(env)) // values are JSON
	return got
}

func environment(q *shard.Question, from Source) (*expression.Env, error) {
	env := &expression.Env{Run: expression.Run{ID: q.ID, Workflow: q.Workflow, Version: int64(q.Version), CreatedAt: rfc3339.Format(q.Created), Parent: q.Parent}, Fate: q.Fate}
	var err error
	if env.Input, err = from.Payload(q.Input); err != nil {
		return nil, err
	}
	if i := q.Item; i != nil && q.Items == nil {
		env.Index = int64(i.Index)
		if env.Item, err = from.Item(i.List, i.Index); err != nil {
			return nil, err
		}
	}
	if len(q.Steps) > 0 {
		env.Steps = make(map[string]expression.Step, len(q.Steps))
	}
	for name, v := range q.Steps {
		s := expression.Step{State: v.State}
		if v.Output != nil {
			if s.Output, err = from.Payload(*v.Output); err != nil {
				return nil, err
			}
		}
		if e := v.Error; e != nil {
			s.Error, _ = json.Marshal(map[string]any{"code": e.Code, "message": e.Message, "type": e.Type, "attempt": e.Attempt})
		}
		env.Steps[name] = s
	}
	return env, nil
}

// programs are expressions and templates that were compiled lately: the same are evaluated in many runs.
var programs = struct {
	sync.Mutex
	by   map[source]any
	size int // of their texts
}{by: map[source]any{}}

type source struct {
	kind  byte // e: an expression, t: a template, k: the template of a text
	text  string
	names expression.Names
}

// Bounds of what is kept.
const (
	programsKept = 1_000
	programBytes = 8 << 20
)

// compile gives what was compiled from a text, with its errors.
func compile[T any](of source, make func() (T, *expression.Error)) (T, *expression.Error) {
	programs.Lock()
	p, known := programs.by[of]
	programs.Unlock()
	if known {
		return p.(T), nil
	}
	made, err := make()
	if err != nil {
		return made, err
	}
	programs.Lock()
	defer programs.Unlock()
	if programs.size += len(of.text); len(programs.by) >= programsKept || programs.size > programBytes {
		clear(programs.by)
		programs.size = len(of.text)
	}
	programs.by[of] = made
	return made, nil
}

func compiled(text string, names expression.Names) (*expression.Program, *expression.Error) {
	return compile(source{'e', text, names}, func() (*expression.Program, *expression.Error) { return expression.Compile(text, names) })
}

func template(value json.RawMessage, names expression.Names) (*expression.Template, *expression.Error) {
	return compile(source{'t', string(value), names}, func() (*expression.Template, *expression.Error) {
		return only(expression.CompileTemplate(value, names))
	})
}

func textTemplate(text string, names expression.Names) (*expression.Template, *expression.Error) {
	return compile(source{'k', text, names}, func() (*expression.Template, *expression.Error) {
		return only(expression.CompileText(text, names))
	})
}

// only gives the first of many errors.
func only(t *expression.Template, errs []*expression.Error) (*expression.Template, *expression.Error) {
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return t, nil
}
