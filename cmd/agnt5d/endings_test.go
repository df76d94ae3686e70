package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/worker"
)

const saga = `steps:
  - {name: reserve, service_name: svc, handler_name: do, object_keys: ["order:${ input.order }"], input: {order: "${ input.order }"}, compensate: {handler_name: undo}}
  - {name: charge, service_name: svc, handler_name: do, dependencies: [reserve], compensate: {handler_name: undo}}
  - {name: pack, service_name: svc, handler_name: do, dependencies: [charge], compensate: {handler_name: undo, retry: {initial_interval_ms: 1}}}
  - {name: note, service_name: svc, handler_name: do, dependencies: [charge]}
  - {name: ship, service_name: svc, handler_name: broken, dependencies: [pack, note], retry: {max_attempts: 1}}
finally:
  - {name: report, service_name: svc, handler_name: do, when: 'fate.state == "failed" && steps.charge.state == "completed"'}
`

// undone is what the handlers of a saga saw of its end.
type undone struct {
	sync.Mutex
	calls []string
}

func (u *undone) say(t *worker.Task) {
	u.Lock()
	defer u.Unlock()
	u.calls = append(u.calls, fmt.Sprintf("%s %s %s %s %s", t.Step, t.IdempotencyKey, t.Output, t.Input, t.Fate))
}

// An order fails at its last step. The daemon is killed while a compensation is under way, twice: each step that had completed is
// compensated once, the last one first, one at a time, and the report comes last.
func TestASagaIsCompensatedOverKills(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	file := filepath.Join(dir, "order.yaml")
	if err := os.WriteFile(file, []byte(saga), 0o600); err != nil {
		t.Fatal(err)
	}
	d.say(t, 0, "order version 1 is new", "register", "order", file)
	var seen undone
	under, release := make(chan string), make(chan bool)
	d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{
		"do": func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
			if t.Fate != nil {
				seen.say(t)
			}
			return json.Marshal("of " + t.Step)
		},
		"broken": func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, errors.New("no truck") },
		"undo": func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
			seen.say(t)
			if t.Step == "pack" && t.Attempt == 1 {
				return nil, errors.New("try again")
			}
			if t.Step != "reserve" {
				under <- t.Step
				<-release
			}
			return nil, nil
		},
	})
	d.say(t, 0, "o1", "start", "order", "--id", "o1", "--input", `{"order":17}`)
	for _, step := range []string{"pack", "charge"} {
		if got := <-under; got != step {
			t.Fatalf("%s is compensated before %s", got, step)
		}
		d.say(t, 0, "finishing, its fate: failed", "show", "o1")
		d.say(t, 0, "it compensates "+step, "explain", "o1")
		d.say(t, 0, "o1", "list", "--state", "finishing")
		d.say(t, 6, "run_finishing", "retry", "o1")
		d.say(t, 6, "run_finishing", "cancel", "o1")
		d.say(t, 6, "run_finishing", "signal", "o1", "any")
		d.kill()
		d.again(t)
		release <- true
	}
	d.say(t, exitRunFailed, "o1  failed", "wait", "o1", "--timeout", "60s")
	d.say(t, 0, "compensated 3 of 3", "show", "o1")
	d.say(t, 0, `"compensation":{"total":3,"done":3,"failed":[]}`, "show", "o1", "-o", "json")
	d.say(t, 6, "run_compensated", "retry", "o1")

	fate := `{"state":"failed","error":{"step":"ship","code":"handler_error","message":"no truck","attempt":1}}`
	want := strings.Join([]string{
		`pack o1/pack/undo "of pack"  ` + fate,
		`pack o1/pack/undo "of pack"  ` + fate,
		`charge o1/charge/undo "of charge"  ` + fate,
		`reserve o1/reserve/undo "of reserve" {"order":17} ` + fate,
		`report o1/report   ` + fate,
	}, "\n")
	if got := strings.Join(seen.calls, "\n"); got != want {
		t.Errorf("the handlers were given\n%s\nwant\n%s", got, want)
	}
	_, history, _ := d.cli(t, "history", "o1")
	at := 0
	for _, said := range []string{"RunFinishing", "CompensationBegan pack", "StepCompleted pack/undo", "CompensationBegan charge", "StepCompleted charge/undo",
		"CompensationBegan reserve", "StepCompleted reserve/undo", "FinallyBegan", "StepCompleted report", "RunFailed"} {
		next := strings.Index(history[at:], said)
		if next < 0 || strings.Count(history, said) != 1 {
			t.Fatalf("%s: want it once, behind what was before, in\n%s", said, history)
		}
		at += next
	}
}
