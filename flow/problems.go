package flow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a definition.
type Problem struct {
	Code   string `json:"code"`           // stable; one of Codes
	Step   string `json:"step,omitempty"` // "" when it is about the whole, or the step has no name
	Detail string `json:"detail"`         // one sentence
	// Line and Column say where in the text it is, from 1; a column counts characters. 0: there is no text, or no one place.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
}

// Problems is everything that is wrong with a definition, in the order of its steps. As an error it shows all of it.
type Problems []Problem

func (p Problems) Error() string {
	var b strings.Builder
	for i, x := range p {
		if i > 0 {
			b.WriteString("; ")
		}
		if x.Step != "" {
			fmt.Fprintf(&b, "step %q: ", x.Step)
		}
		fmt.Fprintf(&b, "%s (%s)", x.Detail, x.Code)
	}
	return b.String()
}

// Codes of problems. They are part of the API: HTTP answers and Python raises the same ones. What each means stands in Codes.
const (
	CodeInvalidJSON     = "invalid_json"
	CodeTooLarge        = "definition_too_large"
	CodeTooTangled      = "definition_too_tangled"
	CodeMoreProblems    = "more_problems"
	CodeUnknownKey      = "unknown_key"
	CodeMisplacedKey    = "misplaced_key"
	CodeKeyDuplicate    = "key_duplicate"
	CodeWrongType       = "wrong_type"
	CodeNoSteps         = "no_steps"
	CodeNameInvalid     = "name_invalid"
	CodeNameDuplicate   = "name_duplicate"
	CodeTypeUnknown     = "type_unknown"
	CodeDepUnknown      = "dependency_unknown"
	CodeDepLater        = "dependency_later"
	CodeDepSelf         = "dependency_self"
	CodeDepRepeated     = "dependency_repeated"
	CodeServiceMissing  = "service_missing"
	CodeHandlerMissing  = "handler_missing"
	CodeWorkflowMissing = "workflow_missing"
	CodeOnParentEnd     = "on_parent_end_unknown"
	CodeObjectKey       = "object_key_invalid"
	CodeObjectKeyTwice  = "object_key_repeated"
	CodeInputInvalid    = "input_data_invalid"
	CodeSignalMissing   = "signal_missing"
	CodeOnTimeout       = "on_timeout_unknown"
	CodeOnTimeoutAlone  = "on_timeout_without"
	CodeOnTimeoutSelf   = "on_timeout_self"
	CodeOnTimeoutDead   = "on_timeout_dead"
	CodeCycle           = "cycle"
	CodeTimerKeyMissing = "timer_key_missing"
	CodeTimerKeyTwice   = "timer_key_duplicate"
	CodeTimerNeither    = "timer_without_time"
	CodeTimerBoth       = "timer_with_two_times"
	CodeCronInvalid     = "cron_invalid"
	CodeZoneInvalid     = "time_zone_invalid"
	CodeDurationInvalid = "duration_invalid"
	CodeDurationTwice   = "duration_twice"
	CodeNegative        = "number_negative"
	CodeOutOfRange      = "number_out_of_range"
	CodeJoinUnknown     = "join_unknown"
	CodeTemplate        = "template_invalid"
	CodeForEachMissing  = "for_each_missing"
	CodeRepeatOpen      = "repeat_open"
	CodeOnFailure       = "on_failure_unknown"
	CodeOnFailureSelf   = "on_failure_self"
	CodeOnFailureDead   = "on_failure_dead"
	CodeFinallyStep     = "finally_step"
	CodeExpression      = "expression_invalid"
	CodeNotSupported    = "not_supported"

	// Codes of Warnings.
	CodeTimeoutZero     = "timeout_zero"
	CodeJoinAll         = "join_all_of_conditions"
	CodeOnFailureShared = "on_failure_shared"
	CodeManyOutputs     = "many_outputs"
)

// Codes says what each code means, in the order in which a definition is looked at.
var Codes = []struct{ Code, Means string }{
	{CodeInvalidJSON, "the text is not JSON or YAML, not UTF-8, nested too deep, or says what JSON cannot say"},
	{CodeTooLarge, "over 32 MiB, as it was given or in canonical form, over 8 MiB of YAML, over 100,000 steps, or `max_items` of over two billion in all"},
	{CodeTooTangled, "so many waits with on_timeout meet in so many joins that working them out would take too much memory"},
	{CodeMoreProblems, "there are more problems than are listed"},
	{CodeUnknownKey, "an unknown key"},
	{CodeMisplacedKey, "a key that does not belong to the step's type"},
	{CodeKeyDuplicate, "a key that appears twice in one object"},
	{CodeWrongType, "a value of another JSON type than wanted"},
	{CodeNoSteps, "at least one step must be defined"},
	{CodeNameInvalid, "an empty or malformed name"},
	{CodeNameDuplicate, "step names must be unique"},
	{CodeTypeUnknown, "no such step type"},
	{CodeDepUnknown, "a dependency that names no step"},
	{CodeDepLater, "a dependency that names a later step"},
	{CodeDepSelf, "a step that depends on itself"},
	{CodeDepRepeated, "a dependency that appears twice"},
	{CodeServiceMissing, "a task without a service"},
	{CodeHandlerMissing, "a task without a handler"},
	{CodeWorkflowMissing, "a workflow step without a workflow_name"},
	{CodeOnParentEnd, "no such on_parent_end: want `cancel` or `abandon`"},
	{CodeObjectKey, "an object key that is empty, longer than 256 bytes or not printable"},
	{CodeObjectKeyTwice, "an object key that appears twice"},
	{CodeInputInvalid, "input_data that is not JSON, over 1 MiB or nested too deep"},
	{CodeSignalMissing, "a wait_signal step without a signal name"},
	{CodeOnTimeout, "on_timeout names no step"},
	{CodeOnTimeoutAlone, "on_timeout on a wait without timeout_ms"},
	{CodeOnTimeoutSelf, "on_timeout names the wait itself"},
	{CodeOnTimeoutDead, "the step that on_timeout names depends on a step that depends on the wait: it could never start"},
	{CodeCycle, "steps that wait for each other, by dependencies or because an on_timeout or on_failure names one of them: none could ever start"},
	{CodeTimerKeyMissing, "a wait_timer step without a key"},
	{CodeTimerKeyTwice, "two timers with one key"},
	{CodeTimerNeither, "a timer with neither delay_ms nor cron_expr"},
	{CodeTimerBoth, "a timer with both delay_ms and cron_expr"},
	{CodeCronInvalid, "a cron text that cannot be read or never fires"},
	{CodeZoneInvalid, "no such time zone, or a time_zone without a cron_expr"},
	{CodeDurationInvalid, "a duration as text that cannot be read"},
	{CodeDurationTwice, "a duration that is given both as text and in milliseconds"},
	{CodeNegative, "a negative number"},
	{CodeOutOfRange, "a number that is too small or too large"},
	{CodeJoinUnknown, "no such join: want `all`, `any` or `settled`"},
	{CodeTemplate, "`input`, `output` or `for_each` that is not JSON, over 1 MiB or nested too deep"},
	{CodeForEachMissing, "`max_items`, `max_parallel` or `tolerate` on a step without `for_each`"},
	{CodeRepeatOpen, "a `repeat` without `until` or without `max_rounds`"},
	{CodeOnFailure, "on_failure names no step"},
	{CodeOnFailureSelf, "on_failure names the step itself"},
	{CodeOnFailureDead, "the step that on_failure names depends on a step that depends on the one that may fail: it could never start"},
	{CodeFinallyStep, "a wait for a signal, a timer with a cron_expr or a step with compensate in finally"},
	{CodeExpression, "an expression that cannot be read, gives what is not wanted, or names what is not known or a step that is not before its own"},
	{CodeNotSupported, "a part of the language that this release can read and cannot run"},
	{CodeTimeoutZero, "a warning: timeout_ms 0 without on_timeout fails the run at once, and a retry cannot save it"},
	{CodeJoinAll, "a warning: a join of `all` needs two steps of which each may be skipped by a condition"},
	{CodeOnFailureShared, "a warning: several on_failure name a step that does not wait for all of those steps"},
	{CodeManyOutputs, "a warning: the outputs of over 1,000 steps join in a step or in the output of the run"},
}

// maxProblems bounds the list: who has made ten thousand mistakes will find the rest at the next try.
const maxProblems = 10_000

// findings are problems with the index of their step, -1 for the whole.
type findings struct {
	source source // nil: there is no text
	list   []finding
	more   int
	main   int // how many steps are not of finally; 0: none is
}

type finding struct {
	at    int
	place int32 // in the source; 0: nowhere
	Problem
}

// whole adds a problem that no single step has.
func (f *findings) whole(place int32, code, format string, args ...any) {
	if f.room() {
		f.list = append(f.list, finding{-1, place, Problem{Code: code, Detail: fmt.Sprintf(format, args...)}})
	}
}

// step adds a problem of the step at that index.
func (f *findings) step(at int, place int32, name, code, format string, args ...any) {
	if !f.room() {
		return
	}
	detail := fmt.Sprintf(format, args...)
	if name == "" {
		detail = fmt.Sprintf("%s: %s", f.ordinal(at), detail)
	}
	f.list = append(f.list, finding{at, place, Problem{Code: code, Step: cut(name, maxName), Detail: detail}})
}

// ordinal says which step that is, by its place.
func (f *findings) ordinal(at int) string {
	if f.main > 0 && at >= f.main {
		return fmt.Sprintf("step %d of finally", at-f.main+1)
	}
	return fmt.Sprintf("step %d", at+1)
}

// room says whether one more problem is listed, and counts it when it is not.
func (f *findings) room() bool {
	if len(f.list) >= maxProblems {
		f.more++
		return false
	}
	return true
}

// problems gives them in the order of the steps, those of one step in the order of the text.
func (f *findings) problems() Problems {
	if len(f.list) == 0 {
		return nil
	}
	f.locate()
	slices.SortStableFunc(f.list, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	p := make(Problems, 0, len(f.list)+1)
	for _, x := range f.list {
		p = append(p, x.Problem)
	}
	if f.more > 0 {
		p = append(p, Problem{Code: CodeMoreProblems, Detail: fmt.Sprintf("%d more problems are not listed", f.more)})
	}
	return p
}

// locate says of each where in the text it is.
func (f *findings) locate() {
	if f.source == nil {
		return
	}
	at := make([]int32, len(f.list))
	for i := range f.list {
		at[i] = f.list[i].place
	}
	for i, p := range f.source.places(at) {
		f.list[i].Line, f.list[i].Column = p.line, p.column
	}
}
