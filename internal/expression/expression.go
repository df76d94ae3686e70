// Package expression evaluates what definitions say: conditions, lists to go over, templates.
//
// The language is that of github.com/expr-lang/expr, whose parser and checker it uses. The evaluator is ours, because it has to
// keep to bounds: integers are of 64 bits and never wrap, what is no number is an error, the order of objects is that of their
// sorted keys, there is no clock and no randomness, and an evaluation ends after a count of operations or of bytes.
//
//	p, err := expression.Compile(`steps.fetch.output.rows > 10 && input.mode != "dry"`, 0)
//	p.Steps()    // fetch, and where it stands
//	value, err := p.Eval(&expression.Env{Input: input, Steps: map[string]expression.Step{"fetch": {State: "completed", Output: output}}})
//
// A value from outside stays the JSON it is until an operation needs what is in it: so a path gives its JSON byte for byte, and
// an output of 16 MiB of which one field is wanted is not taken apart.
//
// A Program and a Template are immutable and safe for concurrent use. The package imports nothing of ours and does no I/O; the
// one clock that it reads is that of the last guard (see Patience).
package expression

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of one evaluation.
const (
	MaxText       = 8 << 10    // bytes of an expression
	MaxOperations = 10_000_000 // about a second
	MaxMemory     = 16 << 20   // bytes of all that it makes on the way, and of its value
	MaxNesting    = 64         // of the value
	// Patience is the clock's bound on one evaluation, for a machine that is too busy. One that runs into it is tried again.
	Patience = 10 * time.Second
	tries    = 4
)

// Names says which names an expression may use besides input, steps and run.
type Names uint8

const (
	Item  Names = 1 << iota // item and index: of a step with for_each
	Fate                    // fate: in finally
	Round                   // output and round: of until
)

// Env is what an expression sees. Absent JSON is null.
type Env struct {
	Input json.RawMessage
	Steps map[string]Step // those that Steps names
	Run   Run
	Fate  json.RawMessage

	Item  json.RawMessage
	Index int64

	Output json.RawMessage // of the round
	Round  int64
}

// Step is what an expression sees of a step.
type Step struct {
	State  string
	Output json.RawMessage // null unless it completed
	Error  json.RawMessage // null unless it failed
}

// Run is what an expression sees of its run.
type Run struct {
	ID        string
	Workflow  string
	Version   int64
	CreatedAt string // RFC 3339
	Parent    json.RawMessage
}

// Error says what is wrong with an expression, or why it could not be evaluated.
type Error struct {
	Text   string // the expression
	Line   int    // in the text, from 1; 0: no one place
	Column int    // from 1, in characters
	Reason string
	Slow   bool // it ran into Patience
}

func (e *Error) Error() string {
	text := e.Text
	if len(text) > 200 {
		n := 200
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n] + "…"
	}
	switch {
	case e.Text == "":
		return e.Reason
	case e.Line == 0:
		return fmt.Sprintf("`%s`: %s", text, e.Reason)
	case e.Line == 1 && !strings.Contains(e.Text, "\n"):
		return fmt.Sprintf("at character %d of `%s`: %s", e.Column, text, e.Reason)
	}
	return fmt.Sprintf("at line %d, character %d of `%s`: %s", e.Line, e.Column, text, e.Reason)
}

// Ref is a step that an expression names.
type Ref struct {
	Name         string
	Line, Column int // of its name in the text, from 1
}
