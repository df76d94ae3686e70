package model

// Diff is what is different between two runs.
type Diff struct {
	A          DiffRun        `json:"a"`
	B          DiffRun        `json:"b"`
	Differs    []string       `json:"differs"`              // of the runs as wholes: workflow, definition, input, state, error
	Divergence *Divergence    `json:"divergence,omitempty"` // absent: the same happened in both
	Steps      []DiffStep     `json:"steps"`                // those that differ, or all, in definition order
	Definition DiffDefinition `json:"definition"`
}

// DiffRun is one of the two.
type DiffRun struct {
	WorkflowID   string    `json:"workflow_id"`
	WorkflowName string    `json:"workflow_name"`
	Version      uint32    `json:"version"`
	Digest       string    `json:"digest"`
	State        string    `json:"state"`
	CreatedAt    string    `json:"created_at"`
	CompletedAt  string    `json:"completed_at,omitempty"`
	DurationMS   int64     `json:"duration_ms"` // to its end, or to its last event
	Events       uint64    `json:"events"`
	Attempts     int       `json:"attempts"` // of all steps
	Error        *RunError `json:"error,omitempty"`
}

// Divergence is where two runs first did not do the same: of a step, of a signal, or (neither) of the run itself.
type Divergence struct {
	Step   string     `json:"step,omitempty"`
	Signal string     `json:"signal,omitempty"`
	A      *DiffEvent `json:"a,omitempty"` // absent: nothing more happened there
	B      *DiffEvent `json:"b,omitempty"`
}

// DiffEvent is an event without its payload.
type DiffEvent struct {
	Seq     uint64 `json:"seq"`
	N       uint64 `json:"n"` // position in its run, from 1
	At      string `json:"at"`
	Kind    string `json:"kind"`
	Attempt uint32 `json:"attempt,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// DiffStep is a step in both.
type DiffStep struct {
	Step    string    `json:"step"`
	Differs []string  `json:"differs"`     // state, attempts, output, error; or missing
	A       *DiffSide `json:"a,omitempty"` // absent: that run has no such step
	B       *DiffSide `json:"b,omitempty"`
}

// DiffSide is a step in one of the two.
type DiffSide struct {
	State       string `json:"state"`
	Attempts    uint32 `json:"attempts"`
	DurationMS  int64  `json:"duration_ms"`            // from when something first happened to it to when that last did
	OutputBytes int    `json:"output_bytes,omitempty"` // its output itself is not here
	Code        string `json:"code,omitempty"`         // of its last failed attempt
	Message     string `json:"message,omitempty"`
}

// DiffDefinition is what differs between the definitions.
type DiffDefinition struct {
	Same    bool     `json:"same"`
	OnlyA   []string `json:"only_a"`  // steps
	OnlyB   []string `json:"only_b"`  // steps
	Changed []string `json:"changed"` // steps in both that are not the same
}
