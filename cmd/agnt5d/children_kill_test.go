package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

const (
	parcel = "steps:\n- {name: pack, service_name: svc, handler_name: pack}\n- {name: ship, service_name: svc, handler_name: ship, dependencies: [pack]}\n"
	order  = "steps:\n- {name: parcels, type: workflow, workflow_name: parcel, for_each: 'map(1..input, ({n: #}))', max_parallel: 6}\n" +
		"- {name: bill, service_name: svc, handler_name: bill, dependencies: [parcels]}\n"
)

// A daemon is killed again and again while a run has children: each child is started once and completed once, and the run completes with their outputs.
func TestAParentAndItsChildrenOverKills(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	shipped := make(chan bool, 1000)
	var billed atomic.Value
	d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{
		"pack": func(_ context.Context, task *worker.Task) (json.RawMessage, error) { return task.WorkflowInput, nil },
		"ship": func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
			shipped <- true
			return task.Dependencies["pack"], nil
		},
		"bill": func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
			billed.Store(string(task.Dependencies["parcels"]))
			return json.RawMessage(`"billed"`), nil
		},
	})
	d.say(t, 0, "parcel version 1 is new", "register", "parcel", fileIn(t, d.dir, "parcel.yaml", parcel))
	d.say(t, 0, "order version 1 is new", "register", "order", fileIn(t, d.dir, "order.yaml", order))
	kills := rounds(t, 5)
	parcels := 8 * kills
	d.say(t, 0, "o1", "start", "order", "--id", "o1", "--input", fmt.Sprint(parcels))
	for range kills { // at once, and then each time after some more parcels, six at most
		d.kill()
		d.again(t)
		for range 1 + rand.IntN(6) {
			select {
			case <-shipped:
			case <-time.After(time.Minute):
				t.Fatal("no parcel was shipped for a minute")
			}
		}
	}
	d.say(t, 0, "o1  completed", "wait", "o1", "--timeout", "60s")

	var want []string
	for n := range parcels {
		want = append(want, fmt.Sprintf(`{"ship":{"n":%d}}`, n+1))
	}
	if got := billed.Load(); got != "["+strings.Join(want, ",")+"]" {
		t.Errorf("the step after the children was given %v", got)
	}
	began := map[string]bool{} // what the parent's journal says
	for _, e := range eventsOf(t, d, "o1") {
		if e.Kind == "ChildStarted" {
			child := fmt.Sprint(e.Data["child"])
			if began[child] {
				t.Errorf("%s was started twice", child)
			}
			began[child] = true
		}
	}
	code, out, errs := d.cli(t, "list", "--parent", "o1", "--limit", "0", "-o", "json")
	var listed struct {
		Runs []model.RunHead `json:"runs"`
	}
	if err := json.Unmarshal([]byte(out), &listed); code != 0 || err != nil {
		t.Fatalf("exit %d, %v: %s%s", code, err, out, errs)
	}
	if len(began) != parcels || len(listed.Runs) != parcels {
		t.Errorf("the parent started %d children and has %d, want %d", len(began), len(listed.Runs), parcels)
	}
	d.say(t, 0, "a child of run o1 for step", "show", listed.Runs[0].WorkflowID)
	if code, out, _ := d.cli(t, "history", "o1"); code != 0 || strings.Contains(out, "map[") {
		t.Errorf("the history is not told in JSON: %s", out)
	}
	for _, run := range listed.Runs {
		kinds := map[string]int{}
		for _, e := range eventsOf(t, d, run.WorkflowID) {
			kinds[e.Kind]++
		}
		if !began[run.WorkflowID] || run.State != "completed" || kinds["RunStarted"] != 1 || kinds["RunCompleted"] != 1 || kinds["StepCompleted"] != 2 {
			t.Errorf("%s is %s, and its journal has %v", run.WorkflowID, run.State, kinds)
		}
	}
}

// eventsOf gives all events of a run, as the command line shows them.
func eventsOf(t *testing.T, d *daemon, run string) (all []model.Event) {
	t.Helper()
	code, out, errs := d.cli(t, "history", run, "-o", "json")
	if code != 0 {
		t.Fatalf("history %s: exit %d: %s", run, code, errs)
	}
	for line := range strings.Lines(out) {
		var e model.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, e)
	}
	return all
}
