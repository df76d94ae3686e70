package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/worker"
)

// forkable has every kind of step that a fork may keep: a task, one over a list, one that repeats, a wait for a signal, a failure that was caught, a step that
// was skipped; and behind them what runs again.
const forkable = `steps:
- {name: pick, service_name: svc, handler_name: count, object_keys: [shelf]}
- {name: each, service_name: svc, handler_name: count, dependencies: [pick], for_each: [5, 6]}
- {name: again, service_name: svc, handler_name: count, dependencies: [pick], repeat: {until: "round == 1", max_rounds: 3}}
- {name: go, type: wait_signal, signal: {name: go}}
- {name: risky, service_name: svc, handler_name: breaks, retry: {max_attempts: 1}, on_failure: mend}
- {name: mend, service_name: svc, handler_name: count}
- {name: never, service_name: svc, handler_name: count, when: "input == 5"}
- {name: ship, service_name: svc, handler_name: ship, dependencies: [pick, each, again, go, mend], retry: {max_attempts: 1}}
- {name: last, service_name: svc, handler_name: count, dependencies: [ship]}
`

// A run of many steps that failed is forked, and its daemon killed in the middle: what was kept never runs there, and the rest is completed once. The run that
// it was forked from is deleted meanwhile.
func TestAForkOverKills(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	file := filepath.Join(dir, "w.yaml")
	if err := os.WriteFile(file, []byte(forkable), 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	calls := map[string]int{}
	called := func(task *worker.Task) {
		mu.Lock()
		defer mu.Unlock()
		calls[task.WorkflowID+"/"+task.Step]++
	}
	began, goOn := make(chan string, 10), make(chan struct{})
	var saw json.RawMessage
	d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{
		"count": func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
			called(task)
			return json.RawMessage(`{"by":"handler"}`), nil
		},
		"breaks": func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
			called(task)
			return nil, errors.New("it breaks")
		},
		"ship": func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
			called(task)
			if task.WorkflowID == "r1" {
				return nil, errors.New("no ship")
			}
			mu.Lock()
			saw, _ = json.Marshal(task.Dependencies)
			mu.Unlock()
			began <- task.WorkflowID
			<-goOn
			return nil, nil
		},
	})
	d.say(t, 0, "w version 1 is new", "register", "w", file)
	d.say(t, 0, "r1", "start", "w", "--id", "r1", "--input", "4", "--tag", "team=data")
	d.say(t, 6, "run_open", "fork", "r1", "--from", "ship")
	d.say(t, 0, "go", "signal", "r1", "go", "--payload", `"now"`, "--id", "s1")
	d.say(t, 3, "r1  failed", "wait", "r1", "--timeout", "30s")

	d.say(t, 5, "step_not_found", "fork", "r1", "--from", "nobody")
	d.say(t, 5, "step_not_found", "fork", "r1", "--from", "ship", "--set", "nobody=1")
	d.say(t, 5, "workflow_not_found", "fork", "r1", "--from", "ship", "--version", "2")
	d.say(t, 5, "run_not_found", "fork", "r9", "--from", "ship")
	d.say(t, 2, "wants --from", "fork", "r1")
	d.say(t, 2, "--set pick: the output is not JSON: unexpected end of JSON input at byte 1, line 1\n", "fork", "r1", "--from", "ship", "--set", "pick={")
	d.say(t, 2, `; a text needs quotes around it: --set 'pick="two"'`, "fork", "r1", "--from", "ship", "--set", "pick=two")
	d.say(t, 0, "kept:               pick, each, again, go, risky, mend, never\nruns again:         ship, last\nmay repeat outside: ship\n", "fork", "r1", "--from", "ship", "--plan")
	d.say(t, 5, "run_not_found", "show", "f1")

	d.say(t, 0, "f1", "fork", "r1", "--from", "ship", "--id", "f1")
	d.kill()
	d.again(t)
	d.say(t, 0, "run f1 exists already: it is this fork", "fork", "r1", "--from", "ship", "--id", "f1")
	d.say(t, 6, "run_conflict", "fork", "r1", "--from", "last", "--id", "f1")
	d.say(t, 6, "run_conflict", "fork", "r1", "--from", "last", "--id", "f1", "--plan")
	d.say(t, 6, "run_conflict", "fork", "r1", "--from", "ship", "--set", "mend=1", "--id", "f1")
	d.say(t, 6, "run_conflict", "fork", "r1", "--from", "ship", "--id", "r1")
	<-began
	d.kill()
	d.again(t)
	d.say(t, 0, "", "delete", "r1")
	d.say(t, 0, "run f1 exists already", "fork", "r1", "--from", "ship", "--id", "f1")
	close(goOn)
	d.say(t, 0, "f1  completed", "wait", "f1", "--timeout", "30s")
	d.say(t, 0, "a fork of run r1 from ship", "show", "f1")
	d.say(t, 0, "team=data", "show", "f1")
	d.say(t, 0, "risky  failed    kept, mend took over", "show", "f1")
	d.say(t, 0, "RunForked", "history", "f1")

	st := shownOf(t, d, "f1")
	if st.HandledFailures != 1 || st.Steps["risky"].State != "failed" || st.Steps["never"].SkipReason != "when" || st.Steps["go"].Output == nil || string(st.Steps["go"].Output) != `"now"` ||
		*st.Steps["again"].Round != 1 || st.Steps["each"].Items.Completed != 2 || st.Steps["pick"].Kept != "kept" || st.Steps["ship"].Kept != "" || string(st.Input) != "4" {
		b, _ := json.MarshalIndent(st, "", " ")
		t.Errorf("the fork is %s", b)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, step := range []string{"pick", "each", "again", "risky", "mend", "never"} {
		if n := calls["f1/"+step]; n != 0 {
			t.Errorf("step %s is kept, and ran %d times", step, n)
		}
	}
	if want := `{"again":{"by":"handler"},"each":[{"by":"handler"},{"by":"handler"}],"go":"now","mend":{"by":"handler"},"pick":{"by":"handler"}}`; string(saw) != want {
		t.Errorf("what ran again got %s, want %s", saw, want)
	}
	_, history, _ := d.cli(t, "history", "f1", "-o", "json")
	for _, step := range []string{"ship", "last"} {
		if n := strings.Count(history, `"StepCompleted","step":"`+step+`"`); n != 1 {
			t.Errorf("step %s was completed %d times:\n%s", step, n, history)
		}
	}
	d.say(t, 0, `"kept":["pick","each","again","go","risky","mend","never","ship"]`, "fork", "f1", "--from", "last", "-o", "json", "--plan") // what is kept of a fork is kept again
}

func shownOf(t *testing.T, d *daemon, run string) *model.Status {
	t.Helper()
	st, err := d.client(t).Status(t.Context(), run, "all")
	if err != nil {
		t.Fatal(err)
	}
	return st
}
