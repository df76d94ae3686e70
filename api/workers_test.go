package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/worker"
)

func (s *site) start(workflow, id string) {
	s.t.Helper()
	s.want(201, "", "POST", "/v1/workflows/"+workflow+"/runs", fmt.Sprintf(`{"workflow_id":%q}`, id))
}

func (s *site) state(id string) map[string]any {
	s.t.Helper()
	return s.want(200, "", "GET", "/v1/runs/"+id, "").json
}

func (s *site) step(id, step string) map[string]any {
	s.t.Helper()
	return s.state(id)["steps"].(map[string]any)[step].(map[string]any)
}

// Each result code, in the order in which they apply, before and after the engine that knew it all by heart is gone.
func TestTheResultCodesOfOutcomes(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", `{"steps":[{"name":"a","service_name":"svc","handler_name":"h","object_keys":["k"]},{"name":"b","service_name":"svc","handler_name":"h","dependencies":["a"]}]}`)
	w, other := s.join(`"h"`, ""), s.join(`"h"`, "")
	s.start("w", "r")
	token := s.task(w, 1)["token"].(string)
	done := `"status":"completed","output":1`
	for name, text := range map[string]string{"nonsense": "abc", "another's": leases.NewSigner([]byte("guess")).Sign(leases.Token{Run: 3, Attempt: 1, Worker: w})} {
		if code := s.outcome(w, text, done); code != "bad_token" {
			t.Errorf("%s token: %s", name, code)
		}
	}
	if code := s.outcome(other, token, done); code != "bad_token" {
		t.Errorf("another worker's token: %s", code)
	}
	if code := s.outcome(w, token, done); code != "recorded" {
		t.Errorf("the first: %s", code)
	}
	if code := s.outcome(w, token, done); code != "duplicate" {
		t.Errorf("again: %s", code)
	}
	if code := s.outcome(w, token, `"status":"completed","output":2`); code != "conflict" {
		t.Errorf("another output: %s", code)
	}
	if code := s.outcome(w, token, `"status":"failed","error":{"message":"no"}`); code != "conflict" {
		t.Errorf("another status: %s", code)
	}
	b := s.task(w, 2)["token"].(string)
	if code := s.outcome(w, b, `"status":"completed","objects":{"k":1}`); code != "invalid" {
		t.Errorf("an object that is not the step's: %s", code)
	}
	if st := s.state("r"); st["state"] != "failed" || st["error"].(map[string]any)["code"] != "object_not_held" {
		t.Errorf("got %v", st)
	}
	if code := s.outcome(w, b, `"status":"completed","output":1`); code != "conflict" {
		t.Errorf("after invalid: %s", code)
	}
	s.start("w", "cancelled")
	c := s.task(w, 3)["token"].(string)
	s.want(202, "", "POST", "/v1/runs/cancelled/cancel", "")
	if code := s.outcome(w, c, done); code != "run_finished" {
		t.Errorf("of a cancelled run: %s", code)
	}
	s.want(202, "", "POST", "/v1/runs/cancelled/retry", "")
	if code := s.outcome(w, c, done); code != "stale_lease" {
		t.Errorf("after the run was retried: %s", code)
	}
	s.outcome(w, s.task(w, 4)["token"].(string), `"status":"failed","error":{"message":"no","retryable":false}`) // of the retry
	for i, rest := range []string{`"status":"odd"`, `"output":1`} {
		s.start("w", fmt.Sprint("odd", i))
		token := s.task(w, 5+i)["token"].(string)
		if code := s.outcome(w, token, rest); code != "invalid" {
			t.Errorf("%s: %s", rest, code)
		}
	}
}

// The first worker leaves, its step is given to a second, which leaves, too. What the first brings then is too late.
func TestAnOutcomeAfterItsStepWasGivenToAnother(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	first := s.join(`"h"`, "")
	s.start("w", "r")
	token := s.task(first, 1)["token"].(string)
	s.want(204, "", "DELETE", "/v1/workers/"+first, "")
	second := s.join(`"h"`, "")
	if task := s.task(second, 1); task["attempt"] != 2.0 {
		t.Fatalf("the second got %v", task)
	}
	s.want(204, "", "DELETE", "/v1/workers/"+second, "")
	r := s.want(201, "", "POST", "/v1/workers", fmt.Sprintf(`{"service_name":"svc","handlers":["h"],"capacity":1,"worker_id":%q,"tokens":[%q]}`, first, token))
	if lost := r.json["lost"].([]any); len(lost) != 1 {
		t.Errorf("lost: %v", lost)
	}
	if code := s.outcome(first, token, `"status":"completed","output":1`); code != "stale_lease" {
		t.Errorf("the first attempt's outcome: %s", code)
	}
	third := s.task(first, 2)
	if code := s.outcome(first, third["token"].(string), `"status":"completed","output":3`); code != "recorded" || third["attempt"] != 3.0 {
		t.Errorf("%v: %s", third, code)
	}
}

// The same seq gives the same answer, tasks included: a lost response loses nothing.
func TestAPollAskedAgainGivesTheSameAnswer(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	w := s.join(`"h"`, "")
	s.start("w", "r1")
	s.start("w", "r2")
	first := s.task(w, 1)
	again := s.task(w, 1)
	if first["token"] != again["token"] {
		t.Errorf("%v and %v", first, again)
	}
	if next := s.task(w, 2); next["token"] == first["token"] {
		t.Errorf("the next poll gave %v again", next)
	}
	s.want(204, "", "POST", "/v1/workers/"+w+"/poll", `{"seq":3,"max":1,"wait_ms":0}`)
	s.want(204, "", "POST", "/v1/workers/"+w+"/poll", `{"seq":3,"max":1,"wait_ms":0}`)
}

// A poll whose connection is gone does not swallow a task.
func TestAVanishedPollTakesNothing(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	w, other := s.join(`"h"`, ""), s.join(`"h"`, "")
	waiting := func() bool {
		all, err := s.eng.Workers(t.Context())
		for _, one := range all {
			if one.WorkerID == w {
				return err == nil && one.Waiting
			}
		}
		return false
	}
	ctx, vanish := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		req, _ := http.NewRequestWithContext(ctx, "POST", s.url+"/v1/workers/"+w+"/poll", strings.NewReader(`{"seq":1,"max":5,"wait_ms":30000}`))
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	})
	until(t, waiting)
	vanish()
	wg.Wait()
	until(t, func() bool { return !waiting() })
	s.start("w", "r")
	s.task(other, 1)
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("it did not come about")
		}
	}
}

func TestAWorkerThatLeavesOrFallsSilentLosesItsTasks(t *testing.T) {
	s := open(t, engine.Options{Lease: time.Second})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.start("w", "r")
	leaver, silent, heir := s.join(`"h"`, ""), s.join(`"h"`, ""), s.join(`"h"`, "")
	first := s.task(leaver, 1)["token"].(string)
	s.want(204, "", "DELETE", "/v1/workers/"+leaver, "")
	s.want(404, "worker_not_found", "DELETE", "/v1/workers/"+leaver, "")
	second := s.task(silent, 1)
	if second["attempt"] != 2.0 {
		t.Errorf("got %v", second)
	}
	third := s.task(heir, 1) // when the silent one's lease has run out
	if third["attempt"] != 3.0 {
		t.Errorf("got %v", third)
	}
	for strings.Contains(s.want(200, "", "GET", "/v1/workers", "").text, silent) { // its lease runs out a moment before its session
	}
	// The zombies come back.
	s.want(404, "worker_not_found", "POST", "/v1/workers/"+silent+"/poll", `{"outcomes":[{"token":"x","status":"completed"}]}`)
	r := s.want(201, "", "POST", "/v1/workers", fmt.Sprintf(`{"service_name":"svc","handlers":["h"],"capacity":1,"worker_id":%q,"tokens":[%q,"junk"]}`, silent, second["token"]))
	if lost := r.json["lost"].([]any); len(lost) != 2 {
		t.Errorf("lost: %s", r.text)
	}
	if code := s.outcome(silent, second["token"].(string), `"status":"completed"`); code != "stale_lease" {
		t.Errorf("got %s", code)
	}
	s.want(201, "", "POST", "/v1/workers", fmt.Sprintf(`{"service_name":"svc","handlers":["h"],"capacity":1,"worker_id":%q}`, leaver))
	if code := s.outcome(leaver, first, `"status":"completed"`); code != "stale_lease" {
		t.Errorf("got %s", code)
	}
	if code := s.outcome(heir, third["token"].(string), `"status":"completed"`); code != "recorded" {
		t.Errorf("got %s", code)
	}
}

// Of many who answer at once for one step, one wins.
func TestOfManyAnswersOneIsRecorded(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	w := s.join(`"h"`, "")
	for i := range 200 {
		id := fmt.Sprint("r", i)
		s.start("w", id)
		token := s.task(w, i+1)["token"].(string)
		var wg sync.WaitGroup
		codes := make([]string, 5)
		for n := range codes {
			wg.Go(func() {
				out := worker.Outcome{Token: token, Status: worker.Completed, Output: json.RawMessage(fmt.Sprint(n % 2))}
				got, err := s.eng.Poll(t.Context(), w, engine.PollRequest{Outcomes: []worker.Outcome{out}})
				if err != nil {
					t.Error(err)
					return
				}
				codes[n] = got.Results[0].Code
			})
		}
		wg.Wait()
		count := map[string]int{}
		for _, c := range codes {
			count[c]++
		}
		if count["recorded"] != 1 || count["duplicate"]+count["conflict"] != 4 || count["conflict"] < 2 {
			t.Fatalf("round %d: %v", i, codes)
		}
	}
}

func TestHeartbeats(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	s.want(201, "", "PUT", "/v1/workflows/beat", `{"steps":[{"name":"a","service_name":"svc","handler_name":"h","heartbeat_timeout_ms":300,"retry":{"max_attempts":1}}]}`)
	w := s.join(`"h"`, "")
	s.start("w", "r")
	token := s.task(w, 1)["token"].(string)
	beat := func(rest string) []any {
		t.Helper()
		return s.want(200, "", "POST", "/v1/workers/"+w+"/heartbeat", `{"tokens":[{"token":"`+token+`"`+rest+`}]}`).json["gone"].([]any)
	}
	if gone := beat(`,"details":{"done":3}`); len(gone) != 0 {
		t.Errorf("gone: %v", gone)
	}
	if st := s.step("r", "a"); st["heartbeat"].(map[string]any)["done"] != 3.0 || st["state"] != "running" || st["worker"] != w {
		t.Errorf("got %v", st)
	}
	// The worker hears of a cancellation at a waiting poll, at once, and at a heartbeat.
	answer := make(chan *reply, 1)
	go func() { answer <- s.send("POST", "/v1/workers/"+w+"/poll", `{"seq":2,"max":1,"wait_ms":30000}`) }()
	until(t, func() bool {
		all, err := s.eng.Workers(t.Context())
		return err == nil && all[0].Waiting
	})
	s.want(202, "", "POST", "/v1/runs/r/cancel", "")
	if r := <-answer; r.StatusCode != 200 || r.json["cancelled"].([]any)[0] != token {
		t.Errorf("got %d %s", r.StatusCode, r.text)
	}
	if gone := beat(""); len(gone) != 1 {
		t.Errorf("gone: %v", gone)
	}
	// A step with a heartbeat timeout lives by the handler's own heartbeats; the SDK's do not count.
	s.start("beat", "b")
	token = s.task(w, 3)["token"].(string)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 10 { // half a second of a handler that speaks
		<-tick.C
		beat(`,"details":null`)
	}
	if st := s.state("b"); st["state"] != "running" {
		t.Fatalf("got %v", st)
	}
	for s.state("b")["state"] == "running" {
		<-tick.C
		beat("")
	}
	if e := s.state("b")["error"].(map[string]any); e["code"] != "heartbeat_timeout" {
		t.Errorf("got %v", e)
	}
}

func TestCapacityAndServiceBounds(t *testing.T) {
	s := open(t, engine.Options{Services: map[string]int{"svc": 3}})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	for i := range 6 {
		s.start("w", fmt.Sprint("r", i))
	}
	two := s.want(201, "", "POST", "/v1/workers", `{"service_name":"svc","handlers":["h"],"capacity":2}`).json["worker_id"].(string)
	poll := func(w string, seq int) []any {
		t.Helper()
		r := s.send("POST", "/v1/workers/"+w+"/poll", fmt.Sprintf(`{"seq":%d,"max":10,"wait_ms":0}`, seq))
		if r.StatusCode == 204 {
			return nil
		}
		return r.json["tasks"].([]any)
	}
	tasks := poll(two, 1)
	if len(tasks) != 2 {
		t.Fatalf("capacity 2 gave %d tasks", len(tasks))
	}
	if more := poll(two, 2); len(more) != 0 {
		t.Errorf("a full session got %v", more)
	}
	if more := poll(s.join(`"h"`, ""), 1); len(more) != 1 {
		t.Errorf("a service bound of 3 gave %d more", len(more))
	}
	if r := s.want(200, "", "GET", "/v1/runs/r5/explain", ""); !strings.Contains(r.text, "service_full") {
		t.Errorf("got %s", r.text)
	}
	s.outcome(two, tasks[0].(map[string]any)["token"].(string), `"status":"completed"`)
	if more := poll(two, 3); len(more) != 1 {
		t.Errorf("after an answer: %d", len(more))
	}
}

// Workflows that a worker publishes do not turn the clock back.
func TestAnOlderReleaseDoesNotTurnTheClockBack(t *testing.T) {
	s := open(t, engine.Options{})
	old := `,"workflows":{"w":` + oneTask + `}`
	s.join(`"h"`, old)
	s.want(201, "", "PUT", "/v1/workflows/w", strings.Replace(oneTask, `"a"`, `"b"`, 1))
	s.join(`"h"`, old)
	if r := s.want(200, "", "GET", "/v1/workflows/w", ""); r.json["version"] != 2.0 {
		t.Errorf("got %s", r.text)
	}
	s.want(422, "invalid_definition", "POST", "/v1/workers", `{"service_name":"svc","handlers":["h"],"capacity":1,"workflows":{"bad":{"steps":[]}}}`)
}

// The same conversation in msgpack; payloads are bytes that hold JSON text.
func TestMsgpack(t *testing.T) {
	s := open(t, engine.Options{})
	s.want(201, "", "PUT", "/v1/workflows/w", oneTask)
	input := `{ "n" : 12345678901234567890 }`
	s.want(201, "", "POST", "/v1/workflows/w/runs", `{"workflow_id":"r","input_data":`+input+`}`)
	call := func(path string, in, out any) int {
		t.Helper()
		body, err := wire.Encode(nil, wire.Msgpack, in)
		if err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequest("POST", s.url+path, bytes.NewReader(body))
		req.Header.Set("Content-Type", wire.Msgpack)
		req.Header.Set("Accept", wire.Msgpack)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var buf bytes.Buffer
		if _, err := buf.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode < 300 && buf.Len() > 0 {
			if err := wire.Decode(buf.Bytes(), resp.Header.Get("Content-Type"), out); err != nil {
				t.Fatal(err)
			}
		}
		return resp.StatusCode
	}
	var joined wire.Registered
	if code := call("/v1/workers", &wire.Register{ServiceName: "svc", Handlers: []string{"h"}, Capacity: 1}, &joined); code != 201 {
		t.Fatal(code)
	}
	var got wire.Polled
	path := "/v1/workers/" + joined.WorkerID + "/poll"
	if code := call(path, &wire.Poll{Seq: 1, Max: 1, WaitMS: 1000}, &got); code != 200 || string(got.Tasks[0].WorkflowInput) != input {
		t.Fatalf("%d %+v", code, got)
	}
	token := got.Tasks[0].Token
	var beaten wire.Beaten
	if code := call("/v1/workers/"+joined.WorkerID+"/heartbeat", &wire.Heartbeat{Tokens: []wire.Beat{{Token: token, Details: json.RawMessage(`[1]`)}}}, &beaten); code != 200 || len(beaten.Gone) != 0 {
		t.Errorf("%d %+v", code, beaten)
	}
	got = wire.Polled{}
	if code := call(path, &wire.Poll{Outcomes: []worker.Outcome{{Token: token, Status: worker.Completed, Output: json.RawMessage(`not json`)}}}, &got); code != 200 || got.Results[0].Code != "invalid" {
		t.Errorf("%d %+v", code, got)
	}
	if st := s.state("r"); st["state"] != "failed" || st["error"].(map[string]any)["code"] != "outcome_invalid" {
		t.Errorf("got %v", st)
	}
	for name, body := range map[string]string{"a length that lies": "\x81\xa6tokens\xdd\xff\xff\xff\xff", "nothing": "", "not a map": "\x01", "deep": strings.Repeat("\x91", 4<<20)} {
		if r := s.send("POST", "/v1/workers/"+joined.WorkerID+"/heartbeat", body, "Content-Type", wire.Msgpack); r.StatusCode != 400 {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.text)
		}
	}
}
