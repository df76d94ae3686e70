package flow

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/agnt5/agnt5d/internal/nearest"
)

// The keys of definitions. Reading, the canonical form, limits of numbers, hints, the JSON Schema, the tables in
// docs/definitions.md and what other implementations are held to are all made from these tables.

var (
	tasks  = []StepType{TypeTask}
	flows  = []StepType{TypeWorkflow}
	works  = []StepType{TypeTask, TypeWorkflow}
	sigs   = []StepType{TypeWaitSignal}
	timers = []StepType{TypeWaitTimer}
)

// stepTypes are the values of type, in the order in which messages name them.
var stepTypes = []StepType{TypeTask, TypeWaitSignal, TypeWaitTimer, TypeWorkflow}

var definitionKeys = []key[Definition]{
	{keyInfo: keyInfo{name: "steps", kind: kindList, required: true, limits: "1 to " + commas(MaxSteps), also: []string{"tasks", "jobs"},
		doc: "the steps; several that become ready together start in this order"},
		read: func(r *reader, v *value, into *Definition) { r.steps(v, into) },
		write: func(o *fields, from *Definition) error {
			steps, err := writeSteps(from.Steps)
			o.put("steps", steps)
			return err
		},
		given: func(from *Definition) bool { return len(from.Steps) > 0 }},
	{keyInfo: keyInfo{name: "finally", kind: kindList, limits: "tasks, children, and timers with `delay_ms`", also: []string{"on_exit", "cleanup", "ensure", "always", "handler_on"},
		doc: "steps that run when the fate of the run is decided, whatever it is ([concepts.md](concepts.md#finally))"},
		read: func(r *reader, v *value, into *Definition) { r.finally(v, into) },
		write: func(o *fields, from *Definition) error {
			if len(from.Finally) == 0 {
				return nil
			}
			steps, err := writeSteps(from.Finally)
			o.put("finally", steps)
			return err
		},
		given: func(from *Definition) bool { return len(from.Finally) > 0 }},
	textKey(keyInfo{name: "description", kind: kindText, also: []string{"comment", "summary"},
		doc: "what the workflow is for; for people"}, false, func(d *Definition) *string { return &d.Description }),
	numberKey(keyInfo{name: "timeout_ms", kind: kindMS, least: 1, most: MaxMS, also: []string{"run_timeout", "deadline"},
		doc: "bounds a run, from its start or its latest retry, pauses included; longer, and the run fails (`run_timeout`)"}, func(d *Definition) **int64 { return &d.TimeoutMS }),
	templateKey(keyInfo{name: "output", kind: kindTemplate, standard: "the outputs of the steps that nothing depends on, by name", limits: "1 MiB in canonical form, nested 64 deep", also: []string{"outputs", "result"},
		doc: "what the run gives: a template, worked out when the last step has settled"}, func(d *Definition) *json.RawMessage { return &d.Output }),
	objectKey(keyInfo{name: "retention", kind: kindObject, standard: "what the daemon keeps (`--retention-completed` and so on)", also: []string{"keep", "ttl", "history_limit"},
		doc: "how long runs are kept after their end"}, retentionKeys, func(d *Definition) **Retention { return &d.Retention }),
	schemaKey,
}

var retentionKeys = []key[Retention]{
	numberKey(keyInfo{name: "completed_ms", kind: kindMS, most: MaxMS, also: []string{"success", "succeeded"},
		doc: "those that completed; 0: for ever"}, func(r *Retention) **int64 { return &r.CompletedMS }),
	numberKey(keyInfo{name: "failed_ms", kind: kindMS, most: MaxMS, also: []string{"failure", "error"},
		doc: "those that failed; 0: for ever"}, func(r *Retention) **int64 { return &r.FailedMS }),
	numberKey(keyInfo{name: "cancelled_ms", kind: kindMS, most: MaxMS, also: []string{"canceled"},
		doc: "those that were cancelled; 0: for ever"}, func(r *Retention) **int64 { return &r.CancelledMS }),
}

// schemaKey names the JSON Schema of definitions, for editors. It says nothing about the workflow, and is not kept.
var schemaKey = key[Definition]{keyInfo: keyInfo{name: "$schema", kind: kindText, doc: "where the JSON Schema of definitions is, for editors; it is not part of the workflow"},
	read:  func(r *reader, v *value, _ *Definition) { var where string; r.text("$schema", v, &where) },
	write: func(*fields, *Definition) error { return nil },
	given: func(*Definition) bool { return false }}

var stepKeys = []key[Step]{
	textKey(keyInfo{name: "name", kind: kindName, required: true, limits: "a name, once in a workflow", also: []string{"id", "step"},
		doc: "names the step in dependencies, outputs, commands and history"}, true, func(s *Step) *string { return &s.Name }),
	typeKey,
	textsKey(keyInfo{name: "dependencies", kind: kindSteps, limits: "names of earlier steps, each once", also: []string{"depends_on", "depends", "needs", "requires"},
		doc: "what must be settled before the step starts: completed, or made good by a join"}, func(s *Step) *[]string { return &s.Dependencies }),
	textsKey(keyInfo{name: "after", kind: kindSteps, limits: "names of earlier steps, each once, none that is in `dependencies`", also: []string{"runs_after", "order"},
		doc: "dependencies for order alone: their outputs are not sent to the step"}, func(s *Step) *[]string { return &s.After }),
	joinKey,
	textKey(keyInfo{name: "when", kind: kindExpression, limits: "up to 8 KiB", also: []string{"if", "condition", "unless"},
		doc: "whether the step starts, asked once when all else lets it: `true` starts it, `false` skips it"}, false, func(s *Step) *string { return &s.When }),
	textKey(keyInfo{name: "description", kind: kindText, also: []string{"comment", "summary"},
		doc: "what the step is for; for people"}, false, func(s *Step) *string { return &s.Description }),
	textKey(keyInfo{name: "service_name", kind: kindName, steps: tasks, required: true, also: []string{"worker"},
		doc: "the service whose workers do the step"}, false, func(s *Step) *string { return &s.Service }),
	textKey(keyInfo{name: "handler_name", kind: kindName, steps: tasks, required: true, also: []string{"function", "function_name", "activity", "run"},
		doc: "the handler of that service"}, false, func(s *Step) *string { return &s.Handler }),
	textsKey(keyInfo{name: "object_keys", kind: kindObjects, steps: tasks, limits: "each 1 to 256 bytes of printable UTF-8, not `.` or `..` alone, each once", also: []string{"keys", "locks", "objects"},
		doc: "what the step touches: it starts when it holds all of them, and holds them until it settles"}, func(s *Step) *[]string { return &s.ObjectKeys }),
	inputKey,
	templateKey(keyInfo{name: "input", kind: kindTemplates, steps: works, limits: "1 MiB in canonical form, nested 64 deep", also: []string{"with", "templates"},
		doc: "values that are worked out when the step starts; its keys are looked at before all other places of a handler's parameters. Of a child, its input"}, func(s *Step) *json.RawMessage { return &s.Input }),
	objectKey(keyInfo{name: "compensate", kind: kindObject, steps: tasks, also: []string{"compensation", "undo", "rollback", "compensate_with"},
		doc: "what takes back what the step did, when its run fails or is cancelled"}, compensateKeys, func(s *Step) **Compensation { return &s.Compensate }),
	textKey(keyInfo{name: "on_failure", kind: kindStep, steps: works, standard: "none: the run fails", limits: "the name of another step, earlier or later", also: []string{"on_error", "catch", "fallback", "rescue"},
		doc: "the step that starts when this one has failed for good. It never starts otherwise"}, false, func(s *Step) *string { return &s.OnFailure }),
	templateKey(keyInfo{name: "for_each", kind: kindItems, steps: works, limits: "a list, or an expression up to 8 KiB", also: []string{"foreach", "with_items", "map", "loop", "items", "matrix"},
		doc: "the step runs once for each item of the list; its output is the list of theirs"}, func(s *Step) *json.RawMessage { return &s.ForEach }),
	numberKey(keyInfo{name: "max_items", kind: kindCount, steps: works, standard: "10000", least: 1, most: 100_000, also: []string{"limit"},
		doc: "how many items there may be; more, and the step fails (`too_many_items`). Only with `for_each`"}, func(s *Step) **int64 { return &s.MaxItems }),
	numberKey(keyInfo{name: "max_parallel", kind: kindCount, steps: works, standard: "1000", least: 1, most: math.MaxInt64, also: []string{"concurrency", "max_concurrency", "parallelism", "parallel"},
		doc: "how many items are open at a time. Only with `for_each`"}, func(s *Step) **int64 { return &s.MaxParallel }),
	tolerateKey,
	objectKey(keyInfo{name: "repeat", kind: kindObject, steps: works, also: []string{"repeat_until", "do_while", "poll"},
		doc: "the step runs again and again until it is so"}, repeatKeys, func(s *Step) **Repeat { return &s.Repeat }),
	numberKey(keyInfo{name: "timeout_ms", kind: kindMS, steps: works, least: 1, most: MaxMS, also: []string{"attempt_timeout", "start_to_close_timeout"},
		doc: "bounds one attempt, from when a worker is given it; longer is a failed attempt (`attempt_timeout`). Of a child, from its start: longer, and it is cancelled"}, func(s *Step) **int64 { return &s.TimeoutMS }),
	numberKey(keyInfo{name: "heartbeat_timeout_ms", kind: kindMS, steps: tasks, least: 1, most: MaxMS,
		doc: "bounds the silence of the handler itself, from when a worker is given the attempt and from each of its heartbeats; longer is a failed attempt (`heartbeat_timeout`). Without it the SDK keeps the attempt alive by itself"},
		func(s *Step) **int64 { return &s.HeartbeatTimeoutMS }),
	objectKey(keyInfo{name: "retry", kind: kindObject, steps: works, standard: "the defaults below", also: []string{"retries", "retry_policy"},
		doc: "what happens after a failed attempt"}, retryKeys, func(s *Step) **Retry { return &s.Retry }),
	textKey(keyInfo{name: "workflow_name", kind: kindName, steps: flows, required: true, also: []string{"workflow", "child", "sub_workflow", "subworkflow", "call", "dag"},
		doc: "the workflow of which the step starts a run, its child; it need not be registered before the step starts"}, false, func(s *Step) *string { return &s.Workflow }),
	numberKey(keyInfo{name: "workflow_version", kind: kindCount, steps: flows, standard: "the version that is current when the child starts", least: 1, most: math.MaxUint32, also: []string{"version"},
		doc: "the version of that workflow"}, func(s *Step) **int64 { return &s.WorkflowVersion }),
	onParentEndKey,
	objectKey(keyInfo{name: "signal", kind: kindObject, steps: sigs, required: true, also: []string{"wait_signal"},
		doc: "what the step waits for"}, signalKeys, func(s *Step) **Signal { return &s.Signal }),
	objectKey(keyInfo{name: "timer", kind: kindObject, steps: timers, required: true, also: []string{"wait_timer", "sleep"},
		doc: "until when the step waits"}, timerKeys, func(s *Step) **Timer { return &s.Timer }),
}

var typeKey = key[Step]{keyInfo: keyInfo{name: "type", kind: kindType, standard: "`task`", limits: "`task`, `wait_signal`, `wait_timer`, `workflow`", also: []string{"step_type", "kind"},
	doc: "what the step does"},
	read: func(r *reader, v *value, into *Step) { r.stepType(v, &into.Type) },
	write: func(o *fields, from *Step) error {
		if from.Type != TypeTask && from.Type != "" {
			o.put("type", value{kind: '"', text: string(from.Type)})
		}
		return nil
	},
	given: func(from *Step) bool { return from.Type != "" }}

var inputKey = key[Step]{keyInfo: keyInfo{name: "input_data", kind: kindJSON, steps: works, limits: "1 MiB in canonical form, nested 64 deep, no key twice in an object",
	also: []string{"inputs", "args", "arguments", "params", "parameters", "data"},
	doc:  "the first place where a handler's parameters are looked for; of a child, its input when there is no `input` and no item"},
	read: func(r *reader, v *value, into *Step) { r.input(v, into) },
	write: func(o *fields, from *Step) error {
		in, err := from.input()
		if err != nil {
			return fmt.Errorf("input_data %w", err)
		}
		if in.kind != 'n' {
			o.put("input_data", in)
		}
		return nil
	},
	given: func(from *Step) bool { return from.InputData != nil }}

var retryKeys = []key[Retry]{
	policyKey(keyInfo{name: "max_attempts", kind: kindCount, steps: works, standard: "3", least: 1, most: math.MaxInt64, also: []string{"max_retries", "retries"},
		doc: "how many attempts may fail; with the last of them the step fails. 1: no retry"}, zeroAttempts, func(r *Retry) *int64 { return &r.MaxAttempts }),
	policyKey(keyInfo{name: "initial_interval_ms", kind: kindMS, steps: works, standard: "1000", most: MaxMS, also: []string{"interval", "delay", "backoff", "initial_delay"},
		doc: "the wait after the first failure; 0: no wait after any"}, zeroInitial, func(r *Retry) *int64 { return &r.InitialIntervalMS }),
	coefficientKey,
	policyKey(keyInfo{name: "max_interval_ms", kind: kindMS, steps: works, standard: "60000", most: MaxMS, also: []string{"max_delay", "max_backoff"},
		doc: "the longest wait; 0: no wait after any"}, zeroMax, func(r *Retry) *int64 { return &r.MaxIntervalMS }),
}

var compensateKeys = []key[Compensation]{
	textKey(keyInfo{name: "service_name", kind: kindName, steps: tasks, standard: "that of the step", also: []string{"worker"},
		doc: "the service whose workers do it"}, false, func(c *Compensation) *string { return &c.Service }),
	textKey(keyInfo{name: "handler_name", kind: kindName, steps: tasks, required: true, also: []string{"function", "function_name", "activity"},
		doc: "the handler of that service"}, false, func(c *Compensation) *string { return &c.Handler }),
	numberKey(keyInfo{name: "timeout_ms", kind: kindMS, steps: tasks, least: 1, most: MaxMS, also: []string{"attempt_timeout"},
		doc: "bounds one attempt; longer is a failed attempt (`attempt_timeout`)"}, func(c *Compensation) **int64 { return &c.TimeoutMS }),
	objectKey(keyInfo{name: "retry", kind: kindObject, steps: tasks, standard: "the defaults of a step", also: []string{"retries", "retry_policy"},
		doc: "what happens after a failed attempt"}, retryKeys, func(c *Compensation) **Retry { return &c.Retry }),
	boolKey(keyInfo{name: "also_if_started", kind: kindBool, steps: tasks, standard: "`false`", also: []string{"always"},
		doc: "also when the step was attempted and has not completed: what it did before it failed is not known then"}, func(c *Compensation) *bool { return &c.AlsoIfStarted }),
}

var coefficientKey = key[Retry]{keyInfo: keyInfo{name: "backoff_coefficient", kind: kindFactor, steps: works, standard: "2", limits: "at least 1", least: 1, also: []string{"backoff_factor", "factor", "multiplier"},
	doc: "how much longer each wait is than the one before; 1: all the same"},
	read: func(r *reader, v *value, into *Retry) { r.coefficient("backoff_coefficient", v, into) },
	write: func(o *fields, from *Retry) error {
		if from.BackoffCoefficient != 0 || from.zeros&zeroCoefficient != 0 {
			o.put("backoff_coefficient", value{kind: '#', text: from.coefficient()})
		}
		return nil
	},
	given: func(from *Retry) bool { return from.BackoffCoefficient != 0 || from.zeros&zeroCoefficient != 0 },
	check: func(v *validator, i int, path string, from *Retry) { v.coefficient(i, path, from.BackoffCoefficient) }}

var joinKey = key[Step]{keyInfo: keyInfo{name: "join", kind: kindChoice, standard: "`all`", values: []string{string(JoinAll), string(JoinAny), string(JoinSettled)},
	limits: "`all`, `any`, `settled`", also: []string{"trigger_rule", "join_type"},
	doc: "what must have become of the dependencies. `all`: each is completed or made good. `any`: skipped ones are ignored when at least one is. `settled`: whatever they became"},
	read: func(r *reader, v *value, into *Step) { r.text("join", v, (*string)(&into.Join)) },
	write: func(o *fields, from *Step) error {
		if from.Join != JoinAll && from.Join != "" {
			o.put("join", value{kind: '"', text: string(from.Join)})
		}
		return nil
	},
	given: func(from *Step) bool { return from.Join != "" },
	check: func(v *validator, i int, path string, from *Step) {
		if joins := []string{string(JoinAll), string(JoinAny), string(JoinSettled)}; !slices.Contains(joins, string(from.Join)) {
			v.add(i, v.place(i, path), CodeJoinUnknown, "join %s is unknown; want all, any or settled%s", quote(string(from.Join)), nearest.Did(string(from.Join), joins))
		}
	}}

var onParentEndKey = key[Step]{keyInfo: keyInfo{name: "on_parent_end", kind: kindChoice, steps: flows, standard: "`cancel`", values: []string{string(CancelChild), string(AbandonChild)},
	limits: "`cancel`, `abandon`", also: []string{"parent_close_policy", "on_cancel", "detach"},
	doc: "what becomes of a child that is open when its step ends otherwise. `cancel`: it is cancelled. `abandon`: it is left alone"},
	read: func(r *reader, v *value, into *Step) { r.text("on_parent_end", v, (*string)(&into.OnParentEnd)) },
	write: func(o *fields, from *Step) error {
		if from.OnParentEnd != CancelChild && from.OnParentEnd != "" {
			o.put("on_parent_end", value{kind: '"', text: string(from.OnParentEnd)})
		}
		return nil
	},
	given: func(from *Step) bool { return from.OnParentEnd != "" },
	check: func(v *validator, i int, path string, from *Step) {
		if all := []string{string(CancelChild), string(AbandonChild)}; !slices.Contains(all, string(from.OnParentEnd)) {
			v.add(i, v.place(i, path), CodeOnParentEnd, "on_parent_end %s is unknown; want cancel or abandon%s", quote(string(from.OnParentEnd)), nearest.Did(string(from.OnParentEnd), all))
		}
	}}

var tolerateKey = key[Step]{keyInfo: keyInfo{name: "tolerate", kind: kindTolerance, steps: works, standard: "0", limits: "a whole number, or `0%` to `100%`", also: []string{"max_failures", "tolerated_failures", "allowed_failures"},
	doc: "how many items may fail for good, or what part of them, rounded down. Only with `for_each`"},
	read: func(r *reader, v *value, into *Step) { r.tolerance(v, into) },
	write: func(o *fields, from *Step) error {
		switch t := from.Tolerate; {
		case t == nil:
		case t.Percent:
			o.put("tolerate", value{kind: '"', text: strconv.FormatInt(t.N, 10) + "%"})
		default:
			o.put("tolerate", value{kind: '#', text: strconv.FormatInt(t.N, 10)})
		}
		return nil
	},
	given: func(from *Step) bool { return from.Tolerate != nil },
	check: func(v *validator, i int, path string, from *Step) {
		most := int64(math.MaxInt64)
		if from.Tolerate.Percent {
			most = 100
		}
		v.within(i, path, from.Tolerate.N, &keyInfo{standard: "0", most: most})
	}}

var repeatKeys = []key[Repeat]{
	textKey(keyInfo{name: "until", kind: kindExpression, steps: works, required: true, limits: "up to 8 KiB", also: []string{"while", "condition"},
		doc: "asked when a round has completed, with `output` and `round`: `true` completes the step, `false` starts the next round"}, false, func(p *Repeat) *string { return &p.Until }),
	numberKey(keyInfo{name: "interval_ms", kind: kindMS, steps: works, standard: "0", most: MaxMS, also: []string{"delay", "every", "sleep"},
		doc: "the wait before the next round"}, func(p *Repeat) **int64 { return &p.IntervalMS }),
	repeatCoefficientKey,
	numberKey(keyInfo{name: "max_interval_ms", kind: kindMS, steps: works, most: MaxMS, also: []string{"max_delay"},
		doc: "the longest wait"}, func(p *Repeat) **int64 { return &p.MaxIntervalMS }),
	numberKey(keyInfo{name: "max_rounds", kind: kindCount, steps: works, required: true, least: 1, most: 1_000_000, also: []string{"rounds", "times", "max_iterations"},
		doc: "how many rounds there may be; used up, the step fails for good (`rounds_used_up`)"}, func(p *Repeat) **int64 { return &p.MaxRounds }),
}

var repeatCoefficientKey = key[Repeat]{keyInfo: keyInfo{name: "backoff_coefficient", kind: kindFactor, steps: works, standard: "1", limits: "at least 1", least: 1, also: []string{"backoff_factor", "factor", "multiplier"},
	doc: "how much longer each wait is than the one before; 1: all the same"},
	read: func(r *reader, v *value, into *Repeat) {
		r.factor("backoff_coefficient", v, &into.BackoffCoefficient, &into.text)
	},
	write: func(o *fields, from *Repeat) error {
		if from.BackoffCoefficient != 0 || from.text != "" {
			o.put("backoff_coefficient", value{kind: '#', text: factorText(from.text, from.BackoffCoefficient)})
		}
		return nil
	},
	given: func(from *Repeat) bool { return from.BackoffCoefficient != 0 || from.text != "" },
	check: func(v *validator, i int, path string, from *Repeat) { v.coefficient(i, path, from.BackoffCoefficient) }}

var signalKeys = []key[Signal]{
	textKey(keyInfo{name: "name", kind: kindName, steps: sigs, required: true, also: []string{"signal_name"},
		doc: "the signal's name. Two waits of a run may have the same: each takes one signal"}, true, func(g *Signal) *string { return &g.Name }),
	numberKey(keyInfo{name: "timeout_ms", kind: kindMS, steps: sigs, standard: "none: it waits for ever", most: MaxMS,
		doc: "how long it waits, from when the step became ready; 0 takes a signal that is there, or times out at once"}, func(g *Signal) **int64 { return &g.TimeoutMS }),
	textKey(keyInfo{name: "on_timeout", kind: kindStep, steps: sigs, standard: "none: the run fails (`signal_timeout`)", limits: "the name of another step, earlier or later; only with `signal.timeout_ms`", also: []string{"timeout_step", "escalate"},
		doc: "the step that starts when the wait has timed out. It never starts otherwise"}, false, func(g *Signal) *string { return &g.OnTimeout }),
}

var timerKeys = []key[Timer]{
	textKey(keyInfo{name: "key", kind: kindName, steps: timers, required: true, limits: "a name, once in a workflow", also: []string{"name", "timer_key"},
		doc: "names the timer for whoever fires it by hand: `agnt5d fire RUN KEY`"}, true, func(t *Timer) *string { return &t.Key }),
	numberKey(keyInfo{name: "delay_ms", kind: kindMS, steps: timers, most: MaxMS, also: []string{"duration", "sleep", "for", "wait"},
		doc: "how long it waits, from when the step became ready; at most to the end of the year 9999"}, func(t *Timer) **int64 { return &t.DelayMS }),
	textKey(keyInfo{name: "cron_expr", kind: kindText, steps: timers, limits: "up to 1,024 bytes", also: []string{"schedule"},
		doc: "it waits for the next match, strictly after the step became ready"}, false, func(t *Timer) *string { return &t.Cron }),
	textKey(keyInfo{name: "time_zone", kind: kindText, steps: timers, standard: "UTC", limits: "an IANA name that the daemon's machine knows; only with `timer.cron_expr`", also: []string{"tz", "zone"},
		doc: "the zone in which the cron text is meant"}, false, func(t *Timer) *string { return &t.TimeZone }),
	numberKey(keyInfo{name: "max_retries", kind: kindCount, steps: timers, standard: "0", most: math.MaxInt64, also: []string{"max_attempts", "retries"},
		doc: "how many failures of the tasks directly beside it the timer absorbs ([concepts.md](concepts.md#timers))"}, func(t *Timer) **int64 { return &t.MaxRetries }),
}

// everyKey is every key by its path, such as retry.max_attempts, in the order of the tables: those of the whole, those of a
// step, those of the objects in it.
func everyKey() []keyInfo {
	var all []keyInfo
	for _, k := range infos(definitionKeys) {
		if k.name != schemaKey.name {
			k.top = true
			all = append(all, k)
			for _, in := range k.inner {
				in.name, in.top = k.name+"."+in.name, true
				all = append(all, in)
			}
		}
	}
	steps := infos(stepKeys)
	all = append(all, steps...)
	for _, k := range steps {
		for _, in := range k.inner {
			in.name = k.name + "." + in.name
			all = append(all, in)
		}
	}
	return all
}

// commas writes a whole number for people.
func commas(n int64) string {
	s := strconv.FormatInt(n, 10)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
