// Package evaluate works out what the expressions of a run's steps come to: it reads the outputs that they name, and gives the answer
// that is recorded. It runs outside of the loop.
package evaluate

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/agnt5/agnt5d/internal/expression"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
)

// Read gives the bytes of a payload.
type Read func(replay.Payload) (json.RawMessage, error)

// Answer answers a question of a shard. The error is what could not be read.
func Answer(q *shard.Question, read Read) (*shard.Evaluated, error) {
	env, err := environment(q, read)
	if err != nil {
		return nil, err
	}
	out := &shard.Evaluated{Run: q.Run, Step: q.Step, No: q.No}
	if q.Ask == replay.AskUntil {
		env.Round = int64(q.Round)
		if env.Output, err = read(q.Output); err != nil {
			return nil, err
		}
		out.Got = condition("until", q.What.Repeat.Until, expression.Round, env)
		return out, nil
	}
	out.Got = condition("when", q.What.When, 0, env)
	return out, nil
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

func environment(q *shard.Question, read Read) (*expression.Env, error) {
	env := &expression.Env{Run: expression.Run{ID: q.ID, Workflow: q.Workflow, Version: int64(q.Version), CreatedAt: rfc3339.Format(q.Created)}}
	var err error
	if env.Input, err = read(q.Input); err != nil {
		return nil, err
	}
	if len(q.Steps) > 0 {
		env.Steps = make(map[string]expression.Step, len(q.Steps))
	}
	for name, v := range q.Steps {
		s := expression.Step{State: v.State}
		if v.Output != nil {
			if s.Output, err = read(*v.Output); err != nil {
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

// programs are expressions that were compiled lately: the same are evaluated in many runs.
var programs = struct {
	sync.Mutex
	by map[source]*expression.Program
}{by: map[source]*expression.Program{}}

type source struct {
	text  string
	names expression.Names
}

const programsKept = 1_000

func compiled(text string, names expression.Names) (*expression.Program, *expression.Error) {
	of := source{text, names}
	programs.Lock()
	p := programs.by[of]
	programs.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := expression.Compile(text, names)
	if err != nil {
		return nil, err
	}
	programs.Lock()
	defer programs.Unlock()
	if len(programs.by) >= programsKept {
		clear(programs.by)
	}
	programs.by[of] = p
	return p, nil
}
