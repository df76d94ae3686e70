package engine_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/worker"
)

// A definition that was stored before object keys had templates keeps a literal ${ in them, also when it is registered again, and in the
// words of a template that is none. One that is registered now means its expressions.
func TestObjectKeysOfBeforeAreWhatTheySay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	j, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "keys", flow.Keys("${ input.k }", "${ no"))}}
	body, err := flow.Canonical(&before)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	j.Append(&journal.Batch{Definitions: []journal.Definition{{Name: "old", Version: 1, Digest: string(flow.DigestOf(body)), Body: body, At: 1, Current: true}}}, func(err error) { told <- err })
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for n := range 2 { // it holds after a restart
		eng, err := engine.Open(path, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := engine.HandleRaw(eng, "svc", "keys", func(_ context.Context, t *worker.Task) (json.RawMessage, error) { return json.Marshal(t.ObjectKeys) }); err != nil {
			t.Fatal(err)
		}
		if err := eng.Register("old", before); err != nil {
			t.Error(err)
		}
		register(t, eng, "new", flow.Task("a", "svc", "keys", flow.Keys("${ input.k }", "x")))
		for name, want := range map[string]string{"old": `{"a":["${ input.k }","${ no"]}`, "new": `{"a":["v","x"]}`} {
			id, err := eng.Start(t.Context(), name, map[string]string{"k": "v"})
			if err != nil {
				t.Fatal(err)
			}
			if st, err := eng.Wait(t.Context(), id); err != nil || string(st.Output) != want {
				t.Errorf("start %d of %s: %s, %v; want %s", n+1, name, st.Output, err, want)
			}
		}
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if archive.TemplatesRow("d") != "templates/d" {
		t.Error("the key of the setting that says so stands in journals")
	}
}
