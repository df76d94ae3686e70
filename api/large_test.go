package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// A definition of as many steps as there may be, with names as long as real ones, is taken over HTTP, given back, read again after a restart,
// and started.
func TestTheLargestDefinition(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds, and a minute under the race detector")
	}
	def := flow.Definition{Steps: []flow.Step{flow.WaitSignal("begin", "begin")}}
	for i := 1; i < flow.MaxSteps; i++ {
		def.Steps = append(def.Steps, flow.Task(fmt.Sprintf("individuals_ID%07d_ALL.chr%d.phase3_v5a.20130502.genotypes", i, i%22), "bioinformatics-pipeline", "individuals_merge_of_one_chromosome",
			flow.After("begin"), flow.Input(map[string]any{"first": i * 1000, "last": i*1000 + 999})))
	}
	text, err := flow.Canonical(&def)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "runs.db")
	s := openAt(t, path, engine.Options{})
	ask := func(status int, method, path, body string, into any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != status || json.Unmarshal(b, into) != nil {
			t.Fatalf("%s %s: %d, %v: %.300s", method, path, resp.StatusCode, err, b)
		}
	}
	ask(201, "PUT", "/v1/workflows/large", string(text), &engine.Version{})
	s.close()
	s = openAt(t, path, engine.Options{})
	var w engine.Workflow
	if ask(200, "GET", "/v1/workflows/large", "", &w); w.Version != 1 || len(w.Definition) != len(text) || len(text) < 16<<20 {
		t.Errorf("version %d of %d bytes, want those %d that were given", w.Version, len(w.Definition), len(text))
	}
	var st engine.Status
	ask(201, "POST", "/v1/workflows/large/runs?steps=none", `{"workflow_id":"r"}`, &st)
	if st.StepCounts["pending"] != flow.MaxSteps-1 || st.StepCounts["waiting"] != 1 {
		t.Errorf("%v, want one step that waits, and the others behind it", st.StepCounts)
	}
}
