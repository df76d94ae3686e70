package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// Func runs one attempt: it gives the step's output as JSON, or why the attempt failed. The context ends when nobody waits
// for the answer any more.
type Func func(ctx context.Context, t *Task) (json.RawMessage, error)

// Adapt makes a Func of a typed function. In is filled by Bind; Out is marshalled as JSON.
func Adapt[In, Out any](fn func(ctx context.Context, in In) (Out, error)) (Func, error) {
	plan, err := planFor[In]()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, t *Task) (json.RawMessage, error) {
		var in In
		if err := plan.bind(t, &in); err != nil {
			return nil, err
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		if raw, ok := any(out).(json.RawMessage); ok {
			return raw, nil
		}
		b, err := json.Marshal(out)
		if err != nil {
			no := false
			return nil, &Error{Message: "the handler's output is not JSON: " + err.Error(), Code: "output_invalid", Retryable: &no}
		}
		return b, nil
	}, nil
}

// Run calls the handler and turns whatever happens, a panic too, into an Outcome without a token.
func Run(ctx context.Context, fn Func, t *Task) (o Outcome) {
	defer func() {
		if p := recover(); p != nil {
			o = Outcome{Status: Failed, Error: &Error{Message: fmt.Sprint("panic: ", p), Code: "panic", Type: fmt.Sprintf("%T", p), Stack: clip(panicStack())}}
		}
	}()
	out, err := fn(ctx, t)
	if err != nil {
		return Outcome{Status: Failed, Error: ErrorOf(err)}
	}
	if out == nil {
		out = json.RawMessage("null")
	}
	return Outcome{Status: Completed, Output: out, Objects: t.changed}
}

// panicStack is the stack of the panic that is being recovered, without the frames that recover it.
func panicStack() string {
	stack := string(debug.Stack())
	if _, rest, ok := strings.Cut(stack, "\npanic("); ok {
		if _, where, ok := strings.Cut(rest, "\n"); ok { // the line of the panic's own frame
			if _, frames, ok := strings.Cut(where, "\n"); ok {
				stack = frames
			}
		}
	}
	if user, _, ok := strings.Cut(stack, "github.com/agnt5/agnt5d/worker.Run("); ok && user != "" {
		stack = user
	}
	return strings.TrimRight(stack, "\n")
}

const maxText = 16 << 10 // bytes of a message or a stack that are kept

func clip(s string) string {
	if len(s) > maxText {
		return s[:maxText] + " ... (cut)"
	}
	return s
}

// final is what an error implements that no retry can mend.
type final interface{ NonRetryable() bool }

// ErrorOf gives what is recorded of a handler's error.
func ErrorOf(err error) *Error {
	out := &Error{Code: "handler_error", Type: fmt.Sprintf("%T", cause(err))}
	var e *Error
	if errors.As(err, &e) {
		*out = *e
		if out.Code == "" {
			out.Code = "handler_error"
		}
	}
	out.Message, out.Stack = clip(err.Error()), clip(out.Stack)
	var f final
	if errors.As(err, &f) && f.NonRetryable() {
		no := false
		out.Retryable = &no
	}
	var after interface{ RetryAfter() time.Duration }
	if errors.As(err, &after) {
		out.RetryAfterMS = after.RetryAfter().Milliseconds()
	}
	return out
}

func cause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
