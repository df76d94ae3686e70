package flow

// Graph is what the engine needs to know of a valid Definition, worked out once. Steps are named by their index in the
// definition. Graph is immutable and safe for concurrent use.
type Graph struct {
	Def    *Definition
	Digest Digest
	Index  map[string]int32

	Deps       [][]int32 // in the order of Dependencies
	Dependents [][]int32 // ascending
	OnTimeout  []int32   // for a wait: the step that its on_timeout names, else -1
	NamedBy    [][]int32 // for a step: the waits whose on_timeout names it, ascending; a step with any is dormant
	Sinks      []int32   // steps nothing depends on, ascending; only their outputs make the run's output
	Beside     [][]int32 // for a task: the timers with max_retries > 0 directly beside it: those it depends on, then those that depend on it, each in definition order
	Timers     map[string]int32 // timer key -> step

	// Joins[s] holds, for a step s with two or more dependencies, one Join for each wait on whose two branches
	// dependencies of s stand.
	Joins [][]Join
}

// Join is one wait W and the dependencies of a step that stand on W's branches, as indexes into Deps[s].
type Join struct {
	Wait     int32
	Answered []int32
	TimedOut []int32
}
