package flow

import (
	"math"
	"strconv"
)

// The keys of definitions. Reading, the canonical form, limits of numbers, hints, the JSON Schema, the tables in
// docs/definitions.md and what other implementations are held to are all made from these tables.

var (
	tasks  = []StepType{TypeTask}
	sigs   = []StepType{TypeWaitSignal}
	timers = []StepType{TypeWaitTimer}
)

// stepTypes are the values of type, in the order in which messages name them.
var stepTypes = []StepType{TypeTask, TypeWaitSignal, TypeWaitTimer}

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
	schemaKey,
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
	textsKey(keyInfo{name: "dependencies", kind: kindSteps, limits: "names of earlier steps, each once", also: []string{"depends_on", "depends", "needs", "requires", "after"},
		doc: "what must be settled before the step starts: completed, or made good by a join"}, func(s *Step) *[]string { return &s.Dependencies }),
	textKey(keyInfo{name: "service_name", kind: kindName, steps: tasks, required: true, also: []string{"worker"},
		doc: "the service whose workers do the step"}, false, func(s *Step) *string { return &s.Service }),
	textKey(keyInfo{name: "handler_name", kind: kindName, steps: tasks, required: true, also: []string{"function", "function_name", "activity", "run"},
		doc: "the handler of that service"}, false, func(s *Step) *string { return &s.Handler }),
	textsKey(keyInfo{name: "object_keys", kind: kindObjects, steps: tasks, limits: "each 1 to 256 bytes of printable UTF-8, not `.` or `..` alone, each once", also: []string{"keys", "locks", "objects"},
		doc: "what the step touches: it starts when it holds all of them, and holds them until it settles"}, func(s *Step) *[]string { return &s.ObjectKeys }),
	inputKey,
	numberKey(keyInfo{name: "timeout_ms", kind: kindMS, steps: tasks, least: 1, most: MaxMS, also: []string{"attempt_timeout", "start_to_close_timeout"},
		doc: "bounds one attempt, from when a worker is given it; longer is a failed attempt (`attempt_timeout`)"}, func(s *Step) **int64 { return &s.TimeoutMS }),
	numberKey(keyInfo{name: "heartbeat_timeout_ms", kind: kindMS, steps: tasks, least: 1, most: MaxMS,
		doc: "bounds the silence of the handler itself, from when a worker is given the attempt and from each of its heartbeats; longer is a failed attempt (`heartbeat_timeout`). Without it the SDK keeps the attempt alive by itself"},
		func(s *Step) **int64 { return &s.HeartbeatTimeoutMS }),
	objectKey(keyInfo{name: "retry", kind: kindObject, steps: tasks, standard: "the defaults below", also: []string{"retries", "retry_policy"},
		doc: "what happens after a failed attempt"}, retryKeys, func(s *Step) **Retry { return &s.Retry }),
	objectKey(keyInfo{name: "signal", kind: kindObject, steps: sigs, required: true, also: []string{"wait_signal"},
		doc: "what the step waits for"}, signalKeys, func(s *Step) **Signal { return &s.Signal }),
	objectKey(keyInfo{name: "timer", kind: kindObject, steps: timers, required: true, also: []string{"wait_timer", "sleep"},
		doc: "until when the step waits"}, timerKeys, func(s *Step) **Timer { return &s.Timer }),
}

var typeKey = key[Step]{keyInfo: keyInfo{name: "type", kind: kindType, standard: "`task`", limits: "`task`, `wait_signal`, `wait_timer`", also: []string{"step_type", "kind"},
	doc: "what the step does"},
	read: func(r *reader, v *value, into *Step) { r.stepType(v, &into.Type) },
	write: func(o *fields, from *Step) error {
		if from.Type != TypeTask && from.Type != "" {
			o.put("type", value{kind: '"', text: string(from.Type)})
		}
		return nil
	},
	given: func(from *Step) bool { return from.Type != "" }}

var inputKey = key[Step]{keyInfo: keyInfo{name: "input_data", kind: kindJSON, steps: tasks, limits: "1 MiB in canonical form, nested 64 deep, no key twice in an object",
	also: []string{"inputs", "args", "arguments", "params", "parameters", "data"},
	doc:  "the first place where a handler's parameters are looked for"},
	read: func(r *reader, v *value, into *Step) { r.input(v, into) },
	write: func(o *fields, from *Step) error {
		in, err := from.input()
		if err == nil && in.kind != 'n' {
			o.put("input_data", in)
		}
		return err
	},
	given: func(from *Step) bool { return from.InputData != nil }}

var retryKeys = []key[Retry]{
	policyKey(keyInfo{name: "max_attempts", kind: kindCount, steps: tasks, standard: "3", least: 1, most: math.MaxInt64, also: []string{"max_retries", "retries"},
		doc: "how many attempts may fail; with the last of them the step fails. 1: no retry"}, zeroAttempts, func(r *Retry) *int64 { return &r.MaxAttempts }),
	policyKey(keyInfo{name: "initial_interval_ms", kind: kindMS, steps: tasks, standard: "1000", most: MaxMS, also: []string{"interval", "delay", "backoff", "initial_delay"},
		doc: "the wait after the first failure; 0: no wait after any"}, zeroInitial, func(r *Retry) *int64 { return &r.InitialIntervalMS }),
	coefficientKey,
	policyKey(keyInfo{name: "max_interval_ms", kind: kindMS, steps: tasks, standard: "60000", most: MaxMS, also: []string{"max_delay", "max_backoff"},
		doc: "the longest wait; 0: no wait after any"}, zeroMax, func(r *Retry) *int64 { return &r.MaxIntervalMS }),
}

var coefficientKey = key[Retry]{keyInfo: keyInfo{name: "backoff_coefficient", kind: kindFactor, steps: tasks, standard: "2", limits: "at least 1", least: 1, also: []string{"backoff_factor", "factor", "multiplier"},
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

// everyKey is every key by its path, such as retry.max_attempts, in the order of the tables.
func everyKey() []keyInfo {
	var all []keyInfo
	for _, k := range infos(definitionKeys) {
		if k.name != schemaKey.name {
			all = append(all, k)
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
