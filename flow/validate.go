package flow

import (
	"encoding/json"
	"errors"
	"math"
	"slices"

	"github.com/agnt5/agnt5d/internal/cron"
	"github.com/agnt5/agnt5d/internal/expression"
)

const (
	// MaxInput is the largest input_data of a step, in bytes of its canonical form.
	MaxInput = 1 << 20
	// MaxMS is the largest number of milliseconds: 292 years, what a time.Duration holds.
	MaxMS = math.MaxInt64 / 1_000_000

	wantType = "want task, wait_signal, wait_timer or workflow"
)

// Validate reports everything that is wrong with a definition; nothing when NewGraph takes it.
func Validate(d *Definition) Problems {
	v := newValidator(d)
	v.check()
	return v.problems()
}

// WorkflowName reports what is wrong with the name of a workflow, as a problem beside those of its definition.
func WorkflowName(name string) Problems {
	if err := ValidName(name); err != nil {
		return Problems{{Code: CodeNameInvalid, Detail: "workflow name: " + err.Error()}}
	}
	return nil
}

// Warnings reports what can be run and is hardly meant.
func Warnings(d *Definition) Problems {
	v := newValidator(d)
	v.warn()
	return v.problems()
}

type validator struct {
	findings
	d         *Definition
	steps     []Step         // of the definition, those of finally last
	old       bool           // it stands in a journal: . and .. were names once
	literal   bool           // it stands there since a release for which ${ in an object key was what it says
	root      *value         // what the definition was read from; nil: nothing
	flaws     map[int]flaw   // what could not be read
	index     map[string]int // of the first step of that name
	keys      map[string]string
	later     []edge   // dependencies on steps that stand later
	names     []string // of all steps, once a hint needs them
	suggested int      // hints given
	body      []byte   // canonical form, when there are no problems
	graph     *Graph   // when there are none
}

func newValidator(d *Definition) *validator {
	v := &validator{d: d, steps: d.All(), index: make(map[string]int, len(d.Steps)), keys: map[string]string{}}
	v.main = len(d.Steps)
	return v
}

// check looks at everything. What it works out on the way is there when it finds nothing.
func (v *validator) check() {
	switch n := len(v.steps); {
	case v.main == 0 && v.flaws[-1] == 0:
		v.whole(v.rootPlace(), CodeNoSteps, "at least one step must be defined")
	case n > MaxSteps:
		v.whole(0, CodeTooLarge, "%d steps, the limit is %d", n, MaxSteps)
		return
	}
	for i := range v.steps {
		name := v.steps[i].Name
		if name == "" {
			continue
		}
		if first, taken := v.index[name]; taken {
			v.add(i, v.place(i, "name"), CodeNameDuplicate, "%s has the name of %s; step names must be unique", v.ordinal(i), v.ordinal(first))
			continue
		}
		v.index[name] = i
	}
	checkKeys(v, whole, "", definitionKeys, v.d)
	v.notYetWhole()
	for i := range v.steps {
		v.step(i, &v.steps[i])
	}
	v.order()
	if len(v.list) > 0 {
		return
	}
	body, err := Canonical(v.d)
	if err != nil {
		v.whole(0, CodeInputInvalid, "%v", err)
	} else if len(body) > MaxBytes {
		v.whole(0, CodeTooLarge, "the definition is %d bytes in canonical form, the limit is %d", len(body), MaxBytes)
	} else if !hasRoom(v.steps) {
		v.whole(0, CodeTooLarge, "the steps with for_each may have more than %d items in all: give them smaller max_items", math.MaxInt32)
	} else if g := newGraph(v.d, v.index, v.literal); !g.findJoins() {
		v.whole(0, CodeTooTangled, "%d waits have an on_timeout, and the branches meet in more than %d places: use several workflows, or joins that are nearer to their waits", g.escalations(), maxJoined)
	} else {
		v.body, v.graph = body, g
	}
}

// whole stands for the definition itself where the index of a step is asked for.
const whole = -1

func (v *validator) add(i int, place int32, code, format string, args ...any) {
	if i == whole {
		v.whole(place, code, format, args...)
		return
	}
	v.findings.step(i, place, v.steps[i].Name, code, format, args...)
}

// missing reports what is missing, unless it is there and could not be read.
func (v *validator) missing(i int, path, code, format string, args ...any) {
	if v.flaws[i] == 0 {
		v.add(i, v.place(i, path), code, format, args...)
	}
}

func (v *validator) step(i int, s *Step) {
	if s.Name == "" {
		v.missing(i, "name", CodeNameInvalid, "the name is empty; %s", wantName)
	}
	v.dependencies(i, s)
	if v.flaws[i] == itsType {
		if s.Name != "" {
			v.name(i, "name", s.Name)
		}
		return
	}
	kind := typeOf(s)
	if !slices.Contains(stepTypes, kind) {
		if s.Name != "" {
			v.name(i, "name", s.Name)
		}
		v.add(i, v.place(i, "type"), CodeTypeUnknown, "type %s is unknown; %s%s", quote(string(kind)), wantType, likeType(string(kind)))
		return
	}
	for n := range stepKeys {
		k := &stepKeys[n]
		switch {
		case !k.given(s):
		case !k.belongs(kind):
			hint, _ := elsewhere(k.name, kind)
			v.add(i, v.keyPlace(i, k.name), CodeMisplacedKey, "%s does not belong to a %s step%s", v.written(i, k.name), kind, hint)
		case k.check != nil:
			k.check(v, i, k.name, s)
		}
	}
	v.onFailure(i, s)
	v.compensate(i, s)
	v.finally(i, s)
	v.forEach(i, s)
	v.repeat(i, s)
	v.notYet(i, s)
	switch kind {
	case TypeTask:
		v.task(i, s)
	case TypeWaitSignal:
		v.signal(i, s)
	case TypeWaitTimer:
		v.timer(i, s)
	case TypeWorkflow:
		v.child(i, s)
	}
}

func (v *validator) child(i int, s *Step) {
	if s.Workflow == "" {
		v.missing(i, "workflow_name", CodeWorkflowMissing, "a workflow step needs a workflow_name")
	}
	v.input(i, s)
}

func typeOf(s *Step) StepType {
	if s.Type == "" {
		return TypeTask
	}
	return s.Type
}

func (v *validator) name(i int, path, name string) {
	err := ValidName(name)
	if v.old {
		err = validText(name, maxName, nameMarks, wantName)
	}
	if err != nil {
		what := path
		if path == "name" {
			what = "the name"
		}
		v.add(i, v.place(i, path), CodeNameInvalid, "%s %v", what, err)
	}
}

func (v *validator) dependencies(i int, s *Step) {
	seen := firstTime(slices.Concat(s.Dependencies, s.After))
	for n, dep := range slices.Concat(s.Dependencies, s.After) {
		what := "dependency"
		if n >= len(s.Dependencies) {
			what = "after"
		}
		place := func() int32 { return v.dependencyPlace(i, n) }
		at, known := v.index[dep]
		switch again := !seen(n); {
		case again && what == "after" && slices.Contains(s.Dependencies, dep):
			v.add(i, place(), CodeDepRepeated, "%s stands in dependencies and in after", quote(dep))
		case again:
			v.add(i, place(), CodeDepRepeated, "%s %s appears twice", what, quote(dep))
		case dep == s.Name && dep != "":
			v.add(i, place(), CodeDepSelf, "the step depends on itself")
		case !known:
			v.add(i, place(), CodeDepUnknown, "%s %s names no step of this workflow%s", what, quote(dep), v.likeStep(i, dep))
		case !v.together(i, at):
			v.add(i, place(), CodeDepUnknown, "%s %s %s", what, quote(dep), v.apart(at))
		case at > i: // order says whether it is only that, or part of a cycle
			v.later = append(v.later, edge{i, at, n})
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
		v.missing(i, "service_name", CodeServiceMissing, "a task needs a service_name")
	}
	if s.Handler == "" {
		v.missing(i, "handler_name", CodeHandlerMissing, "a task needs a handler_name")
	}
	valid := ValidObjectKey
	if v.old {
		valid = recordedKey
	}
	seen := firstTime(s.ObjectKeys)
	for n, key := range s.ObjectKeys {
		if !seen(n) {
			v.add(i, v.itemPlace(i, "object_keys", n), CodeObjectKeyTwice, "object key %s appears twice", quote(key))
		} else if !v.literal && expression.HasTemplate(key) {
			continue // its expressions are looked at with all others
		} else if err := valid(key); err != nil {
			v.add(i, v.itemPlace(i, "object_keys", n), CodeObjectKey, "%v", err)
		}
	}
	v.input(i, s)
}

// kept checks JSON that is kept in canonical form.
func (v *validator) kept(i int, path string, k *keyInfo, b json.RawMessage) {
	in, err := keptJSON(b)
	switch {
	case err != nil:
		v.add(i, v.place(i, path), CodeTemplate, "%s %v", path, err)
	case in.kind != 'n' && !k.takes(in.kind):
		v.add(i, v.place(i, path), CodeWrongType, "%s must be %s, not %s", path, k.wants(), in.describe())
	case len(b) > MaxInput/6 && len(in.appendCanonical(nil)) > MaxInput:
		v.add(i, v.place(i, path), CodeTemplate, "%s is %d bytes in canonical form, the limit is %d", path, len(in.appendCanonical(nil)), MaxInput)
	}
}

// forEach finds what means nothing without for_each.
func (v *validator) forEach(i int, s *Step) {
	if s.ForEach != nil {
		return
	}
	for _, key := range []struct {
		name  string
		given bool
	}{{"max_items", s.MaxItems != nil}, {"max_parallel", s.MaxParallel != nil}, {"tolerate", s.Tolerate != nil}} {
		if key.given {
			v.missing(i, key.name, CodeForEachMissing, "%s stands on a step without for_each", key.name)
		}
	}
}

func (v *validator) onFailure(i int, s *Step) {
	if s.OnFailure == "" || s.Signal != nil {
		return
	}
	place := func() int32 { return v.place(i, "on_failure") }
	if _, known := v.index[s.OnFailure]; !known {
		v.add(i, place(), CodeOnFailure, "on_failure %s names no step of this workflow%s", quote(s.OnFailure), v.likeStep(i, s.OnFailure))
	} else if at := v.index[s.OnFailure]; !v.together(i, at) {
		v.add(i, place(), CodeOnFailure, "on_failure %s %s", quote(s.OnFailure), v.apart(at))
	} else if s.OnFailure == s.Name {
		v.add(i, place(), CodeOnFailureSelf, "on_failure names the step itself")
	}
}

// together says whether two steps are both of finally, or neither.
func (v *validator) together(i, other int) bool { return i >= v.main == (other >= v.main) }

// apart says why a step cannot lead to one that is not together with it.
func (v *validator) apart(at int) string {
	if at >= v.main {
		return "names a step of finally, and those come when all others are over"
	}
	return "names a step outside of finally: all of those are over by then, and expressions say what became of them"
}

func (v *validator) compensate(i int, s *Step) {
	if s.Compensate != nil && s.Compensate.Handler == "" {
		v.missing(i, "compensate.handler_name", CodeHandlerMissing, "compensate needs a handler_name")
	}
}

// finally looks for what the steps of finally cannot have.
func (v *validator) finally(i int, s *Step) {
	if i < v.main {
		return
	}
	if typeOf(s) == TypeWaitSignal {
		v.add(i, v.place(i, "type"), CodeFinallyStep, "a step of finally cannot wait for a signal: a run whose fate is decided takes none")
	}
	if s.Timer != nil && s.Timer.Cron != "" {
		v.add(i, v.place(i, "timer.cron_expr"), CodeFinallyStep, "a timer of finally has delay_ms: a cron_expr could hold the end of the run up for years")
	}
	if s.Compensate != nil {
		v.add(i, v.keyPlace(i, "compensate"), CodeFinallyStep, "nothing compensates a step of finally")
	}
}

func (v *validator) repeat(i int, s *Step) {
	switch {
	case s.Repeat == nil:
	case s.Repeat.Until == "":
		v.missing(i, "repeat.until", CodeRepeatOpen, "repeat needs until: an expression that is true when the last round was enough")
	case s.Repeat.MaxRounds == nil:
		v.missing(i, "repeat.max_rounds", CodeRepeatOpen, "repeat needs max_rounds: how many rounds there may be")
	}
}

func (v *validator) input(i int, s *Step) {
	if s.Err != nil {
		key := "input_data"
		if of, ok := errors.AsType[*keyError](s.Err); ok {
			key = of.key
		}
		v.add(i, v.place(i, key), CodeInputInvalid, "%s cannot be written as JSON: %s", key, cut(s.Err.Error(), 256))
		return
	}
	in, err := s.input()
	if err != nil {
		v.add(i, v.place(i, "input_data"), CodeInputInvalid, "input_data %v", err)
		return
	}
	if len(s.InputData) > MaxInput/6 { // the canonical form is at most six times as long
		if n := len(in.appendCanonical(nil)); n > MaxInput {
			v.add(i, v.place(i, "input_data"), CodeInputInvalid, "input_data is %d bytes in canonical form, the limit is %d", n, MaxInput)
		}
	}
}

func (v *validator) coefficient(i int, path string, c float64) {
	switch {
	case c < 0:
		v.add(i, v.place(i, path), CodeNegative, "%s is negative", path)
	case !(c >= 1) || math.IsInf(c, 0):
		v.add(i, v.place(i, path), CodeOutOfRange, "%s is %v; it must be a number and at least 1", path, c)
	}
}

// within checks a number against its limits.
func (v *validator) within(i int, path string, n int64, k *keyInfo) {
	if n >= k.least && n <= k.most {
		return
	}
	place, what := v.place(i, path), v.written(i, path)
	switch {
	case n < 0:
		v.add(i, place, CodeNegative, "%s is negative", what)
	case n < k.least && k.standard == "" && !k.required:
		v.add(i, place, CodeOutOfRange, "%s is %d; it must be at least %d, or left out for no limit", what, n, k.least)
	case n < k.least:
		v.add(i, place, CodeOutOfRange, "%s is %d; it must be at least %d", what, n, k.least)
	default:
		v.add(i, place, CodeOutOfRange, "%s is %d; it must be at most %d", what, n, k.most)
	}
}

func (v *validator) signal(i int, s *Step) {
	g := s.Signal
	if g == nil || g.Name == "" {
		v.missing(i, "signal.name", CodeSignalMissing, "a wait_signal step needs a signal name")
	}
	if g == nil || g.OnTimeout == "" {
		return
	}
	place := func() int32 { return v.place(i, "signal.on_timeout") }
	if g.TimeoutMS == nil {
		v.missing(i, "signal.on_timeout", CodeOnTimeoutAlone, "on_timeout %s stands on a wait without timeout_ms: it could never start", quote(g.OnTimeout))
	}
	if _, known := v.index[g.OnTimeout]; !known {
		v.add(i, place(), CodeOnTimeout, "on_timeout %s names no step of this workflow%s", quote(g.OnTimeout), v.likeStep(i, g.OnTimeout))
	} else if at := v.index[g.OnTimeout]; !v.together(i, at) {
		v.add(i, place(), CodeOnTimeout, "on_timeout %s %s", quote(g.OnTimeout), v.apart(at))
	} else if g.OnTimeout == s.Name {
		v.add(i, place(), CodeOnTimeoutSelf, "on_timeout names the wait itself")
	}
}

func (v *validator) timer(i int, s *Step) {
	t := s.Timer
	if t == nil || t.Key == "" {
		v.missing(i, "timer.key", CodeTimerKeyMissing, "a wait_timer step needs a timer key")
	} else if other, taken := v.keys[t.Key]; taken {
		v.add(i, v.place(i, "timer.key"), CodeTimerKeyTwice, "timer key %s is that of step %s", quote(t.Key), quote(other))
	} else {
		v.keys[t.Key] = s.Name
	}
	if t == nil {
		v.missing(i, "timer", CodeTimerNeither, "a timer needs delay_ms or cron_expr")
		return
	}
	switch {
	case t.DelayMS == nil && t.Cron == "":
		v.missing(i, "timer", CodeTimerNeither, "a timer needs delay_ms or cron_expr")
	case t.DelayMS != nil && t.Cron != "":
		v.add(i, v.place(i, "timer"), CodeTimerBoth, "a timer has delay_ms or cron_expr, not both")
	}
	zone := t.TimeZone
	if _, err := cron.Zone(zone); err != nil {
		v.add(i, v.place(i, "timer.time_zone"), CodeZoneInvalid, "%v", err)
		zone = ""
	} else if zone != "" && t.Cron == "" {
		v.missing(i, "timer.time_zone", CodeZoneInvalid, "time_zone %s stands on a timer without cron_expr", quote(zone))
	}
	if t.Cron != "" {
		if _, err := cron.Parse(t.Cron, zone); err != nil {
			v.add(i, v.place(i, "timer.cron_expr"), CodeCronInvalid, "%v", err)
		}
	}
}
