package flow

import (
	"math"
	"slices"

	"github.com/agnt5/agnt5d/internal/cron"
)

const (
	// MaxInput is the largest input_data of a step, in bytes of its canonical form.
	MaxInput = 1 << 20
	// MaxMS is the largest number of milliseconds: 292 years, what a time.Duration holds.
	MaxMS = math.MaxInt64 / 1_000_000

	wantType = "want task, wait_signal or wait_timer"
)

// Validate reports everything that is wrong with a definition; nothing when NewGraph takes it.
func Validate(d *Definition) Problems {
	v := newValidator(d)
	v.check()
	return v.problems()
}

// Warnings reports what can be run and is hardly meant.
func Warnings(d *Definition) Problems {
	var f findings
	for i := range d.Steps {
		if g := d.Steps[i].Signal; g != nil && g.TimeoutMS != nil && *g.TimeoutMS == 0 && g.OnTimeout == "" {
			f.step(i, d.Steps[i].Name, CodeTimeoutZero, "timeout_ms is 0 and there is no on_timeout: unless the signal is there already the run fails at once, and a retry cannot save it")
		}
	}
	return f.problems()
}

type validator struct {
	findings
	d     *Definition
	flaws map[int]flaw   // what could not be read
	index map[string]int // of the first step of that name
	keys  map[string]string
	body  []byte // canonical form, when there are no problems
	graph *Graph // when there are none
}

func newValidator(d *Definition) *validator {
	return &validator{d: d, index: make(map[string]int, len(d.Steps)), keys: map[string]string{}}
}

// check looks at everything. What it works out on the way is there when it finds nothing.
func (v *validator) check() {
	switch n := len(v.d.Steps); {
	case n == 0 && v.flaws[-1] == 0:
		v.whole(CodeNoSteps, "at least one step must be defined")
	case n > MaxSteps:
		v.whole(CodeTooLarge, "%d steps, the limit is %d", n, MaxSteps)
		return
	}
	for i := range v.d.Steps {
		name := v.d.Steps[i].Name
		if name == "" {
			continue
		}
		if first, taken := v.index[name]; taken {
			v.add(i, CodeNameDuplicate, "step %d has the name of step %d; step names must be unique", i+1, first+1)
			continue
		}
		v.index[name] = i
	}
	for i := range v.d.Steps {
		v.step(i, &v.d.Steps[i])
	}
	v.order()
	if len(v.list) > 0 {
		return
	}
	body, err := Canonical(v.d)
	if err != nil {
		v.whole(CodeInputInvalid, "%v", err)
	} else if len(body) > MaxBytes {
		v.whole(CodeTooLarge, "the definition is %d bytes in canonical form, the limit is %d", len(body), MaxBytes)
	} else if g := newGraph(v.d, v.index); !g.findJoins() {
		v.whole(CodeTooTangled, "%d waits have an on_timeout, and the branches meet in more than %d places: use several workflows, or joins that are nearer to their waits", g.escalations(), maxJoined)
	} else {
		v.body, v.graph = body, g
	}
}

func (v *validator) add(i int, code, format string, args ...any) {
	v.findings.step(i, v.d.Steps[i].Name, code, format, args...)
}

// missing reports what is missing, unless it is there and could not be read.
func (v *validator) missing(i int, code, format string, args ...any) {
	if v.flaws[i] == 0 {
		v.add(i, code, format, args...)
	}
}

func (v *validator) step(i int, s *Step) {
	if s.Name == "" {
		v.missing(i, CodeNameInvalid, "the name is empty; %s", wantName)
	} else {
		v.name(i, "the name", s.Name)
	}
	v.dependencies(i, s)
	if v.flaws[i] == itsType {
		return
	}
	task, signal, timer := false, false, false
	switch s.Type {
	case TypeTask, "":
		task = true
		v.task(i, s)
	case TypeWaitSignal:
		signal = true
		v.signal(i, s)
	case TypeWaitTimer:
		timer = true
		v.timer(i, s)
	default:
		v.add(i, CodeTypeUnknown, "type %s is unknown; %s", quote(string(s.Type)), wantType)
		return
	}
	for _, f := range []struct {
		key       string
		there, ok bool
	}{
		{"service_name", s.Service != "", task},
		{"handler_name", s.Handler != "", task},
		{"object_keys", len(s.ObjectKeys) > 0, task},
		{"input_data", s.InputData != nil, task},
		{"timeout_ms", s.TimeoutMS != nil, task},
		{"heartbeat_timeout_ms", s.HeartbeatTimeoutMS != nil, task},
		{"retry", s.Retry != nil, task},
		{"signal", s.Signal != nil, signal},
		{"timer", s.Timer != nil, timer},
	} {
		if f.there && !f.ok {
			v.add(i, CodeMisplacedKey, "%s does not belong to a %s step", f.key, typeOf(s))
		}
	}
}

func typeOf(s *Step) StepType {
	if s.Type == "" {
		return TypeTask
	}
	return s.Type
}

func (v *validator) name(i int, what, name string) {
	if err := ValidName(name); err != nil {
		v.add(i, CodeNameInvalid, "%s %v", what, err)
	}
}

func (v *validator) dependencies(i int, s *Step) {
	seen := firstTime(s.Dependencies)
	for n, dep := range s.Dependencies {
		at, known := v.index[dep]
		switch {
		case !seen(n):
			v.add(i, CodeDepRepeated, "dependency %s stands twice", quote(dep))
		case dep == s.Name && dep != "":
			v.add(i, CodeDepSelf, "the step depends on itself")
		case !known:
			v.add(i, CodeDepUnknown, "dependency %s names no step of this workflow", quote(dep))
		case at > i:
			v.add(i, CodeDepLater, "dependency %s is defined later; a step must stand after what it depends on", quote(dep))
		}
	}
}

// firstTime says of the n-th of a list, asked in order, whether it did not stand before.
func firstTime(list []string) func(n int) bool {
	if len(list) <= 12 {
		return func(n int) bool { return !slices.Contains(list[:n], list[n]) }
	}
	seen := make(map[string]bool, len(list))
	return func(n int) bool {
		before := seen[list[n]]
		seen[list[n]] = true
		return !before
	}
}

func (v *validator) task(i int, s *Step) {
	if s.Service == "" {
		v.missing(i, CodeServiceMissing, "a task needs a service_name")
	} else {
		v.name(i, "service_name", s.Service)
	}
	if s.Handler == "" {
		v.missing(i, CodeHandlerMissing, "a task needs a handler_name")
	} else {
		v.name(i, "handler_name", s.Handler)
	}
	seen := firstTime(s.ObjectKeys)
	for n, key := range s.ObjectKeys {
		if !seen(n) {
			v.add(i, CodeObjectKeyTwice, "object key %s stands twice", quote(key))
		} else if err := ValidObjectKey(key); err != nil {
			v.add(i, CodeObjectKey, "%v", err)
		}
	}
	v.input(i, s)
	v.limit(i, "timeout_ms", s.TimeoutMS)
	v.limit(i, "heartbeat_timeout_ms", s.HeartbeatTimeoutMS)
	if s.Retry != nil {
		v.retry(i, s.Retry)
	}
}

func (v *validator) input(i int, s *Step) {
	if len(s.InputData) > 0 && s.InputData[0] == '!' { // see Input
		v.add(i, CodeInputInvalid, "input_data cannot be written as JSON: %s", cut(string(s.InputData[1:]), 256))
		return
	}
	in, err := s.input()
	if err != nil {
		v.add(i, CodeInputInvalid, "input_data %v", err)
		return
	}
	if len(s.InputData) > MaxInput/6 { // the canonical form is at most six times as long
		if n := len(in.appendCanonical(nil)); n > MaxInput {
			v.add(i, CodeInputInvalid, "input_data is %d bytes in canonical form, the limit is %d", n, MaxInput)
		}
	}
}

func (v *validator) retry(i int, r *Retry) {
	v.count(i, "retry.max_attempts", &r.MaxAttempts, math.MaxInt64)
	v.count(i, "retry.initial_interval_ms", &r.InitialIntervalMS, MaxMS)
	v.count(i, "retry.max_interval_ms", &r.MaxIntervalMS, MaxMS)
	if r.zeros&zeroAttempts != 0 && r.MaxAttempts == 0 {
		v.add(i, CodeOutOfRange, "retry.max_attempts is 0; it must be at least 1")
	}
	switch c := r.BackoffCoefficient; {
	case c == 0 && r.zeros&zeroCoefficient == 0:
	case c < 0:
		v.add(i, CodeNegative, "retry.backoff_coefficient is negative")
	case !(c >= 1) || math.IsInf(c, 0):
		v.add(i, CodeOutOfRange, "retry.backoff_coefficient is %v; it must be a number and at least 1", c)
	}
}

// count checks a number that may be absent or 0.
func (v *validator) count(i int, what string, n *int64, most int64) {
	switch {
	case n == nil:
	case *n < 0:
		v.add(i, CodeNegative, "%s is negative", what)
	case *n > most:
		v.add(i, CodeOutOfRange, "%s is %d; it must be at most %d", what, *n, most)
	}
}

// limit checks a time limit: 0 would be none at all.
func (v *validator) limit(i int, what string, n *int64) {
	if n != nil && *n == 0 {
		v.add(i, CodeOutOfRange, "%s is 0; it must be at least 1, or left out for no limit", what)
		return
	}
	v.count(i, what, n, MaxMS)
}

func (v *validator) signal(i int, s *Step) {
	g := s.Signal
	if g == nil || g.Name == "" {
		v.missing(i, CodeSignalMissing, "a wait_signal step needs a signal name")
	} else {
		v.name(i, "signal.name", g.Name)
	}
	if g == nil {
		return
	}
	v.count(i, "signal.timeout_ms", g.TimeoutMS, MaxMS)
	if g.OnTimeout == "" {
		return
	}
	if g.TimeoutMS == nil {
		v.missing(i, CodeOnTimeoutAlone, "on_timeout %s stands on a wait without timeout_ms: it could never start", quote(g.OnTimeout))
	}
	if _, known := v.index[g.OnTimeout]; !known {
		v.add(i, CodeOnTimeout, "on_timeout %s names no step of this workflow", quote(g.OnTimeout))
	} else if g.OnTimeout == s.Name {
		v.add(i, CodeOnTimeoutSelf, "on_timeout names the wait itself")
	}
}

func (v *validator) timer(i int, s *Step) {
	t := s.Timer
	if t == nil || t.Key == "" {
		v.missing(i, CodeTimerKeyMissing, "a wait_timer step needs a timer key")
	} else {
		v.name(i, "timer.key", t.Key)
		if other, taken := v.keys[t.Key]; taken {
			v.add(i, CodeTimerKeyTwice, "timer key %s is that of step %s", quote(t.Key), quote(other))
		} else {
			v.keys[t.Key] = s.Name
		}
	}
	if t == nil {
		v.missing(i, CodeTimerNeither, "a timer needs delay_ms or cron_expr")
		return
	}
	switch {
	case t.DelayMS == nil && t.Cron == "":
		v.missing(i, CodeTimerNeither, "a timer needs delay_ms or cron_expr")
	case t.DelayMS != nil && t.Cron != "":
		v.add(i, CodeTimerBoth, "a timer has delay_ms or cron_expr, not both")
	}
	v.count(i, "timer.delay_ms", t.DelayMS, MaxMS)
	v.count(i, "timer.max_retries", t.MaxRetries, math.MaxInt64)
	zone := t.TimeZone
	if _, err := cron.Zone(zone); err != nil {
		v.add(i, CodeZoneInvalid, "%v", err)
		zone = ""
	} else if zone != "" && t.Cron == "" {
		v.missing(i, CodeZoneInvalid, "time_zone %s stands on a timer without cron_expr", quote(zone))
	}
	if t.Cron != "" {
		if _, err := cron.Parse(t.Cron, zone); err != nil {
			v.add(i, CodeCronInvalid, "%v", err)
		}
	}
}
