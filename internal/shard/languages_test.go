package shard_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/naive"
)

// randomLanguage makes up a definition that is valid.
func randomLanguage(rng *rand.Rand) string {
	for {
		text := tryLanguage(rng)
		if text == "" {
			continue
		}
		if _, err := naive.Parse([]byte(text)); err != nil {
			continue
		}
		if d, problems := flow.Parse([]byte(text)); len(problems) == 0 && len(flow.Validate(d)) == 0 {
			return text
		}
	}
}

type step = map[string]any

func tryLanguage(rng *rand.Rand) string {
	n := 2 + rng.IntN(8)
	name := func(i int) string { return fmt.Sprint("s", i) }
	other := func(i int) string {
		for {
			if k := rng.IntN(n); k != i {
				return name(k)
			}
		}
	}
	var steps []step
	for i := range n {
		s := step{"name": name(i)}
		randomDeps(rng, s, steps)
		switch k := rng.IntN(100); {
		case k < 25:
			signal := step{"name": "g_" + name(i)}
			if s["type"], s["signal"] = "wait_signal", signal; rng.IntN(100) < 80 {
				signal["timeout_ms"], signal["on_timeout"] = 1+rng.IntN(1_000_000), other(i)
			}
		case k < 35:
			s["type"], s["timer"] = "wait_timer", step{"key": name(i), "delay_ms": 100_000_000_000}
		default:
			if rng.IntN(100) < 40 {
				s["on_failure"] = other(i)
			}
			randomTask(rng, s, steps)
			if s["type"] == nil && rng.IntN(100) < 30 {
				undo := step{"handler_name": "undo", "retry": step{"max_attempts": 1}}
				if s["compensate"] = undo; rng.IntN(100) < 40 {
					undo["also_if_started"] = true
				}
			}
		}
		steps = append(steps, s)
	}
	if turnsBack(steps) {
		return ""
	}
	for i, s := range steps {
		if rng.IntN(100) < 30 {
			s["when"] = randomCondition(rng, steps[:i])
		}
	}
	def := step{"steps": steps}
	if rng.IntN(100) < 30 {
		def["finally"] = randomFinally(rng, steps)
	}
	if rng.IntN(100) < 20 {
		def["timeout_ms"] = 1 + rng.IntN(2_000_000)
	}
	if rng.IntN(100) < 25 {
		if def["output"] = randomTemplate(rng, steps); rng.IntN(5) == 0 {
			def["output"] = "${ input.none.x }"
		}
	}
	b, _ := json.Marshal(def)
	return string(b)
}

// turnsBack says whether a way along dependencies and branches leads back to where it began: most of what is made up is like that.
func turnsBack(steps []step) bool {
	next := map[string][]string{}
	for _, s := range steps {
		name := s["name"].(string)
		deps, _ := s["dependencies"].([]string)
		for _, d := range deps {
			next[d] = append(next[d], name)
		}
		branch := s["on_failure"]
		if signal, is := s["signal"].(step); is {
			branch = signal["on_timeout"]
		}
		if e, is := branch.(string); is {
			next[name] = append(next[name], e)
		}
	}
	seen := map[string]int{} // 1: on the way, 2: done
	var back func(string) bool
	back = func(name string) bool {
		if seen[name] > 0 {
			return seen[name] == 1
		}
		seen[name] = 1
		found := slices.ContainsFunc(next[name], back)
		seen[name] = 2
		return found
	}
	return slices.ContainsFunc(steps, func(s step) bool { return back(s["name"].(string)) })
}

// randomDeps lets a step depend on some of those before it.
func randomDeps(rng *rand.Rand, s step, before []step) {
	var deps []string
	for _, k := range rng.Perm(len(before))[:min(len(before), []int{0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3}[rng.IntN(12)])] {
		deps = append(deps, before[k]["name"].(string))
	}
	if slices.Sort(deps); len(deps) > 0 {
		s["dependencies"] = deps
		if rng.IntN(100) < 35 {
			s["join"] = []string{"any", "settled"}[rng.IntN(2)]
		}
	}
}

// randomTask makes a step one for a handler, or for a child.
func randomTask(rng *rand.Rand, s step, before []step) {
	if rng.IntN(100) < 15 {
		if s["type"], s["workflow_name"] = "workflow", "child"; rng.IntN(100) < 30 {
			s["on_parent_end"] = "abandon"
		}
	} else {
		s["service_name"], s["handler_name"], s["retry"] = "svc", "h", step{"max_attempts": 1}
	}
	if rng.IntN(100) < 25 {
		s["for_each"] = randomList(rng, before)
		if rng.IntN(2) == 0 {
			s["max_parallel"] = 1 + rng.IntN(2)
		}
		if rng.IntN(2) == 0 {
			s["tolerate"] = []any{1, 2, "50%", "34%"}[rng.IntN(4)]
		}
	}
	if rng.IntN(100) < 25 {
		s["repeat"] = randomRounds(rng, before)
	}
	if rng.IntN(100) < 35 {
		if randomTemplates(rng, s, before); s["type"] != nil {
			delete(s, "object_keys")
		}
	}
}

// randomFinally are one to four steps of finally.
func randomFinally(rng *rand.Rand, main []step) (steps []step) {
	n := 1 + rng.IntN(4)
	for i := range n {
		s := step{"name": fmt.Sprint("f", i)}
		randomDeps(rng, s, steps)
		if rng.IntN(100) < 15 {
			s["type"], s["timer"] = "wait_timer", step{"key": s["name"], "delay_ms": 100_000_000_000}
		} else {
			if k := rng.IntN(n); k != i && rng.IntN(100) < 40 {
				s["on_failure"] = fmt.Sprint("f", k)
			}
			randomTask(rng, s, append(slices.Clone(main), steps...))
		}
		if rng.IntN(100) < 30 {
			s["when"] = randomCondition(rng, append(slices.Clone(main), steps...))
			if rng.IntN(2) == 0 {
				s["when"] = []string{`fate.state == "failed"`, `fate.state != "completed"`, `fate.error == null`, `fate.error != null && input.yes`}[rng.IntN(4)]
			}
		}
		steps = append(steps, s)
	}
	return steps
}

// randomRounds makes a step repeat: mostly some rounds come to an end before they are used up.
func randomRounds(rng *rand.Rand, before []step) step {
	until := fmt.Sprintf("round == %d", rng.IntN(4))
	switch k := rng.IntN(20); {
	case k < 3:
		until = []string{"output.n == 1", "output.round == 1 && input.yes", "input.no", "output.none.x", "output.n"}[rng.IntN(5)]
	case k < 9 && len(before) > 0:
		until = fmt.Sprintf("%s || steps[%q].state == %q", until, before[rng.IntN(len(before))]["name"], []string{"completed", "skipped"}[rng.IntN(2)])
	}
	r := step{"until": until, "max_rounds": 1 + rng.IntN(5)}
	if rng.IntN(2) == 0 {
		r["interval_ms"] = 1 + rng.IntN(1_000_000)
		if rng.IntN(2) == 0 {
			r["backoff_coefficient"], r["max_interval_ms"] = 2, 1_000_000
		}
	}
	return r
}

// randomTemplates gives a task an input and object keys with expressions. Its keys are its own: what two steps do that want the same one is
// not what is compared here.
func randomTemplates(rng *rand.Rand, s step, before []step) {
	own := fmt.Sprintf("%s-${ input.yes }", s["name"])
	if s["for_each"] != nil {
		own += "-${ index }"
	}
	if rng.IntN(3) > 0 {
		s["input"] = step{"a": randomTemplate(rng, before), "b": step{"c": []any{randomTemplate(rng, before), 1}}}
		if s["for_each"] != nil {
			s["input"] = step{"a": randomTemplate(rng, before), "i": []string{"${ item }", "at ${ index }", "${ item.n }", "${ item == 1 }"}[rng.IntN(4)]}
		}
	}
	if rng.IntN(3) == 0 {
		s["object_keys"] = []any{own, own, "more-" + own}[:1+rng.IntN(3)]
		if rng.IntN(4) == 0 {
			s["object_keys"] = []any{[]string{`${ "" }`, `.${ "." }`, "${ input.list }"}[rng.IntN(3)]}
		}
	}
}

// randomTemplate is a text with expressions, of which few cannot be worked out.
func randomTemplate(rng *rand.Rand, before []step) any {
	some := []string{"plain", "${ input.list }", "${ input.none }", "is ${ input.yes } of $${ x } or ${input.no}", "${ input.yes && input.no }"}
	if rng.IntN(12) == 0 {
		some = []string{"${ input.none.x }", "a list: ${ input.list }", "nothing: ${ input.none }"}
	}
	for range min(len(before), 3) {
		s := before[rng.IntN(len(before))]
		some = append(some, fmt.Sprintf("${ steps.%s.state }", s["name"]), fmt.Sprintf("it is ${ steps[%q].state }", s["name"]))
		if s["type"] != "wait_timer" {
			some = append(some, fmt.Sprintf("${ steps.%s.output }", s["name"]))
		}
	}
	return some[rng.IntN(len(some))]
}

// randomList is what a step goes over: rarely something that is no list.
func randomList(rng *rand.Rand, before []step) any {
	switch k := rng.IntN(20); {
	case k < 8:
		return slices.Repeat([]any{map[string]any{"n": 1}}, rng.IntN(5))
	case k < 16 || len(before) == 0:
		return "input.list"
	case k < 17:
		return "input.none"
	default:
		return fmt.Sprintf("steps.%s.output", before[rng.IntN(len(before))]["name"])
	}
}

func randomCondition(rng *rand.Rand, before []step) string {
	some := []string{"input.yes", "input.no", "!input.no && input.yes", "input.none.x"}
	for range min(len(before), 3) {
		s := before[rng.IntN(len(before))]
		some = append(some, fmt.Sprintf("steps[%q].state == %q", s["name"], []string{"completed", "skipped", "failed", "timed_out"}[rng.IntN(4)]),
			fmt.Sprintf("steps.%s.state != \"skipped\"", s["name"]))
		if s["type"] != "wait_timer" && rng.IntN(2) == 0 {
			some = append(some, fmt.Sprintf("steps.%s.output.n == 1", s["name"]))
		}
	}
	return some[rng.IntN(len(some))]
}
