package flow

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a definition.
type Problem struct {
	Code   string `json:"code"`           // stable
	Step   string `json:"step,omitempty"` // "" when it is about the whole
	Detail string `json:"detail"`         // one sentence
}

// Problems is everything that is wrong with a definition. As an error it shows all of them.
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

func (p *Problems) add(code, step, format string, args ...any) {
	*p = append(*p, Problem{code, step, fmt.Sprintf(format, args...)})
}

// Codes of problems. They are part of the API: Python raises and HTTP answers the same ones.
const (
	CodeInvalidJSON     = "invalid_json"         // not JSON or YAML, a key twice, nested too deep, not UTF-8
	CodeTooLarge        = "definition_too_large" // over 8 MiB or 100,000 steps
	CodeUnknownKey      = "unknown_key"          // a key that nobody knows
	CodeMisplacedKey    = "misplaced_key"        // a key that does not belong to the step's type
	CodeWrongType       = "wrong_type"           // a value of another JSON type than wanted
	CodeNoSteps         = "no_steps"             // at least one step must be defined
	CodeNameInvalid     = "name_invalid"         // empty or malformed name
	CodeNameDuplicate   = "name_duplicate"       // step names must be unique
	CodeDepUnknown      = "dependency_unknown"   // names no step
	CodeDepLater        = "dependency_later"     // names a later step
	CodeDepSelf         = "dependency_self"      // names the step itself
	CodeDepRepeated     = "dependency_repeated"  // stands twice
	CodeServiceMissing  = "service_missing"      // a task without a service
	CodeHandlerMissing  = "handler_missing"      // a task without a handler
	CodeSignalMissing   = "signal_missing"       // a wait_signal without a signal name
	CodeTimerKeyMissing = "timer_key_missing"    // a wait_timer without a key
	CodeTimerNeither    = "timer_without_time"   // neither delay_ms nor cron_expr
	CodeTimerBoth       = "timer_with_two_times" // both
	CodeTimerKeyTwice   = "timer_key_duplicate"  // two timers with one key
	CodeCronInvalid     = "cron_invalid"         // cannot be read, or never fires
	CodeZoneInvalid     = "time_zone_invalid"    // no such zone, or without a cron_expr
	CodeNegative        = "number_negative"      // a negative number
	CodeOutOfRange      = "number_out_of_range"  // a number that is too small
	CodeTypeUnknown     = "type_unknown"         // no such step type
	CodeObjectKey       = "object_key_invalid"   // empty, too long or unprintable
	CodeObjectKeyTwice  = "object_key_repeated"  // stands twice
	CodeOnTimeout       = "on_timeout_unknown"   // names no step
	CodeOnTimeoutAlone  = "on_timeout_without"   // stands on a wait without timeout_ms
	CodeOnTimeoutSelf   = "on_timeout_self"      // names the wait itself
	CodeOnTimeoutDead   = "on_timeout_dead"      // the named step depends on a step that depends on the wait
	CodeCycle           = "cycle"                // dependencies and on_timeout edges form a cycle
	CodeInputInvalid    = "input_data_invalid"   // input_data is not JSON, too large or nested too deep
	CodeTimeoutZero     = "timeout_zero"         // a warning: times out at once, and no retry can save it
)
