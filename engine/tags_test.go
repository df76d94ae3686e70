package engine

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/flow"
)

// An embedded engine keeps the tags of a run's start, changes them before and after its end, and has them when it is opened again.
func TestTagsOfAnEmbeddedEngine(t *testing.T) {
	path, ctx := filepath.Join(t.TempDir(), "runs.db"), t.Context()
	open := func() *Engine {
		e, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := open()
	defer func() { _ = e.Close() }()
	if err := e.Register("w", flow.Definition{Steps: []flow.Step{flow.WaitSignal("s", "go")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Start(ctx, "w", nil, WithID("r"), WithTags(map[string]string{"team": "data", "env": "prod"})); err != nil {
		t.Fatal(err)
	}
	if got, err := e.Tag(ctx, "r", map[string]string{"env": "test"}, "team", "never"); err != nil || !maps.Equal(got, map[string]string{"env": "test"}) {
		t.Errorf("%v, %v", got, err)
	}
	if err := e.Signal(ctx, "r", "go", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Wait(ctx, "r"); err != nil {
		t.Fatal(err)
	}
	if got, err := e.Tag(ctx, "r", map[string]string{"seen": ""}); err != nil || len(got) != 2 {
		t.Errorf("after its end: %v, %v", got, err)
	}
	many := map[string]string{}
	for i := range flow.MaxTags {
		many[fmt.Sprint(i)] = ""
	}
	if _, err := e.Tag(ctx, "r", many); !errors.Is(err, ErrTooManyTags) {
		t.Errorf("too many: %v", err)
	}
	for _, bad := range []map[string]string{nil, {"a:b": ""}, {"a": strings.Repeat("x", flow.MaxTagValue+1)}} {
		if _, err := e.Tag(ctx, "r", bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open()
	page, err := e.ListPage(ctx, ListFilter{Tags: []string{"env:test", "seen:"}})
	if err != nil || len(page.Runs) != 1 || len(page.Runs[0].Tags) != 2 {
		t.Errorf("%+v, %v", page, err)
	}
	if st, err := e.Status(ctx, "r"); err != nil || st.Tags["env"] != "test" {
		t.Errorf("%+v, %v", st, err)
	}
}
