package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A daemon is killed between the steps of workflows with conditions and branches of failures, and the shell says what became of them.
func TestConditionsAndFailureBranchesAtTheShell(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	for name, yaml := range map[string]string{
		"choice": `steps:
  - {name: check, service_name: svc, handler_name: noop}
  - {name: big, service_name: svc, handler_name: noop, dependencies: [check], when: input.amount > 100}
  - {name: small, service_name: svc, handler_name: noop, dependencies: [check], when: input.amount <= 100}
  - {name: wait, type: wait_signal, dependencies: [big, small], join: any, signal: {name: go}}
  - {name: end, service_name: svc, handler_name: noop, dependencies: [wait], when: steps.small.state == "skipped"}
`,
		"caught": `steps:
  - {name: pay, service_name: svc, handler_name: fail, retry: {max_attempts: 1}, on_failure: refund}
  - {name: ship, service_name: svc, handler_name: noop, dependencies: [pay]}
  - {name: refund, service_name: svc, handler_name: noop}
  - {name: tell, service_name: svc, handler_name: noop, dependencies: [ship, refund]}
`,
		"poller": `steps:
  - {name: poll, service_name: svc, handler_name: noop, repeat: {until: round == 1, interval_ms: 2000, max_rounds: 5}}
`,
		"crawl": `steps:
  - {name: list, service_name: svc, handler_name: list}
  - {name: each, service_name: svc, handler_name: double, after: [list], for_each: steps.list.output, max_parallel: 3, retry: {initial_interval_ms: 1},
     repeat: {until: index != 5 || round == 1, interval_ms: 2000, max_rounds: 5}}
  - {name: sum, service_name: svc, handler_name: sum, dependencies: [each]}
`,
		"broken": `steps:
  - {name: end, service_name: svc, handler_name: noop, when: input.amount.more > 1}
`,
	} {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		d.say(t, 0, name+" version 1 is new", "register", name, file)
	}
	d.say(t, 0, "c1", "start", "choice", "--id", "c1", "--input", `{"amount":120}`)
	worker := startWorker(t, d.url)
	until(t, func() bool {
		_, out, _ := d.cli(t, "explain", "c1")
		return strings.Contains(out, `waits for signal "go"`)
	})
	d.say(t, 0, `small: was skipped: its condition input.amount <= 100 is false; it saw {"input.amount":120}`, "explain", "c1")
	d.say(t, 0, "input.amount <= 100 is false", "show", "c1")
	d.kill()
	d.again(t)
	d.say(t, 0, "step wait took it", "signal", "c1", "go")
	d.say(t, 0, "completed", "start", "choice", "--id", "c1", "--input", `{"amount":120}`, "--wait")
	d.say(t, 0, `ConditionEvaluated small when=input.amount <= 100 result=false saw={"input.amount":120}`, "history", "c1")

	d.say(t, 0, "f1  completed", "start", "caught", "--id", "f1", "--wait")
	d.say(t, 0, `"handled_failures":1`, "show", "f1", "-o", "json")
	d.say(t, 0, "refund took over", "show", "f1")
	d.say(t, 0, "ship: was skipped: something that it depends on failed or timed out", "explain", "f1")

	d.say(t, 0, "p1", "start", "poller", "--id", "p1")
	until(t, func() bool {
		_, out, _ := d.cli(t, "explain", "p1")
		return strings.Contains(out, "waits for its next round until")
	})
	d.say(t, 0, "round 2", "show", "p1")
	d.kill()
	d.again(t)
	d.say(t, 0, "p1  completed", "start", "poller", "--id", "p1", "--wait")
	d.say(t, 0, "RoundCompleted", "history", "p1")

	d.say(t, 0, "i1", "start", "crawl", "--id", "i1")
	until(t, func() bool {
		_, out, _ := d.cli(t, "explain", "i1")
		return strings.Contains(out, "each[5]: waits for its next round until")
	})
	d.kill()
	d.again(t)
	d.say(t, 0, "i1  completed", "start", "crawl", "--id", "i1", "--wait")
	d.say(t, 0, `"items":{"total":12,"completed":12,"failed":0,"open":0,"waiting":0,"cancelled":0}`, "show", "i1", "-o", "json")
	d.say(t, 0, "12 of 12 items", "show", "i1")
	_, items, _ := d.cli(t, "show", "i1", "--items", "each", "--only", "completed")
	if !strings.Contains(items, "each[5]   completed  2") || strings.Count(items, "each[") != 12 {
		t.Errorf("the items are listed as\n%s", items)
	}
	c := d.client(t)
	page, err := c.Items(t.Context(), "i1", "each", "", "", 7)
	if err != nil || len(page.Items) != 7 || page.NextCursor == "" {
		t.Fatalf("a page of 7 items: %+v, %v", page, err)
	}
	rest, err := c.Items(t.Context(), "i1", "each", "completed", page.NextCursor, 0)
	if err != nil || len(rest.Items) != 5 || rest.NextCursor != "" || rest.Items[4].Name != "each[11]" || string(rest.Items[4].Output) != "22" {
		t.Errorf("the items behind it: %+v, %v", rest, err)
	}
	if out, err := c.StepOutput(t.Context(), "i1", "each[3]"); err != nil || string(out) != "6" {
		t.Errorf("the output of one item: %s, %v", out, err)
	}
	if _, err := c.StepOutput(t.Context(), "i1", "each[12]"); err == nil || !strings.Contains(err.Error(), "each[12]") {
		t.Errorf("the output of an item that is not there: %v", err)
	}
	d.say(t, exitNotFound, "as one with for_each", "show", "i1", "--items", "sum")
	_, history, _ := d.cli(t, "history", "i1")
	for i := range 12 {
		if n := strings.Count(history, fmt.Sprintf("StepCompleted each[%d] ", i)); n != 1 {
			t.Errorf("item %d completed %d times:\n%s", i, n, history)
		}
	}

	d.say(t, exitRunFailed, "cannot take more of a number", "start", "broken", "--id", "b1", "--input", `{"amount":5}`, "--wait")
	d.say(t, 0, "expression_failed", "explain", "b1")
	if code := worker.stop(t); code != 0 {
		t.Errorf("the worker ended with %d: %s", code, worker.said)
	}
}

// What a step's input and object keys come to is worked out once; a daemon that is killed before the step is done does not change it.
func TestTemplatesAtTheShell(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	file := filepath.Join(dir, "order.yaml")
	if err := os.WriteFile(file, []byte(`steps:
  - {name: price, service_name: svc, handler_name: noop}
  - name: bill
    service_name: svc
    handler_name: said
    dependencies: [price]
    input: {of: "order ${ input.order }", price: "${ steps.price.output }", plain: "$${x}"}
    object_keys: ["order:${ input.order }"]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	d.say(t, 0, "order version 1 is new", "register", "order", file)
	holder := filepath.Join(dir, "holder.yaml")
	if err := os.WriteFile(holder, []byte(`steps:
  - {name: hold, service_name: nobody, handler_name: h, object_keys: ["order:7"]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	d.say(t, 0, "holder version 1 is new", "register", "holder", holder)
	d.say(t, 0, "h1", "start", "holder", "--id", "h1")
	worker := startWorker(t, d.url)
	d.say(t, 0, "o1", "start", "order", "--id", "o1", "--input", `{"order":7}`)
	until(t, func() bool {
		_, out, _ := d.cli(t, "explain", "o1")
		return strings.Contains(out, "order:7")
	})
	d.say(t, 0, `TemplatesEvaluated`, "history", "o1")
	d.kill()
	d.again(t)
	d.say(t, 0, "", "cancel", "h1")
	d.say(t, 0, "completed", "start", "order", "--id", "o1", "--input", `{"order":7}`, "--wait")
	d.say(t, 0, `{"input":{"of":"order 7","plain":"${x}","price":"done"},"keys":["order:7"]}`, "show", "o1", "-o", "json")
	d.say(t, exitRunFailed, "object_keys[0]", "start", "order", "--id", "o2", "--input", `{"order":"\u0000"}`, "--wait")
	d.say(t, 0, "object_key_invalid", "explain", "o2")
	if code := worker.stop(t); code != 0 {
		t.Errorf("the worker ended with %d: %s", code, worker.said)
	}
}

// A run may start later, has a time limit, and gives what its template says, whenever the daemon is killed.
func TestTheWholeOfARunAtTheShell(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	for name, yaml := range map[string]string{
		"short": `timeout: 2s
steps:
  - {name: never, type: wait_signal, signal: {name: never}}
`,
		"sum": `output: {sum: "${ steps.a.output + input.n }", said: "a is ${ steps.a.state }"}
steps:
  - {name: a, type: wait_signal, signal: {name: go}}
`,
	} {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		d.say(t, 0, name+" version 1 is new", "register", name, file)
	}
	d.say(t, 0, "l1", "start", "sum", "--id", "l1", "--input", `{"n":1}`, "--delay", "1h")
	d.say(t, 0, "its first steps wait until", "explain", "l1")
	d.say(t, 0, "first steps at", "show", "l1")
	d.say(t, 0, "l2", "start", "sum", "--id", "l2", "--input", `{"n":1}`, "--start-at", "2020-01-01T00:00:00Z")
	d.say(t, 0, "s1", "start", "short", "--id", "s1")
	d.say(t, 0, "its time is over", "show", "s1")
	d.kill()
	d.again(t)
	d.say(t, 0, "its first steps wait until", "explain", "l1")
	d.say(t, exitRunFailed, "(run_timeout)", "start", "short", "--id", "s1", "--wait")
	d.say(t, 0, "the run failed: the run was not over within 2000 ms", "explain", "s1")
	d.say(t, 0, "run_timeout", "list", "--error-code", "run_timeout")
	d.say(t, 0, "step a took it", "signal", "l2", "go", "--payload", "2")
	d.say(t, 0, `{"said":"a is completed","sum":3}`, "start", "sum", "--id", "l2", "--input", `{"n":1}`, "--wait")
	d.say(t, 0, "s2", "start", "sum", "--id", "s2", "--input", `{"n":"x"}`)
	d.say(t, 0, "step a took it", "signal", "s2", "go", "--payload", "2")
	d.say(t, exitRunFailed, "cannot add", "start", "sum", "--id", "s2", "--input", `{"n":"x"}`, "--wait")
	d.say(t, exitUsage, "say the same", "start", "sum", "--delay", "1s", "--start-at", "2020-01-01T00:00:00Z")
	d.say(t, exitUsage, "--delay", "start", "sum", "--delay", "soon")
	d.say(t, 0, "", "cancel", "l1")
}

// Outputs of over 16 MiB together reach a worker in another process, which reads them as it needs them, over a daemon that was killed.
func TestLargeOutputsReachAWorker(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	text, names := "steps:\n", []string{}
	for i := range 20 {
		names = append(names, fmt.Sprintf("b%d", i))
		text += fmt.Sprintf("  - {name: b%d, service_name: svc, handler_name: big}\n", i)
	}
	text += "  - {name: go, type: wait_signal, signal: {name: go}}\n"
	text += fmt.Sprintf("  - {name: end, service_name: svc, handler_name: measure, dependencies: [%s], after: [go]}\n", strings.Join(names, ", "))
	file := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.say(t, 0, "big version 1 is new", "register", "big", file)
	worker := startWorker(t, d.url)
	d.say(t, 0, "b1", "start", "big", "--id", "b1")
	until(t, func() bool {
		_, out, _ := d.cli(t, "show", "b1", "-o", "json")
		return strings.Contains(out, `"completed":20`)
	})
	d.kill()
	d.again(t)
	d.say(t, 0, "step go took it", "signal", "b1", "go")
	d.say(t, 0, `{"bytes":18432000,"referred":19}`, "start", "big", "--id", "b1", "--wait")
	if code := worker.stop(t); code != 0 {
		t.Errorf("the worker ended with %d: %s", code, worker.said)
	}
}

// A run starts for each line of a file; lines that cannot be started are named, and the same call again starts nothing twice.
func TestManyStartAtTheShell(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	d.say(t, 0, "w version 1 is new", "register", "w", write("w.yaml", "steps:\n  - {name: a, type: wait_signal, signal: {name: go}}\n"))
	var lines strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&lines, "{\"workflow_id\": \"r%d\", \"input_data\": %d}\n\n", i, i)
	}
	many := write("many.jsonl", lines.String())
	for range 2 {
		code, out, errs := d.cli(t, "start", "w", "--batch", many)
		if ids := strings.Fields(out); code != 0 || len(ids) != 1500 || ids[0] != "r0" || ids[1499] != "r1499" {
			t.Fatalf("%d: %d ids; %s", code, len(ids), errs)
		}
		d.kill()
		d.again(t)
	}
	d.say(t, 0, "1500 runs", "cancel", "--all", "--state", "running", "--dry-run")
	some := write("some.jsonl", `{"workflow_id":"r0","input_data":"another"}
{"workflow_id":"s1","signal":{"name":"go","payload":1}}
{}
{"workflow_id":"s2","delay":"1h"}
`)
	code, out, errs := d.cli(t, "start", "w", "--batch", some)
	if code != exitError || !strings.Contains(errs, some+":1: run_conflict") || !strings.Contains(errs, "1 of 4 runs were not started") || len(strings.Fields(out)) != 3 {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	d.say(t, 0, "completed", "show", "s1")
	d.say(t, 0, "its first steps wait until", "explain", "s2")
	d.say(t, exitUsage, ":2: ", "start", "w", "--batch", write("bad.jsonl", "{}\n{\"id\":1}\n"))
	d.say(t, exitUsage, "--input does not go with --batch", "start", "w", "--batch", some, "--input", "1")
}
