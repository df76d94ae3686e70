package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/flow"
)

// A run that nobody works on: who waits for it is told why, and that waiting was given up. Then it ends, and the exit code says how.
func TestWaitAtTheShell(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	c := d.client(t)
	for name, step := range map[string]flow.Step{"idle": flow.Task("a", "nobody", "x"), "gate": flow.WaitSignal("s", "go")} {
		if _, _, err := c.RegisterDefinition(t.Context(), name, flow.Definition{Steps: []flow.Step{step}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		args string
		code int
		want []string
	}{
		{"start idle --id r1 --wait=100ms", exitTimeout, []string{"run r1 started", "run r1 is not done:", "(no_worker)", "has not ended within 100ms"}},
		{"start idle --id r1 --wait=100ms", exitTimeout, []string{"run r1 existed", "(no_worker)"}},
		{"wait r1 --timeout 100ms", exitTimeout, []string{"run r1 is not done:", "(no_worker)", "has not ended within 100ms"}},
		{"wait r1 --timeout 4s", exitTimeout, []string{"(no_worker)", "has not ended within 4s"}},
		{"wait r1 --timeout soon", exitUsage, []string{"want a duration like 30s"}},
		{"start idle --id r2 --wait=-1s", exitUsage, []string{"want a duration like 30s"}},
		{"wait nobody", exitNotFound, []string{"nobody"}},
		{"cancel r1", 0, nil},
		{"wait r1", exitCancelled, []string{"r1  cancelled"}},
		{"wait r1 --timeout 30s -o json", exitCancelled, []string{`"state":"cancelled"`, `"steps":{"a"`}},
		{"start gate --id g1", 0, []string{"g1"}},
		{"signal g1 go", 0, nil},
		{"start gate --id g1 --wait", 0, []string{"g1  completed"}},
		{"wait g1", 0, []string{"g1  completed"}},
	} {
		code, out, errs := d.cli(t, strings.Fields(step.args)...)
		if code != step.code {
			t.Errorf("%s: exit %d, want %d\n%s%s", step.args, code, step.code, out, errs)
		}
		for _, want := range step.want {
			if !strings.Contains(out+errs, want) {
				t.Errorf("%s: no %s in\n%s%s", step.args, want, out, errs)
			}
		}
		if strings.Count(errs, "(no_worker)") > 1 {
			t.Errorf("%s says why more than once:\n%s", step.args, errs)
		}
	}
}

// start prints one name: it does not fetch the steps of the run. Nor does it with --wait.
func TestStartFetchesNoSteps(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	if _, _, err := d.client(t).RegisterDefinition(t.Context(), "gate", flow.Definition{Steps: []flow.Step{flow.WaitSignal("s", "go")}}); err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []string
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, ModifyResponse: func(r *http.Response) error {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Request.Method+" "+r.Request.URL.RequestURI())
		return nil
	}})
	defer proxy.Close()
	for _, args := range []string{"start gate --id g1", "signal g1 go", "start gate --id g1 --wait"} {
		if code, out, errs := agnt5d(t, append(strings.Fields(args), "--url", proxy.URL)...); code != 0 {
			t.Fatalf("%s: exit %d %s%s", args, code, out, errs)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	tried := 0
	for _, line := range asked {
		if strings.HasPrefix(line, "POST /v1/workflows/gate/runs") || strings.HasPrefix(line, "GET /v1/runs/g1") {
			if tried++; !strings.HasSuffix(line, "?steps=none") {
				t.Errorf("it asks for the steps: %s", line)
			}
		}
	}
	if tried < 3 {
		t.Errorf("%q", asked)
	}
}
