package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
)

// The page is there, is left out, or offers nothing, as the settings say.
func TestThePageByItsSettings(t *testing.T) {
	for _, c := range []struct {
		flags []string
		want  string
	}{
		{nil, `name="agnt5d-page" content="full"`},
		{[]string{"--ui-read-only"}, `name="agnt5d-page" content="read-only"`},
		{[]string{"--no-ui"}, "GET /openapi.json"},
	} {
		d := startDaemon(t, t.TempDir(), c.flags...)
		if status, body := get(t, d.url, "Accept", "text/html"); status != 200 || !strings.Contains(body, c.want) {
			t.Errorf("%v: %d %.200s", c.flags, status, body)
		}
		if status, body := get(t, d.url, "Accept", "*/*"); status != 200 || !strings.HasPrefix(body, "agnt5d ") {
			t.Errorf("%v, without HTML: %d %.200s", c.flags, status, body)
		}
		d.stop(t)
	}
}

// What "ui --file" answers the page is what the daemon answered when it held the journal.
func TestThePageOverAFile(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	c := d.client(t)
	for name, def := range mixedFlows() {
		if _, _, err := c.RegisterDefinition(t.Context(), name, def); err != nil {
			t.Fatal(err)
		}
	}
	w := startWorker(t, d.url)
	paths := []string{"/v1/workflows", "/v1/runs", "/v1/runs?state=completed&limit=2", "/v1/runs?id_prefix=mix"}
	for name := range mixedFlows() {
		paths = append(paths, "/v1/workflows/"+name, "/v1/workflows/"+name+"/graph?version=1&fold=2000")
	}
	for name := range mixedFlows() {
		id := "run-" + name
		if code, _, stderr := d.cli(t, "start", name, "--id", id, "--input", `{ "n" : 1 }`); code != 0 {
			t.Fatal(stderr)
		}
		paths = append(paths, "/v1/runs/"+id+"/timeline?limit=10000")
	}
	waitForAll(t, c)
	for name := range mixedFlows() {
		id := "run-" + name
		_, body := get(t, d.url+"/v1/runs/"+id+"/events?limit=1000", "Accept", "application/json")
		var page struct{ Events []struct{ Seq uint64 } }
		if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.Events) == 0 {
			t.Fatal(err, body)
		}
		for _, e := range page.Events {
			paths = append(paths, fmt.Sprintf("/v1/runs/%s?at=%d", id, e.Seq))
		}
		paths = append(paths, "/v1/runs/"+id, "/v1/runs/"+id+"/events?limit=1000", "/v1/runs/"+id+"/logs")
	}
	paths = append(paths, "/v1/runs/run-chain/steps/a/logs", "/v1/diff?a=run-chain&b=run-fan&steps=all", "/v1/runs?include=reason")
	w.stop(t)
	want := map[string]any{}
	for _, p := range paths {
		want[p] = answerOf(t, d.url+p)
	}
	d.stop(t)
	listen := freePort(t)
	file := filepath.Join(dir, "runs.db")
	f := startProcess(t, file+", read-only: http://"+listen, "AGNT5D_TEST_MAIN=ui --listen "+listen+" --file "+file)
	for _, p := range paths {
		if got := answerOf(t, "http://"+listen+p); !reflect.DeepEqual(got, want[p]) {
			t.Errorf("%s: the file says\n%v\nthe daemon said\n%v", p, got, want[p])
		}
	}
	if status, body := get(t, "http://"+listen, "Accept", "text/html"); status != 200 || !strings.Contains(body, `content="file"`) {
		t.Errorf("the page over a file: %d %.200s", status, body)
	}
	if status, body := get(t, "http://"+listen+"/v1/runs/run-chain/steps/a/output", "Accept", "*/*"); status != 200 || body != "\"done\"\n" {
		t.Errorf("a step's output: %d %s", status, body)
	}
	for path, want := range map[string]int{"/v1/runs/none": 404, "/v1/workflows/none": 404, "/v1/objects": 404, "/v1/runs//events": 400} {
		if status, body := get(t, "http://"+listen+path, "Accept", "*/*"); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	r, err := http.Post("http://"+listen+"/v1/runs/run-chain/cancel", "application/json", strings.NewReader("{}"))
	if err != nil || r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a change was taken: %v %v", r, err)
	}
	if code := f.stop(t); code != 0 && code != exitInterrupted {
		t.Errorf("ended with %d: %s", code, f.said)
	}
	if code, _, stderr := agnt5d(t, "ui"); code != exitUsage || !strings.Contains(stderr, "--file JOURNAL") {
		t.Errorf("ui without a file: %d %s", code, stderr)
	}
	if code, _, stderr := agnt5d(t, "ui", "--file", file, "--listen", "0.0.0.0:0"); code != exitUsage || !strings.Contains(stderr, "loopback") {
		t.Errorf("ui for everybody: %d %s", code, stderr)
	}
}

// A file says what was when it was written last: how long a run has been open, and what it waited for. Who served a handler it does not
// know, and does not say that nobody did.
func TestTheFileSaysOnlyWhatItKnows(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, dir)
	c := d.client(t)
	def := flow.Definition{Steps: []flow.Step{flow.Task("load", "shop", "load"), flow.Task("pay", "shop", "pay", flow.Keys("account:17")), flow.WaitSignal("go", "approved")}}
	if _, _, err := c.RegisterDefinition(t.Context(), "open", def); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"first", "second"} {
		if code, _, stderr := d.cli(t, "start", "open", "--id", id); code != 0 {
			t.Fatal(stderr)
		}
	}
	file := filepath.Join(dir, "runs.db")
	_, events := get(t, d.url+"/v1/events?limit=1000", "Accept", "application/json")
	var page struct{ Events []struct{ At string } }
	if err := json.Unmarshal([]byte(events), &page); err != nil || len(page.Events) == 0 {
		t.Fatal(err, events)
	}
	d.kill()
	listen := freePort(t)
	startProcess(t, file+", read-only: http://"+listen, "AGNT5D_TEST_MAIN=ui --listen "+listen+" --file "+file)
	var version struct {
		File string
		AsOf string `json:"as_of"`
	}
	_, body := get(t, "http://"+listen+"/version", "Accept", "application/json")
	if err := json.Unmarshal([]byte(body), &version); err != nil || version.File != "runs.db" || version.AsOf < page.Events[len(page.Events)-1].At {
		t.Errorf("/version: %v %s, want the time of %+v or after", err, body, page.Events[len(page.Events)-1])
	}
	_, body = get(t, "http://"+listen+"/v1/runs/second", "Accept", "application/json")
	for _, want := range []string{`"detail":"is queued for shop/load"`, `"detail":"waits for its object keys: account:17"`, `"detail":"waits for signal \"approved\""`} {
		if !strings.Contains(body, want) {
			t.Errorf("the run does not say %s: %s", want, body)
		}
	}
	if strings.Contains(body, "no_worker") || strings.Contains(body, `"command"`) {
		t.Errorf("the run says what a file does not know: %s", body)
	}
	if _, body = get(t, "http://"+listen+"/v1/runs?include=reason", "Accept", "application/json"); strings.Count(body, `"reason":{"step":"pay","code":"key_held"`) != 1 || strings.Count(body, `"step_counts":{`) != 2 {
		t.Errorf("the list: %s", body)
	}
	if _, body = get(t, "http://"+listen+"/v1/run-counts", "Accept", "application/json"); !strings.Contains(body, `"running":2`) {
		t.Errorf("the counts: %s", body)
	}
	if status, body := get(t, "http://"+listen+"/v1/runs?stuck_for=10m", "Accept", "application/json"); status != 400 || !strings.Contains(body, "cannot be asked of a file") {
		t.Errorf("stuck runs: %d %s", status, body)
	}
}

// What the daemon was told can be asked, whether a flag, the environment or a file said it. What may hold a secret is not shown.
func TestTheSettingsAreShownWithoutSecrets(t *testing.T) {
	d := startDaemon(t, t.TempDir(), "--lease", "7s")
	got, err := d.client(t).Settings(t.Context())
	if err != nil || got["lease"] != "7s" || got["listen"] == "" || got["no-ui"] != "false" || got["drain"] == "" {
		t.Errorf("%v %v", got, err)
	}
	c := defaultConfig()
	c.Database, c.Services = "postgres://me:hush@db/runs", map[string]service{"mail": {MaxConcurrent: 3}}
	shown := c.shown()
	if shown["services.mail.max_concurrent"] != "3" || shown["database"] != "***" {
		t.Errorf("%v", shown)
	}
	for name, value := range shown {
		if strings.Contains(value, "hush") {
			t.Errorf("%s shows a password: %s", name, value)
		}
	}
	if c.Database != "postgres://me:hush@db/runs" {
		t.Error("looking at the settings changed them")
	}
}

// answerOf gives an answer without what only means something to the one that gave it.
func answerOf(t *testing.T, url string) any {
	t.Helper()
	status, body := get(t, url, "Accept", "application/json")
	var v map[string]any
	if err := json.Unmarshal([]byte(body), &v); err != nil || status != 200 {
		t.Fatalf("%s: %d %s", url, status, body)
	}
	if strings.Contains(body, "1970-") {
		t.Errorf("%s shows a time that is not there: %s", url, body)
	}
	delete(v, "next_cursor")
	delete(v, "next_after")
	if !strings.Contains(url, "?at=") { // who works now a file does not know
		delete(v, "reasons")
	}
	return v
}
