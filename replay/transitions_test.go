package replay_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/replay"
)

var update = flag.Bool("update", false, "write what Apply allows to testdata/transitions.txt")

const transitions = "testdata/transitions.txt"

// The table of what may follow what: for each state of a step and each kind of event, the state that follows. Whatever is
// not in it is refused. A release may add lines; a line that changes or goes breaks old journals.
func TestTransitions(t *testing.T) {
	var b strings.Builder
	samples := map[flow.StepType]flow.Step{
		flow.TypeTask:       flow.Task("s", "svc", "h"),
		flow.TypeWaitSignal: flow.WaitSignal("s", "go", flow.Timeout(1, "late")),
		flow.TypeWorkflow:   flow.Child("s", "w"),
		flow.TypeWaitTimer:  flow.WaitTimer("s", "key", flow.Cron("0 3 * * *")),
	}
	for _, row := range replay.Kinds {
		sample, ok := samples[row.Type]
		if !ok {
			t.Fatalf("no sample of a %s", row.Type)
		}
		g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{sample, flow.Task("late", "svc", "h")}})
		if err != nil {
			t.Fatal(err)
		}
		for from := replay.StepPending; from <= replay.StepCancelled; from++ {
			for kind := event.StepBlocked; kind < event.Kinds; kind++ {
				to, ok := follow(t, g, from, kind)
				if !kind.HasStep() {
					continue
				}
				if ok {
					fmt.Fprintf(&b, "%-11s %-9s + %-14s = %s\n", row.Type, from, kind, to)
				}
				if kind != event.AttemptEnded && ok != row.May(kind, from) { // that one is about an attempt of before the run ended
					t.Errorf("%s %s + %s: the table of kinds says %v, Apply says %v", row.Type, from, kind, row.May(kind, from), ok)
				}
			}
		}
	}
	for status := replay.Running; status <= replay.Finishing; status++ {
		for kind := event.RunStarted; kind < event.Kinds; kind++ {
			if to, ok := followRun(t, status, kind); ok {
				fmt.Fprintf(&b, "%-11s %-9s + %-14s = %s\n", "run", status, kind, to)
			}
		}
	}
	if *update {
		if err := os.WriteFile(transitions, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(transitions)
	if err != nil {
		t.Fatal(err)
	}
	was, now := strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")
	for i := range max(len(was), len(now)) {
		switch {
		case i >= len(was):
			t.Errorf("not in the table: %s", now[i])
		case i >= len(now):
			t.Errorf("refused now: %s", was[i])
		case was[i] != now[i]:
			t.Fatalf("line %d: the table has\n  %s\nbut Apply says\n  %s\n(go test ./replay -run TestTransitions -update, and read the diff)", i+1, was[i], now[i])
		}
	}
}

// begun gives a run of the graph in the middle of its life, its first step in the given state.
func begun(t *testing.T, g *flow.Graph, step replay.StepState) *replay.State {
	t.Helper()
	s := replay.New(g)
	turn := replay.Turn{S: s, At: 1, Seq: 1}
	turn.Start("r", "w", 1, []byte("null"), "")
	turn.Signal("go", "one", []byte("1"))
	if turn.Err != nil {
		t.Fatal(turn.Err)
	}
	st := &s.Steps[0]
	st.State, st.Attempt = step, 1
	if step == replay.StepBlocked {
		st.Request, st.Fence = 1, 1
	}
	if step == replay.StepCancelled {
		st.Was = replay.StepRunning
		s.Outs = append(s.Outs, replay.Out{Attempt: 1})
	}
	return s
}

func follow(t *testing.T, g *flow.Graph, from replay.StepState, kind event.Kind) (replay.StepState, bool) {
	child := g.Def.Steps[0].Type == flow.TypeWorkflow
	if kind == event.ItemsSet && (child || g.Def.Steps[0].Type == flow.TypeTask) { // a step that goes over a list
		one := flow.Task("s", "svc", "h", flow.ForEach("[1]"))
		if child {
			one = flow.Child("s", "w", flow.ForEach("[1]"))
		}
		steps := []flow.Step{one, flow.Task("late", "svc", "h")}
		var err error
		if g, err = flow.NewGraph(&flow.Definition{Steps: steps}); err != nil {
			t.Fatal(err)
		}
	}
	if kind == event.RunFinishing { // a run with steps of finally
		var err error
		if g, err = flow.NewGraph(&flow.Definition{Steps: g.Def.Steps, Finally: []flow.Step{flow.Task("last", "svc", "h")}}); err != nil {
			t.Fatal(err)
		}
	}
	s := begun(t, g, from)
	if child && kind != event.ItemsSet && kind != event.ChildStarted { // its child is open
		s = begun(t, g, replay.StepScheduled)
		if err := s.Apply(9, 2, &event.Event{Kind: event.ChildStarted, Attempt: 1, ID: "c"}); err != nil {
			t.Fatal(err)
		}
		s.Steps[0].State = from
	}
	e := event.Event{Kind: kind, Attempt: 1, Due: 5, Payload: []byte("1"), Timer: 0}
	switch kind {
	case event.ChildStarted, event.ChildEnded:
		e.ID = "c"
	case event.RunFinishing:
		e.Name = "failed"
	case event.StepScheduled:
		e.Attempt = 2
	case event.StepKept:
		s.Fork, e.Name = &replay.Forked{}, "completed"
	case event.KeysGranted:
		s.Steps[0].Fence = 0
	case event.ItemsSet:
		e.Payload = []byte("[1]")
	case event.StepCompleted:
		e.Ref = 2 // the signal
		if from == replay.StepWaiting {
			s.Steps[0].Output.Seq = 2 // the round
		}
	}
	if s.Apply(10, 2, &e) != nil {
		return 0, false
	}
	return s.Steps[0].State, true
}

func followRun(t *testing.T, status replay.RunState, kind event.Kind) (replay.RunState, bool) {
	g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{flow.Task("s", "svc", "h")}})
	if err != nil {
		t.Fatal(err)
	}
	s := begun(t, g, replay.StepFailed)
	s.Status = status
	if status == replay.Completed {
		s = begun(t, g, replay.StepRunning)
		if err := s.Apply(9, 2, &event.Event{Kind: event.StepCompleted, Attempt: 1, Payload: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		s.Status = status
	}
	if s.Apply(10, 2, &event.Event{Kind: kind, Attempt: 2, ID: "two", Payload: []byte("1")}) != nil {
		return 0, false
	}
	return s.Status, true
}
