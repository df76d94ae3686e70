package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/internal/failure"
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
	if err := jsonType(reflect.TypeFor[Out](), writers, map[reflect.Type]bool{}); err != nil {
		return nil, fmt.Errorf("worker: the handler's output %s cannot be written as JSON: %w", reflect.TypeFor[Out](), err)
	}
	return func(ctx context.Context, t *Task) (json.RawMessage, error) {
		var in In
		if err := plan.bind(ctx, t, &in); err != nil {
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

// Run calls the handler and puts whatever comes of it into o, without a token. A panic is a failed attempt. So is a handler
// that ends its goroutine (runtime.Goexit, testing.T.FailNow): then Run does not return, and o is set when the caller's
// deferred functions run.
func Run(ctx context.Context, fn Func, t *Task, o *Outcome) {
	returned := false
	defer func() {
		if returned {
			return
		}
		e := &Error{Code: failure.Panic, Message: "the handler ended its goroutine (runtime.Goexit or FailNow) instead of returning"}
		*o = Outcome{Status: Failed, Error: e}
		if p := recover(); p != nil {
			e.Message = "panic" // also if the value cannot be printed
			e.Type = fmt.Sprintf("%T", p)
			e.Stack = Cut(panicStack("\npanic("), MaxStack)
			e.Message = Cut(fmt.Sprint("panic: ", p), MaxMessage)
			return
		}
		e.Stack = Cut(panicStack("\nruntime.Goexit("), MaxStack)
	}()
	out, err := fn(ctx, t)
	if err != nil {
		*o = Outcome{Status: Failed, Error: ErrorOf(err)}
	} else {
		*o = Outcome{Status: Completed, Output: out, Objects: t.changed}
		if out == nil {
			o.Output = json.RawMessage("null")
		}
	}
	returned = true
}

// panicStack is the stack of what ended the handler, without the frames above the function that did it and below the handler.
func panicStack(ended string) string {
	stack := string(debug.Stack())
	if _, rest, ok := strings.Cut(stack, ended); ok {
		if _, where, ok := strings.Cut(rest, "\n"); ok { // the line of that function's own frame
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

// final is what an error implements that no retry can mend.
type final interface{ NonRetryable() bool }

// ErrorOf gives what is recorded of a handler's error.
func ErrorOf(err error) *Error {
	out := &Error{Type: fmt.Sprintf("%T", cause(err))}
	var e *Error
	if errors.As(err, &e) {
		*out = *e
	}
	out.Message = err.Error()
	out.Cut()
	var f final
	if errors.As(err, &f) && f.NonRetryable() {
		no := false
		out.Retryable = &no
	}
	if out.Code == "" {
		out.Code = CodeOf(out.Retryable)
	}
	var after interface{ RetryAfter() time.Duration }
	if errors.As(err, &after) {
		out.RetryAfterMS = after.RetryAfter().Milliseconds()
	}
	return out
}

// CodeOf is the code of a failure that has none of its own: it says whether the attempt may be tried again. nil: it may.
func CodeOf(retryable *bool) string {
	if retryable != nil && !*retryable {
		return failure.NotRetryable
	}
	return failure.HandlerError
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
