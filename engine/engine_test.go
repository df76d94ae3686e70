package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

func TestRegisterReportsTheNameAndTheDefinition(t *testing.T) {
	eng, err := engine.Open(filepath.Join(t.TempDir(), "runs.db"), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	err = eng.Register("bad wf", flow.Definition{Steps: []flow.Step{flow.Task("a", "s", ""), flow.Task("b", "s", "h", flow.After("aa", "c"))}})
	var problems flow.Problems
	if !errors.As(err, &problems) || len(problems) != 4 {
		t.Fatalf("got %v", err)
	}
	var codes []string
	for _, p := range problems {
		codes = append(codes, p.Code)
	}
	if got := strings.Join(codes, " "); got != "name_invalid handler_missing dependency_unknown dependency_unknown" {
		t.Errorf("got %s", got)
	}
	if err := eng.Register("bad wf", flow.Definition{Steps: []flow.Step{flow.Task("a", "s", "h")}}); !errors.As(err, &problems) || len(problems) != 1 {
		t.Errorf("got %v", err)
	}
}

func TestARunGoesThroughAndIsThereAfterReopening(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	type number struct {
		N int `json:"n"`
	}
	add := func(_ context.Context, in number) (number, error) { return number{in.N + 1}, nil }
	for _, h := range []string{"a", "b", "c"} {
		if err := engine.Handle(eng, "svc", h, add); err != nil {
			t.Fatal(err)
		}
	}
	err = eng.Register("chain", flow.Definition{Steps: []flow.Step{
		flow.Task("a", "svc", "a"), flow.Task("b", "svc", "b", flow.After("a")), flow.Task("c", "svc", "c", flow.After("b"))}})
	if err != nil {
		t.Fatal(err)
	}
	run, err := eng.Start(ctx, "chain", number{1}, engine.WithID("order-17"))
	if err != nil {
		t.Fatal(err)
	}
	status, err := eng.Wait(ctx, run)
	if err != nil {
		t.Fatal(err)
	}
	if status.State != "completed" || string(status.Output) != `{"c":{"n":4}}` {
		t.Fatalf("%s %s", status.State, status.Output)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	eng, err = engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	again, created, err := eng.StartRun(ctx, "chain", number{1}, engine.WithID("order-17"))
	if err != nil || created || again != run {
		t.Fatalf("started again: %s %v %v", again, created, err)
	}
	if status, err = eng.Status(ctx, run); err != nil || string(status.Output) != `{"c":{"n":4}}` {
		t.Fatalf("%v %v", status, err)
	}
	events, err := eng.History(ctx, run, 0, 0)
	if err != nil || len(events) < 8 {
		t.Fatalf("%d events: %v", len(events), err)
	}
	for i, ev := range events {
		if ev.N != uint64(i+1) {
			t.Errorf("event %d has position %d", i, ev.N)
		}
	}
}
