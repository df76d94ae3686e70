package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// loud panics wherever its text is asked for.
type loud struct{}

func (loud) Error() string  { panic("no text") }
func (loud) String() string { panic("no text") }

func (loud) MarshalJSON() ([]byte, error) { panic("no JSON") }

// However a handler ends, its attempt does, and its slot is free again.
func TestEveryEndOfAHandlerEndsItsAttempt(t *testing.T) {
	eng, _ := open(t, engine.Options{Concurrency: 1}) // one slot: an attempt that never ends would keep the next from starting
	var nothing *struct{ n int }
	ends := []struct {
		name, text string
		fn         func(context.Context) error
	}{
		{"goexit", "ended its goroutine", func(context.Context) error { runtime.Goexit(); return nil }},
		{"deferred_goexit", "ended its goroutine", func(context.Context) error { defer runtime.Goexit(); return nil }},
		{"goexit_in_panic", "ended its goroutine", func(context.Context) error { defer runtime.Goexit(); panic("covered") }},
		{"nil", "nil", func(context.Context) error { panic(any(nil)) }},
		{"runtime", "nil pointer", func(context.Context) error { nothing.n++; return nil }},
		{"error", "worn out", func(context.Context) error { panic(errors.New("worn out")) }},
		{"loud_panic", "panic", func(context.Context) error { panic(loud{}) }},
		{"loud_error", "no text", func(context.Context) error { return loud{} }},
		{"late", "", func(ctx context.Context) error { <-ctx.Done(); runtime.Goexit(); return nil }},
	}
	for _, end := range ends {
		if err := engine.Handle(eng, "svc", end.name, func(ctx context.Context, _ struct{}) (int, error) { return 1, end.fn(ctx) }); err != nil {
			t.Fatal(err)
		}
		code, step := "panic", flow.Task("a", "svc", end.name, once)
		if end.name == "late" {
			code, step = "attempt_timeout", flow.Task("a", "svc", end.name, once, flow.AttemptTimeout(20*time.Millisecond))
		}
		register(t, eng, end.name, step)
		status := runOne(t, eng, end.name, nil)
		if status.Error == nil || status.Error.Code != code || !strings.Contains(status.Error.Message, end.text) {
			t.Errorf("%s: %s %+v", end.name, status.State, status.Error)
		}
		if stack := status.Steps["a"].Error.Stack; code == "panic" && !strings.Contains(stack, "endings_test.go") {
			t.Errorf("%s: the stack does not lead to the handler:\n%s", end.name, stack)
		}
	}
	if err := engine.Handle(eng, "svc", "output", func(context.Context, struct{}) (any, error) { return loud{}, nil }); err != nil {
		t.Fatal(err)
	}
	register(t, eng, "output", flow.Task("a", "svc", "output", once))
	if status := runOne(t, eng, "output", nil); status.Error == nil || status.Error.Code != "panic" {
		t.Errorf("a panic in MarshalJSON: %s %+v", status.State, status.Error)
	}
}

// What a handler says of its failure is kept up to a stated size, cut between characters.
func TestTextsOfAFailureAreCut(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	long := "x" + strings.Repeat("é", 1<<20)
	handle(t, eng, "wordy", func(context.Context, *worker.Task) (json.RawMessage, error) {
		return nil, &worker.Error{Code: "a\nb" + long, Type: long, Message: long, Stack: long}
	})
	register(t, eng, "w", flow.Task("a", "svc", "wordy", once))
	e := runOne(t, eng, "w", nil).Steps["a"].Error
	for what, text := range map[string]struct {
		text  string
		limit int
	}{"code": {e.Code, 128}, "type": {e.Type, 256}, "message": {e.Message, 16 << 10}, "stack": {e.Stack, 64 << 10}} {
		if n := len(text.text); n > text.limit || n < text.limit-4 || !utf8.ValidString(text.text) || !strings.HasSuffix(text.text, worker.CutMark) {
			t.Errorf("%s: %d bytes, ends in %q", what, n, text.text[max(0, n-12):])
		}
	}
	if !strings.HasPrefix(e.Code, "a_b") {
		t.Errorf("code %q", e.Code[:10])
	}
	for text, want := range map[string]string{"short": "short", "\xff": "?", strings.Repeat("\xff", 50): strings.Repeat("?", 8)} {
		if got := worker.Cut(text, 16); !strings.HasPrefix(got, want[:1]) || len(got) > 16 || !utf8.ValidString(got) {
			t.Errorf("%q: %q", text, got)
		}
	}
}
