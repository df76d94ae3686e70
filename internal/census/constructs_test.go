package census

import (
	"slices"

	"github.com/agnt5/agnt5d/flow"
)

// construct is something that definitions elsewhere are made of.
type construct struct {
	need   string                      // as testdata/census/needs.tsv calls it
	called string                      // what it is called there
	ours   string                      // what we have for it; "": nothing
	uses   func(*flow.Definition) bool // whether a definition has ours; nil: it is not in a definition
	why    string                      // without ours: the reason
}

var constructs = []construct{
	{need: "data", called: "Step Functions: `Parameters`, `ResultSelector`, `Assign`, JSONata. Argo: `parameters`, `outputs`, `{{ }}`. Serverless Workflow: `input.from`, `output.as`, `set`. Google Workflows: `assign`, `${ }`. Conductor: `inputParameters`, `${ }`, JQ, INLINE",
		ours: "outputs of `dependencies` go to the handler; `input`, `output` and `input_data`, with `${ }` in the first two. Longer work on data is a handler's", uses: usesData},
	{need: "container", called: "Argo: `container`, `script`, `containerSet`, sidecars, volumes, pod specs, artifacts. Serverless Workflow: `run`", ours: "a `task`: its handler starts the container, the job or the script, and says how it ended", uses: usesTask},
	{need: "http", called: "`call: http`, `http.get`, HTTP tasks, connectors, LLM and agent tasks", ours: "a `task`: its handler calls", uses: usesTask},
	{need: "k8s", called: "Argo: `resource`", ours: "a `task`: its handler speaks to the cluster", uses: usesTask},
	{need: "secret", called: "`secretKeyRef`, `use.secrets`, Secret Manager", ours: "the worker's own environment: a handler has it, the engine never sees it"},
	{need: "cond", called: "`Choice`, `switch`, `when`, SWITCH", ours: "`when`, and `join: any` where the ways meet", uses: usesWhen},
	{need: "retry", called: "`Retry`, `retryStrategy`, `try/retry`, `retryCount`", ours: "`retry`; `flow.NonRetryable` for what no retry mends", uses: has(func(s *flow.Step) bool { return s.Retry != nil })},
	{need: "failedge", called: "`Catch`, `catch`, `except`, `continueOn`, `depends: A.Failed`, optional tasks", ours: "`on_failure`, whose step is told the error; `tolerate` for items; `signal.on_timeout`; `finally` for exit handlers", uses: func(d *flow.Definition) bool { return usesFailure(d) || usesFinally(d) }},
	{need: "map", called: "`Map`, `withParam`, `withItems`, `for`, `parallel for`, FORK_JOIN_DYNAMIC of one task", ours: "`for_each`: up to 100,000 items a step. A distributed map over more gives each item a part", uses: usesItems},
	{need: "staticloop", called: "Argo: `withItems`, `withSequence`", ours: "`for_each` with a list", uses: usesItems},
	{need: "conc", called: "`MaxConcurrency`, `parallelism`, `synchronization`: mutex, semaphore, database locks", ours: "`max_parallel` for items, `object_keys` for a mutex, a [service's limit](operating.md) for a semaphore", uses: func(d *flow.Definition) bool {
		return slices.ContainsFunc(d.Steps, func(s flow.Step) bool { return s.MaxParallel != nil || len(s.ObjectKeys) > 0 })
	}},
	{need: "loop", called: "a `Choice` that goes back, `goto`, recursion of templates, DO_WHILE, `while`", ours: "`repeat`, with `until`; a loop over several steps repeats a child", uses: has(func(s *flow.Step) bool { return s.Repeat != nil })},
	{need: "parallel", called: "`Parallel`, `fork`, `dag`, FORK_JOIN", ours: "steps that do not depend on each other", uses: usesParallel},
	{need: "signal", called: "`.waitForTaskToken`, activities, `suspend`, callbacks, `listen`, WAIT, HUMAN", ours: "`wait_signal`; the run's id is the token (`${ run.id }`), and a caller's own id is the correlation key", uses: usesType(flow.TypeWaitSignal)},
	{need: "timer", called: "`Wait`, `sys.sleep`, `suspend.duration`, `wait`", ours: "`wait_timer`, by delay or by the clock; the `interval` of `repeat`", uses: func(d *flow.Definition) bool {
		return usesType(flow.TypeWaitTimer)(d) || slices.ContainsFunc(d.Steps, func(s flow.Step) bool { return s.Repeat != nil && s.Repeat.IntervalMS != nil })
	}},
	{need: "steptimeout", called: "`TimeoutSeconds`, `HeartbeatSeconds` of a state, `timeout` of a template or step, `responseTimeoutSeconds`", ours: "`timeout_ms`, `heartbeat_timeout_ms`, `signal.timeout_ms`", uses: func(d *flow.Definition) bool {
		return slices.ContainsFunc(d.Steps, func(s flow.Step) bool { return s.TimeoutMS != nil || s.Signal != nil && s.Signal.TimeoutMS != nil })
	}},
	{need: "runtimeout", called: "`TimeoutSeconds` of the machine, `activeDeadlineSeconds`, `timeoutSeconds`", ours: "`timeout_ms` of the whole", uses: func(d *flow.Definition) bool { return d.TimeoutMS != nil }},
	{need: "event", called: "event triggers, `emit`, EVENT, `WorkflowEventBinding`", ours: "a handler emits; whoever hears an event starts a run or signals it, in one call (`signal` of a start)"},
	{need: "schedule", called: "`CronWorkflow`, `schedule`", ours: "[schedules](schedules.md): several cron texts, time zones, overlap, catching up, backfill"},
	{need: "terminate", called: "`Fail`, `Succeed`, TERMINATE", ours: "a handler that fails for good fails the run, and what is open is cancelled; `when` ends it early", uses: usesWhen},
	{need: "memo", called: "Argo: `memoize`", ours: "`object_keys`: the handler keeps the result in the key's state, and finds it there"},
	{need: "nested", called: "templates in templates, subworkflows of one file", ours: "the steps themselves, in one flat graph; or a child"},
	{need: "subwf", called: "`startExecution.sync`, `workflowTemplateRef`, `run.workflow`, SUB_WORKFLOW", ours: "a step of `type: workflow`: its run is a child of this one", uses: usesType(flow.TypeWorkflow)},
	{need: "saga", called: "compensation in `Catch` states, sagas", ours: "`compensate`: the last completed first", uses: usesUndo},
	{need: "daemonstep", called: "Argo: `daemon`", ours: "a step that starts it, and one of `finally` that stops it", uses: usesFinally},
	{need: "dynamic", called: "Conductor: DYNAMIC, FORK_JOIN_DYNAMIC of various tasks", why: "which handler a step has is known only while it runs"},
	{need: "priority", called: "Argo: `priority`", why: "runs have no priorities"},
}

func has(of func(*flow.Step) bool) func(*flow.Definition) bool {
	return func(d *flow.Definition) bool {
		for _, s := range d.All() {
			if of(&s) {
				return true
			}
		}
		return false
	}
}

func usesType(kind flow.StepType) func(*flow.Definition) bool {
	return has(func(s *flow.Step) bool { return s.Type == kind })
}

var (
	usesTask    = has(func(s *flow.Step) bool { return s.Handler != "" })
	usesItems   = has(func(s *flow.Step) bool { return s.ForEach != nil })
	usesWhen    = has(func(s *flow.Step) bool { return s.When != "" || s.Join != "" })
	usesFailure = has(func(s *flow.Step) bool {
		return s.OnFailure != "" || s.Compensate != nil || s.Tolerate != nil || s.Signal != nil && s.Signal.OnTimeout != ""
	})
)

func usesFinally(d *flow.Definition) bool { return len(d.Finally) > 0 }

var usesUndo = has(func(s *flow.Step) bool { return s.Compensate != nil })

func usesData(d *flow.Definition) bool {
	return d.Output != nil || has(func(s *flow.Step) bool {
		return s.Input != nil || s.InputData != nil || len(s.Dependencies) > 0 || s.ForEach != nil || s.When != ""
	})(d)
}

// usesParallel says whether two steps follow from the same ones, or from none.
func usesParallel(d *flow.Definition) bool {
	seen := map[string]bool{}
	for _, s := range d.Steps {
		from := ""
		for _, name := range slices.Sorted(slices.Values(slices.Concat(s.Dependencies, s.After))) {
			from += name + " "
		}
		if named := slices.ContainsFunc(d.Steps, func(o flow.Step) bool {
			return o.OnFailure == s.Name || o.Signal != nil && o.Signal.OnTimeout == s.Name
		}); named {
			continue
		}
		if seen[from] {
			return true
		}
		seen[from] = true
	}
	return false
}
