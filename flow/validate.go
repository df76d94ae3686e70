package flow

import (
	"slices"

	"github.com/agnt5/agnt5d/internal/cron"
)

// maxInput is the largest input_data of a step.
const maxInput = 1 << 20

// Validate reports everything that is wrong with a definition; nothing when it can be run.
func Validate(d *Definition) Problems {
	v := &validator{d: d, at: make(map[string]int, len(d.Steps)), keys: map[string]string{}}
	if len(d.Steps) == 0 {
		v.add(CodeNoSteps, "", "at least one step must be defined")
	}
	if len(d.Steps) > MaxSteps {
		v.add(CodeTooLarge, "", "%d steps, the limit is %d", len(d.Steps), MaxSteps)
		return v.Problems
	}
	for i := range d.Steps {
		name := d.Steps[i].Name
		if first, taken := v.at[name]; taken && name != "" {
			v.add(CodeNameDuplicate, name, "the name is taken by step %d; step names must be unique", first+1)
			continue
		}
		v.at[name] = i
	}
	for i := range d.Steps {
		v.step(i, &d.Steps[i])
	}
	v.cycles()
	return v.Problems
}

// Warnings reports what can be run and is hardly meant.
func Warnings(d *Definition) Problems {
	var p Problems
	for i := range d.Steps {
		if g := d.Steps[i].Signal; g != nil && g.TimeoutMS != nil && *g.TimeoutMS == 0 && g.OnTimeout == "" {
			p.add(CodeTimeoutZero, d.Steps[i].Name, "timeout_ms is 0 and there is no on_timeout: unless the signal is there already the run fails at once, and a retry cannot save it")
		}
	}
	return p
}

type validator struct {
	Problems
	d    *Definition
	at   map[string]int
	keys map[string]string // timer key -> step
}

func (v *validator) step(i int, s *Step) {
	if err := validName(s.Name); err != nil {
		v.add(CodeNameInvalid, s.Name, "the name of step %d %v", i+1, err)
	}
	v.dependencies(i, s)
	switch s.Type {
	case TypeTask, "":
		v.task(s)
	case TypeWaitSignal:
		v.misplacedTask(s)
		v.misplaced(s, "timer", s.Timer != nil)
		v.signal(i, s)
	case TypeWaitTimer:
		v.misplacedTask(s)
		v.misplaced(s, "signal", s.Signal != nil)
		v.timer(s)
	default:
		v.add(CodeTypeUnknown, s.Name, "type %q is unknown; want task, wait_signal or wait_timer", s.Type)
	}
}

func (v *validator) misplaced(s *Step, key string, there bool) {
	if there {
		typ := s.Type
		if typ == "" {
			typ = TypeTask
		}
		v.add(CodeMisplacedKey, s.Name, "%s does not belong to a %s step", key, typ)
	}
}

func (v *validator) misplacedTask(s *Step) {
	v.misplaced(s, "service_name", s.Service != "")
	v.misplaced(s, "handler_name", s.Handler != "")
	v.misplaced(s, "object_keys", len(s.ObjectKeys) > 0)
	v.misplaced(s, "input_data", s.InputData != nil)
	v.misplaced(s, "timeout_ms", s.TimeoutMS != nil)
	v.misplaced(s, "retry", s.Retry != nil)
	v.misplaced(s, "heartbeat_timeout_ms", s.HeartbeatTimeoutMS != nil)
}

func (v *validator) dependencies(i int, s *Step) {
	var seen map[string]bool
	if len(s.Dependencies) > 8 {
		seen = make(map[string]bool, len(s.Dependencies))
	}
	for n, dep := range s.Dependencies {
		if seen != nil {
			if seen[dep] {
				v.add(CodeDepRepeated, s.Name, "dependency %q stands twice", dep)
				continue
			}
			seen[dep] = true
		} else if slices.Contains(s.Dependencies[:n], dep) {
			v.add(CodeDepRepeated, s.Name, "dependency %q stands twice", dep)
			continue
		}
		at, known := v.at[dep]
		switch {
		case dep == s.Name:
			v.add(CodeDepSelf, s.Name, "the step depends on itself")
		case !known:
			v.add(CodeDepUnknown, s.Name, "dependency %q names no step of this workflow", dep)
		case at > i:
			v.add(CodeDepLater, s.Name, "dependency %q is defined later; a step's dependencies must stand before it", dep)
		}
	}
}

func (v *validator) task(s *Step) {
	v.misplaced(s, "signal", s.Signal != nil)
	v.misplaced(s, "timer", s.Timer != nil)
	if s.Service == "" {
		v.add(CodeServiceMissing, s.Name, "a task needs a service_name")
	} else if err := validName(s.Service); err != nil {
		v.add(CodeNameInvalid, s.Name, "service_name %v", err)
	}
	if s.Handler == "" {
		v.add(CodeHandlerMissing, s.Name, "a task needs a handler_name")
	} else if err := validName(s.Handler); err != nil {
		v.add(CodeNameInvalid, s.Name, "handler_name %v", err)
	}
	for n, key := range s.ObjectKeys {
		if err := ValidObjectKey(key); err != nil {
			v.add(CodeObjectKey, s.Name, "%v", err)
		} else if slices.Contains(s.ObjectKeys[:n], key) {
			v.add(CodeObjectKeyTwice, s.Name, "object key %q stands twice", key)
		}
	}
	if s.InputData != nil {
		if err := CheckJSON(s.InputData, maxInput); err != nil {
			v.add(CodeInputInvalid, s.Name, "input_data %v", err)
		} else if _, err := parseJSON(s.InputData, true); err != nil {
			v.add(CodeInputInvalid, s.Name, "input_data: %v", err)
		}
	}
	v.positive(s, "timeout_ms", s.TimeoutMS)
	v.positive(s, "heartbeat_timeout_ms", s.HeartbeatTimeoutMS)
	if r := s.Retry; r != nil {
		v.least(s, "retry.max_attempts", r.MaxAttempts, 1)
		v.least(s, "retry.initial_interval_ms", r.InitialIntervalMS, 0)
		v.least(s, "retry.max_interval_ms", r.MaxIntervalMS, 0)
		if c := r.BackoffCoefficient; c != 0 && !(c >= 1) {
			v.add(CodeOutOfRange, s.Name, "retry.backoff_coefficient must be at least 1")
		}
	}
}

// given is what a count is that was given as zero; see reader.count.
func given(n int64) int64 {
	if n == -1<<62 {
		return 0
	}
	return n
}

func (v *validator) least(s *Step, what string, n, least int64) {
	if n == 0 { // its default
		return
	}
	switch n = given(n); {
	case n < 0:
		v.add(CodeNegative, s.Name, "%s is negative", what)
	case n < least:
		v.add(CodeOutOfRange, s.Name, "%s must be at least %d", what, least)
	}
}

func (v *validator) positive(s *Step, what string, n *int64) {
	switch {
	case n == nil:
	case *n < 0:
		v.add(CodeNegative, s.Name, "%s is negative", what)
	case *n == 0:
		v.add(CodeOutOfRange, s.Name, "%s must be at least 1; leave it out for no limit", what)
	}
}

func (v *validator) notNegative(s *Step, what string, n *int64) {
	if n != nil && *n < 0 {
		v.add(CodeNegative, s.Name, "%s is negative", what)
	}
}

func (v *validator) signal(i int, s *Step) {
	g := s.Signal
	if g == nil || g.Name == "" {
		v.add(CodeSignalMissing, s.Name, "a wait_signal step needs a signal name")
	} else if err := validName(g.Name); err != nil {
		v.add(CodeNameInvalid, s.Name, "signal name %v", err)
	}
	if g == nil {
		return
	}
	v.notNegative(s, "signal.timeout_ms", g.TimeoutMS)
	if g.OnTimeout == "" {
		return
	}
	if g.TimeoutMS == nil {
		v.add(CodeOnTimeoutAlone, s.Name, "on_timeout %q stands on a wait without timeout_ms: it could never start", g.OnTimeout)
	}
	if _, known := v.at[g.OnTimeout]; !known {
		v.add(CodeOnTimeout, s.Name, "on_timeout %q names no step of this workflow", g.OnTimeout)
	} else if g.OnTimeout == s.Name {
		v.add(CodeOnTimeoutSelf, s.Name, "on_timeout names the wait itself")
	}
}

func (v *validator) timer(s *Step) {
	t := s.Timer
	if t == nil || t.Key == "" {
		v.add(CodeTimerKeyMissing, s.Name, "a wait_timer step needs a timer key")
	} else if err := validName(t.Key); err != nil {
		v.add(CodeNameInvalid, s.Name, "timer key %v", err)
	} else if other, taken := v.keys[t.Key]; taken {
		v.add(CodeTimerKeyTwice, s.Name, "timer key %q is taken by step %q", t.Key, other)
	} else {
		v.keys[t.Key] = s.Name
	}
	if t == nil {
		return
	}
	switch {
	case t.DelayMS == nil && t.Cron == "":
		v.add(CodeTimerNeither, s.Name, "a timer needs delay_ms or cron_expr")
	case t.DelayMS != nil && t.Cron != "":
		v.add(CodeTimerBoth, s.Name, "a timer has delay_ms or cron_expr, not both")
	}
	v.notNegative(s, "timer.delay_ms", t.DelayMS)
	v.notNegative(s, "timer.max_retries", t.MaxRetries)
	if t.TimeZone != "" {
		if _, err := cron.Zone(t.TimeZone); err != nil {
			v.add(CodeZoneInvalid, s.Name, "%v", err)
			return
		}
		if t.Cron == "" {
			v.add(CodeZoneInvalid, s.Name, "time_zone %q stands on a timer without cron_expr", t.TimeZone)
		}
	}
	if t.Cron != "" {
		if _, err := cron.Parse(t.Cron, t.TimeZone); err != nil {
			v.add(CodeCronInvalid, s.Name, "%v", err)
		}
	}
}

// cycles looks at dependencies and on_timeout edges together: an on_timeout may name an earlier step, and then what follows
// from that step must not lead back to the wait. A step that on_timeout names and that depends, over another step, on the
// wait could never start.
func (v *validator) cycles() {
	n := len(v.d.Steps)
	next := make([][]int32, n) // dependents
	var waits []int
	for i := range v.d.Steps {
		for _, dep := range v.d.Steps[i].Dependencies {
			if at, ok := v.at[dep]; ok && at < i {
				next[at] = append(next[at], int32(i))
			}
		}
		if g := v.d.Steps[i].Signal; g != nil && g.OnTimeout != "" && v.d.Steps[i].Type == TypeWaitSignal {
			waits = append(waits, i)
		}
	}
	back := false
	for _, w := range waits {
		e, ok := v.at[v.d.Steps[w].Signal.OnTimeout]
		if !ok || e == w {
			continue
		}
		if e > w {
			v.deadOnTimeout(next, w, e)
		}
		back = back || e < w
	}
	if back { // without an edge backwards the order of the definition is the proof
		v.findCycle(next, waits)
	}
}

// deadOnTimeout says whether e depends on a step, other than w itself, that depends on w.
func (v *validator) deadOnTimeout(next [][]int32, w, e int) {
	if deps := v.d.Steps[e].Dependencies; len(deps) == 0 || len(deps) == 1 && deps[0] == v.d.Steps[w].Name {
		return
	}
	between := map[int32]bool{int32(w): true}
	for i := w + 1; i <= e; i++ {
		for _, dep := range v.d.Steps[i].Dependencies {
			at, ok := v.at[dep]
			if !ok || !between[int32(at)] || i == e && at == w {
				continue
			}
			if i == e {
				v.add(CodeOnTimeoutDead, v.d.Steps[e].Name, "the step is named by on_timeout of %q and depends on %q, which depends on that wait: it could never start", v.d.Steps[w].Name, dep)
				return
			}
			between[int32(i)] = true
		}
	}
}

func (v *validator) findCycle(next [][]int32, waits []int) {
	n := len(next)
	into := make([]int, n)
	jump := make([]int32, n)
	for i := range jump {
		jump[i] = -1
	}
	for i := range next {
		for _, to := range next[i] {
			into[to]++
		}
	}
	for _, w := range waits {
		if e, ok := v.at[v.d.Steps[w].Signal.OnTimeout]; ok && e != w {
			jump[w] = int32(e)
			into[e]++
		}
	}
	var free []int32
	for i := range into {
		if into[i] == 0 {
			free = append(free, int32(i))
		}
	}
	left := n
	for len(free) > 0 {
		i := free[len(free)-1]
		free = free[:len(free)-1]
		left--
		follow := next[i]
		if jump[i] >= 0 {
			follow = append(follow[:len(follow):len(follow)], jump[i])
		}
		for _, to := range follow {
			if into[to]--; into[to] == 0 {
				free = append(free, to)
			}
		}
	}
	if left == 0 {
		return
	}
	for _, w := range waits { // name a wait on the cycle, not one behind it
		if into[w] > 0 && jump[w] >= 0 && into[jump[w]] > 0 && reaches(next, jump, jump[w], int32(w)) {
			v.add(CodeCycle, v.d.Steps[w].Name, "on_timeout %q leads back to this wait: dependencies and on_timeout form a cycle", v.d.Steps[w].Signal.OnTimeout)
			return
		}
	}
}

func reaches(next [][]int32, jump []int32, from, to int32) bool {
	seen := map[int32]bool{from: true}
	queue := []int32{from}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		if i == to {
			return true
		}
		follow := next[i]
		if jump[i] >= 0 {
			follow = append(follow[:len(follow):len(follow)], jump[i])
		}
		for _, n := range follow {
			if !seen[n] {
				seen[n] = true
				queue = append(queue, n)
			}
		}
	}
	return false
}
