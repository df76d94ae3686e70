package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/agnt5/agnt5d/flow"
)

type ctxT = context.Context

// randomFlow makes up a valid definition: tasks with keys and small retry budgets, some of them over lists, waits with and without on_timeout, timers
// that absorb, and joins of whatever there is.
//
// Some steps start runs of other workflows, of which the names are given.
func randomFlow(rng *rand.Rand, others []string) *flow.Definition {
	for {
		d := tryFlow(rng)
		if len(others) > 0 && rng.IntN(3) == 0 {
			withChildren(rng, d, others)
		}
		if rng.IntN(4) == 0 {
			withEndings(rng, d, others)
		}
		if len(flow.Validate(d)) == 0 {
			return d
		}
	}
}

func tryFlow(rng *rand.Rand) *flow.Definition {
	n := 1 + rng.IntN(10)
	d := &flow.Definition{}
	if rng.IntN(12) == 0 {
		ms := int64(rng.IntN(60_000) + 1)
		d.TimeoutMS = &ms
	}
	if rng.IntN(8) == 0 {
		d.Output = json.RawMessage(`{"v":"${ run.version }","s":"${ steps.s0.state }"}`)
	}
	name := func(i int) string { return fmt.Sprintf("s%d", i) }
	escalates, lists := map[int]bool{}, map[string]bool{}
	for i := range n {
		var after []string
		for j := range i {
			if rng.IntN(100) < 30 && (!escalates[i] || rng.IntN(3) == 0) {
				after = append(after, name(j))
			}
		}
		opts := []flow.StepOption{flow.After(after...)}
		switch k := rng.IntN(100); {
		case k < 62:
			s := task(rng, name(i), opts)
			if n > 1 && rng.IntN(100) < 20 {
				if e := rng.IntN(n); e != i {
					s.OnFailure, escalates[e] = name(e), true
				}
			}
			if rng.IntN(100) < 15 {
				most, pause := int64(3), int64(rng.IntN(2)*rng.IntN(5000))
				s.Repeat = &flow.Repeat{Until: fmt.Sprintf("round == %d", rng.IntN(4)), IntervalMS: &pause, MaxRounds: &most}
			}
			if rng.IntN(100) < 15 {
				overList(rng, &s, after, lists)
			}
			d.Steps = append(d.Steps, s)
		case k < 84:
			s := flow.WaitSignal(name(i), fmt.Sprintf("sig%d", rng.IntN(3)), opts...)
			if rng.IntN(100) < 70 {
				ms := int64(rng.IntN(20_000))
				if rng.IntN(3) == 0 {
					ms = 0
				}
				s.Signal.TimeoutMS = &ms
				if i+1 < n && rng.IntN(100) < 75 {
					e := i + 1 + rng.IntN(n-i-1)
					s.Signal.OnTimeout, escalates[e] = name(e), true
				}
			}
			d.Steps = append(d.Steps, s)
		default:
			ms, retries := int64(rng.IntN(10_000)), int64(rng.IntN(3))
			s := flow.WaitTimer(name(i), "timer-"+name(i), opts...)
			if rng.IntN(8) == 0 {
				s.Timer.Cron = "*/5 * * * *"
			} else {
				s.Timer.DelayMS = &ms
			}
			s.Timer.MaxRetries = &retries
			d.Steps = append(d.Steps, s)
		}
		last := &d.Steps[len(d.Steps)-1]
		if len(after) > 0 && rng.IntN(100) < 20 {
			last.Join = []flow.JoinRule{flow.JoinAny, flow.JoinSettled}[rng.IntN(2)]
		}
		if rng.IntN(100) < 12 {
			last.When = condition(rng, after)
		}
	}
	return d
}

// withChildren makes children of some tasks.
func withChildren(rng *rand.Rand, d *flow.Definition, others []string) {
	for i := range d.Steps {
		s := &d.Steps[i]
		if s.Type != flow.TypeTask || rng.IntN(3) > 0 {
			continue
		}
		s.Type, s.Service, s.Handler, s.ObjectKeys, s.HeartbeatTimeoutMS = flow.TypeWorkflow, "", "", nil, nil
		s.Workflow = others[rng.IntN(len(others))]
		if rng.IntN(5) == 0 {
			s.OnParentEnd = flow.AbandonChild
		}
		if s.ForEach != nil {
			most := int64(2)
			s.MaxParallel = &most
		}
	}
}

// condition makes up a condition that hangs on the states of the step's dependencies.
func condition(rng *rand.Rand, after []string) string {
	if len(after) == 0 {
		return []string{"true", "1 == 2"}[rng.IntN(2)]
	}
	states := []string{"completed", "skipped", "timed_out", "failed"}
	return fmt.Sprintf("steps.%s.state %s %q", after[rng.IntN(len(after))], []string{"==", "!="}[rng.IntN(2)], states[rng.IntN(len(states))])
}

func task(rng *rand.Rand, name string, opts []flow.StepOption) flow.Step {
	h := handlers[rng.IntN(len(handlers))]
	s := flow.Task(name, h.service, h.name, opts...)
	for k := range 3 {
		if rng.IntN(100) < 12 {
			s.ObjectKeys = append(s.ObjectKeys, fmt.Sprintf("key:%d", k))
		}
	}
	if len(s.ObjectKeys) > 0 && rng.IntN(5) == 0 {
		s.ObjectKeys[0] = "key:${ " + s.ObjectKeys[0][len("key:"):] + " }"
	}
	if rng.IntN(100) < 8 {
		s.Input = json.RawMessage(`{"n":"${ 1 + 1 }"}`)
	}
	rng.Shuffle(len(s.ObjectKeys), func(i, j int) { s.ObjectKeys[i], s.ObjectKeys[j] = s.ObjectKeys[j], s.ObjectKeys[i] })
	if rng.IntN(2) == 0 {
		s.Retry = &flow.Retry{MaxAttempts: int64(1 + rng.IntN(3)), InitialIntervalMS: int64(1 + rng.IntN(3000))}
	}
	if rng.IntN(10) == 0 {
		ms := int64(1000 + rng.IntN(60_000))
		s.TimeoutMS = &ms
	}
	if rng.IntN(12) == 0 {
		ms := int64(1000 + rng.IntN(20_000))
		s.HeartbeatTimeoutMS = &ms
	}
	return s
}
