package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/model"
)

// The line of an event says what the event says, whatever kind it is of, from a file and from a daemon alike.
func TestALineSaysWhatItsEventSays(t *testing.T) {
	task := flow.Task("turn", "s", "h")
	task.When, task.Repeat, task.OnFailure = "input.n > 1", &flow.Repeat{Until: "output.done", MaxRounds: new(int64(3))}, "other"
	g, err := flow.NewGraph(&flow.Definition{Steps: []flow.Step{flow.Task("other", "s", "h"), task}})
	if err != nil {
		t.Fatal(err)
	}
	full := event.Event{Step: 1, Attempt: 7, Version: 9, Due: 1_800_000_000_000, Time: 1_800_000_060_000, Ref: 1234567, Hash: 1,
		Name: "a-name", ID: "an-id", Digest: "a-digest", Code: "a_code", Message: "a message", Type: "AType", Stack: "a stack", Trace: "a-trace", By: "local",
		Payload: []byte(`{"a":"payload"}`), Objects: []event.ObjectWrite{{Key: "a-key", State: []byte("1"), Version: 1}}}
	for k := event.Kind(1); k < 64; k++ {
		if strings.HasPrefix(k.String(), "Kind(") {
			continue
		}
		for _, forced := range []bool{false, true} {
			e := full
			if e.Kind, e.Forced = k, forced; k == event.RunsDeleted {
				e.Payload = event.AppendDeleted(nil, event.Deleted{Run: 1, ID: "gone-1"}, event.Deleted{Run: 2, ID: "gone-2"})
			}
			err := event.Decode(event.AppendBody(nil, []event.Event{e}), func(_ int, e *event.Event) error {
				here := archive.Show(5, 1, 1, "run", g, e)
				sent, err := model.Marshal(here)
				if err != nil {
					return err
				}
				var there model.Event
				if err := json.Unmarshal(sent, &there); err != nil {
					return err
				}
				line := summary(&here, time.UTC)
				if other := summary(&there, time.UTC); other != line {
					t.Errorf("%s reads\n  %s\nfrom a file, and\n  %s\nfrom a daemon", k, line, other)
				}
				for key, v := range here.Data {
					usual := v == false && key != "result" && key != "retryable" || v == true && key == "retryable"
					if says := strings.Contains(line, " "+key+"="); says == usual && !slices.Contains([]string{"digest", "traceparent", "stack", "started_at"}, key) {
						t.Errorf("%s has %s=%v, and its line is: %s", k, key, v, line)
					}
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s: %v", k, err)
			}
		}
	}
}

// What a newcomer looks for in a line.
func TestLinesOfConditionsRoundsSchedulesAndDeletions(t *testing.T) {
	l := &eventLines{in: time.UTC, named: true}
	line := func(kind, step string, data map[string]any) string {
		return l.line(&model.Event{Seq: 9, At: "2026-11-26T10:00:00.000Z", WorkflowID: "r", Kind: kind, Step: step, Data: data})
	}
	many := make([]string, 200)
	for i := range many {
		many[i] = fmt.Sprintf("run-%d", i)
	}
	for _, c := range []struct{ got, want string }{
		{line("ConditionEvaluated", "invoice", map[string]any{"result": false, "when": "input.total > 9", "saw": json.RawMessage(`{"input.total":3}`)}),
			`ConditionEvaluated invoice when=input.total > 9 result=false saw={"input.total":3}`},
		{line("RoundCompleted", "poll", map[string]any{"output": json.RawMessage(`{"done":true}`)}), `RoundCompleted poll output={"done":true}`},
		{line("StepCompleted", "poll", map[string]any{"round_seq": 8}), `StepCompleted poll round_seq=8 output={"done":true}`},
		{line("ScheduleDecided", "", map[string]any{"schedule": "nightly", "revision": 2, "outcome": "started", "run": "nightly-1", "nominal_at": "2026-11-26T02:00:00.000Z", "by": "local"}),
			`ScheduleDecided schedule=nightly revision=2 outcome=started run=nightly-1 nominal_at=2026-11-26 02:00:00Z by=local`},
		{line("RunsDeleted", "", map[string]any{"reason": "purge", "workflow_ids": []any{"a", "b"}, "by": "ci"}), `RunsDeleted reason=purge workflow_ids=2 runs: a,b by=ci`},
		{line("RunsDeleted", "", map[string]any{"workflow_ids": many}), `workflow_ids=200 runs: run-0,run-1,`},
		{line("SignalReceived", "", map[string]any{"name": "go", "payload": json.RawMessage("\"\u001b[2J\"")}), `payload="\u001b[2J"`},
	} {
		if !strings.Contains(c.got, c.want) || len(c.got) > 300 {
			t.Errorf("%s\nwant %s", c.got, c.want)
		}
	}
}

// Every verb that meets damage names its run by the id that people know: those that read a file, those that copy one, and the daemon.
func TestDamageIsNamedAlike(t *testing.T) {
	for _, run := range []string{"run-waits", "run-bad"} { // its only record; the last of several
		path := journalFile(t)
		keys, values := logValues(t, path)
		hit := slices.IndexFunc(values, func(v []byte) bool { return bytes.Contains(v, []byte(run)) })
		if run == "run-bad" {
			hit = slices.IndexFunc(values, func(v []byte) bool { return bytes.Contains(v, []byte("no such customer")) })
		}
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		values[hit][len(values[hit])-1] ^= 0x10
		if err := errors.Join(db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("log")).Put(keys[hit], values[hit]) }), db.Close()); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("record %d of run %s: ", binary.BigEndian.Uint64(keys[hit]), run)
		for _, args := range [][]string{{"verify", path}, {"doctor", path}, {"replay", path, "--check"}, {"replay", path, "--run", run},
			{"history", run, "--file", path}, {"restore", path, "--file", path + ".back"}, {"backup", path + ".copy", "--file", path}} {
			if code, out, errs := agnt5d(t, args...); code != exitError || !strings.Contains(out+errs, want) {
				t.Errorf("agnt5d %q: exit %d, want %q\n%s%s", args, code, want, out, errs)
			}
		}
		var log output
		eng, err := engine.Open(path, engine.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = eng.History(t.Context(), run, 0, 100)
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
		if !strings.Contains(log.String(), "run="+run+" ") {
			t.Errorf("the daemon's log says\n%s", log.String())
		}
	}
}
