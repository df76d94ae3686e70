package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/model"
)

const plannedParts = `steps:
- {name: ok, type: wait_signal, signal: {name: ok}}
`

// planned has what a plan can speak of: a compensation, a list, a child, a condition and finally steps. Nobody serves its handlers.
const planned = `steps:
- {name: pay, service_name: svc, handler_name: h, compensate: {handler_name: refund}}
- {name: each, service_name: svc, handler_name: h, for_each: [1, 2, 3], max_parallel: 2}
- {name: parts, type: workflow, workflow_name: parts}
- {name: ship, service_name: svc, handler_name: h, dependencies: [pay]}
- {name: gift, service_name: svc, handler_name: h, dependencies: [ship], when: "input == 1"}
- {name: bill, service_name: svc, handler_name: h, dependencies: [ship, each]}
finally:
- {name: report, service_name: svc, handler_name: h}
- {name: unlock, service_name: svc, handler_name: h, dependencies: [report]}
`

// What is planned at the shell is what then happens, and it is refused as the deed is.
func TestAPlanSaysWhatHappens(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	for name, text := range map[string]string{"parts": plannedParts, "w": planned} {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d.say(t, 0, name+" version 1 is new", "register", name, file)
	}
	d.say(t, 0, "r", "start", "w", "--id", "r", "--input", "1")
	c := d.client(t)
	child := childOf(t, d, "r", "parts")
	events := shownOf(t, d, "r").Events
	d.say(t, 0, "plan of skipping step pay of run r; nothing was done\nthe run is then:    running\nends:               pay skipped (operator), ship skipped (dependency), gift skipped (dependency)\n", "skip", "r", "pay", "--plan")
	d.say(t, 0, "children:           "+child+" of parts is cancelled\nfinally runs:       report, unlock\n", "cancel", "r", "--plan")
	d.say(t, 2, "--plan takes runs by their ids", "cancel", "--all", "--workflow", "w", "--plan")
	for _, deed := range [][]string{{"skip", "r", "pay"}, {"complete", "r", "pay"}, {"cancel", "r"}, {"retry", "r"}} {
		d.say(t, 2, "reason: 1025 bytes, the limit is 1024", append(deed, "--plan", "--reason", strings.Repeat("x", 1025))...)
	}
	if n := shownOf(t, d, "r").Events; n != events {
		t.Errorf("plans have written %d events", n-events)
	}

	deeds := []client.Deed{
		{Do: model.DeedFail, Step: "nobody"},
		{Do: model.DeedRetry},
		{Do: model.DeedSkip, Step: "ship"},
		{Do: model.DeedComplete, Step: "pay", Output: map[string]int{"euro": 3}},
		{Do: model.DeedComplete, Step: "each[2]", Output: 7},
		{Do: model.DeedSkip, Step: "each[0]"},
		{Do: model.DeedComplete, Step: "ship"},
		{Do: model.DeedFail, Step: "each[1]"}, // the run fails by it, and compensates
		{Do: model.DeedRetry},
		{Do: model.DeedComplete, Step: "pay/undo"},
		{Do: model.DeedSkip, Step: "report"},
		{Do: model.DeedComplete, Step: "report"},
		{Do: model.DeedRetry}, // a retry would build on what was taken back
		{Do: model.DeedCancel},
	}
	for _, deed := range deeds {
		plan, refused := c.Plan(t.Context(), "r", deed)
		err := doDeed(t.Context(), c, "r", deed)
		if (err == nil) != (refused == nil) || err != nil && strings.ReplaceAll(err.Error(), "\n", "") != strings.ReplaceAll(refused.Error(), "\n", "") {
			t.Errorf("%+v: the plan says %v, and then it was %v", deed, refused, err)
		}
		if err != nil || refused != nil {
			continue
		}
		st := shownOf(t, d, "r")
		if st.State != plan.State || st.State == "finishing" && st.Fate != plan.Fate {
			t.Errorf("%+v: the run is %s (%s), planned was %s (%s)", deed, st.State, st.Fate, plan.State, plan.Fate)
		}
		for _, s := range slices.Concat(plan.Ends, plan.Starts) {
			if is, shown := st.Steps[s.Step]; shown && is.State != s.State {
				t.Errorf("%+v: step %s is %s, planned was %s", deed, s.Step, is.State, s.State)
			}
		}
		if !slices.ContainsFunc(plan.Ends, func(s model.PlanStep) bool { return s.Step == deed.Step }) {
			t.Errorf("%+v: the plan does not say what becomes of the step: %+v", deed, plan)
		}
	}
}

// childOf waits for the child of a step.
func childOf(t *testing.T, d *daemon, run, step string) (child string) {
	t.Helper()
	until(t, func() bool {
		child = shownOf(t, d, run).Steps[step].Child
		return child != ""
	})
	return child
}

func doDeed(ctx context.Context, c *client.Client, run string, d client.Deed) error {
	switch d.Do {
	case model.DeedComplete:
		return c.CompleteStep(ctx, run, d.Step, d.Output, "planned")
	case model.DeedSkip:
		return c.SkipStep(ctx, run, d.Step, "planned")
	case model.DeedFail:
		return c.FailStep(ctx, run, d.Step, "planned")
	case model.DeedRetry:
		return c.Retry(ctx, run, "planned")
	}
	return c.Cancel(ctx, run, "planned")
}

// A child that was cancelled is retried with its parent: what is offered for it works.
func TestWhatIsOfferedForACancelledChildWorks(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	for name, text := range map[string]string{"parts": plannedParts, "w": "steps:\n- {name: parts, type: workflow, workflow_name: parts}\n"} {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d.say(t, 0, name+" version 1 is new", "register", name, file)
	}
	d.say(t, 0, "p", "start", "w", "--id", "p")
	child := childOf(t, d, "p", "parts")
	d.say(t, 0, "is cancelled", "cancel", child, "--reason", "not this one")
	d.say(t, 3, "p  failed", "wait", "p", "--timeout", "30s")
	d.say(t, 0, "the run was cancelled: not this one\n  agnt5d retry p\n", "explain", child)
	d.say(t, 6, "parent_decides", "retry", child)
	d.say(t, 0, "children:           "+child+" of parts is taken up\nmay repeat outside: parts\n", "retry", "p", "--plan")
	d.say(t, 0, "run p is open again", "retry", "p", "--reason", "that one after all")
	d.say(t, 0, "that one after all", "history", "p")
	d.say(t, 0, "ok", "signal", child, "ok")
	d.say(t, 0, "p  completed", "wait", "p", "--timeout", "30s")
}

// What a plan says of a child is what the child is: a new one takes the place of one that was deleted. A wait that still lasts has its time.
func TestAPlanSaysWhatAChildIs(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	for name, text := range map[string]string{
		"parcel": "steps:\n- {name: label, service_name: svc, handler_name: h, compensate: {handler_name: undo}}\n- {name: hand, type: wait_signal, signal: {name: hand}, dependencies: [label]}\n",
		"plain":  "steps:\n- {name: hand, type: wait_signal, signal: {name: hand}}\n",
		"w": "steps:\n- {name: pack, type: workflow, workflow_name: parcel}\n- {name: more, type: workflow, workflow_name: plain}\n- {name: done, type: workflow, workflow_name: plain}\n" +
			"- {name: nap, type: wait_timer, timer: {key: nap, delay_ms: 3600000}}\n",
	} {
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d.say(t, 0, name+" version 1 is new", "register", name, file)
	}
	d.say(t, 0, "p", "start", "w", "--id", "p")
	pack, more, done := childOf(t, d, "p", "pack"), childOf(t, d, "p", "more"), childOf(t, d, "p", "done")
	d.say(t, 0, "", "complete", pack, "label")
	d.say(t, 0, "ok", "signal", done, "hand")
	until(t, func() bool { return shownOf(t, d, "p").Steps["done"].State == "completed" })
	d.say(t, 0, pack+" of pack is cancelled and compensates label, ", "cancel", "p", "--plan")
	d.say(t, 0, "children stay:      done\n", "cancel", "p", "--plan")
	d.say(t, 0, "", "fail", pack, "hand")
	d.say(t, 0, "", "skip", pack, "label/undo")
	d.say(t, 3, "p  failed", "wait", "p", "--timeout", "30s")
	until(t, func() bool { return shownOf(t, d, more).State == "cancelled" })
	d.say(t, 0, pack+" of pack is taken up", "retry", "p", "--plan") // nobody was ever given its compensation
	d.say(t, 0, "", "delete", pack)
	d.say(t, 0, pack+" of pack is replaced by a new one (it was deleted)", "retry", "p", "--plan")
	d.say(t, 0, more+" of more is taken up", "retry", "p", "--plan")
	d.say(t, 0, "nap waiting until 2", "retry", "p", "--plan")
	d.say(t, 0, "children:           "+more+" of more is taken up\n", "skip", "p", "pack", "--plan")
	d.say(t, 0, "run p is open again", "retry", "p")
	until(t, func() bool { return childOf(t, d, "p", "pack") != pack && childOf(t, d, "p", "more") == more })
}
