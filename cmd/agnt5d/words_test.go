package main

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// Sentences that a newcomer stumbled over: each says what is so, once, and names what it is about.
func TestSentencesForANewcomer(t *testing.T) {
	dir := t.TempDir()
	d := startDaemon(t, filepath.Join(dir, "deep", "er"))
	if said := d.said.String(); !strings.Contains(said, "there was no journal: a new folder and a new file are made") {
		t.Errorf("a daemon that made its file says\n%s", said)
	}
	c, ctx := d.client(t), t.Context()
	for _, steps := range [][]flow.Step{{flow.WaitSignal("a", "go")}, {flow.WaitSignal("b", "go")}} {
		if _, _, err := c.RegisterDefinition(ctx, "bakery", flow.Definition{Steps: steps}); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"one", "two"} {
		if _, _, err := c.Start(ctx, "bakery", nil, client.StartOptions{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	says := func(code int, want, never string, args ...string) {
		t.Helper()
		got, out, errs := d.cli(t, args...)
		if all := out + errs; got != code || !strings.Contains(all, want) || never != "" && strings.Contains(all, never) {
			t.Errorf("agnt5d %q: exit %d, want %d and %q, not %q\n%s", args, got, code, want, never, all)
		}
	}
	says(exitNotFound, `the workflow "bakery" has no version 7; it has 1, 2`, "no such workflow", "workflows", "show", "bakery", "--version", "7")
	says(exitConflict, `agnt5d list --workflow bakery`, "NAME", "workflows", "delete", "bakery")
	says(exitNotFound, `agnt5d register bakry FILE`, "NAME", "workflows", "show", "bakry")
	says(exitUsage, `"5x" is not a duration; want one like 30d, 12h or 1w`, "30s or 5m", "serve", "--retention-completed", "5x", "--file", filepath.Join(dir, "other.db"))
	says(exitNotFound, "there is no folder "+filepath.Join(dir, "none")+" for the copy", ".partial", "backup", filepath.Join(dir, "none", "x.db"))

	// Each run is reported in its turn, and what could not be done to none hides another.
	_, _, errs := d.cli(t, "cancel", "x1", "one", "x2")
	if first, second := strings.Index(errs, "x1"), strings.Index(errs, "x2"); first < 0 || second < first {
		t.Errorf("in this order:\n%s", errs)
	}
	says(exitNotFound, "x1", "", "cancel", "x1", "x2")

	// What was deleted is gone, and nobody who looks for it is told to use another id.
	says(0, "", "", "delete", "one")
	for _, args := range [][]string{{"history", "one"}, {"show", "one"}, {"retry", "one"}, {"explain", "one"}} {
		says(exitNotFound, "nothing of it is kept but its id, which cannot be used again until 2", "Use another id", args...)
	}
	says(exitNotFound, "To start a run use another id", "", "start", "bakery", "--id", "one")
	says(0, "cancelled", "", "cancel", "two")
	says(0, "deleted", "", "delete", "two")
	says(exitConflict, `agnt5d workflows use bakery VERSION`, "NAME", "workflows", "delete", "bakery", "--version", "2")
}

// A retry that is far away is shown with the commands that do not wait for it.
func TestARetryThatIsFarAwayHasItsCommands(t *testing.T) {
	d := startDaemon(t, t.TempDir())
	c := d.client(t)
	def := flow.Definition{Steps: []flow.Step{flow.Task("s", "svc", "down", flow.WithRetry(flow.Retry{MaxAttempts: 3, InitialIntervalMS: time.Hour.Milliseconds(), MaxIntervalMS: time.Hour.Milliseconds()}))}}
	if _, _, err := c.RegisterDefinition(t.Context(), "w", def); err != nil {
		t.Fatal(err)
	}
	d.serve(t, "svc", client.WorkerOptions{}, map[string]worker.Func{"down": func(context.Context, *worker.Task) (json.RawMessage, error) { return nil, errors.New("down") }})
	if _, _, err := c.Start(t.Context(), "w", nil, client.StartOptions{ID: "r/1"}); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool {
		_, out, _ := d.cli(t, "explain", "r/1")
		return strings.Contains(out, "agnt5d cancel r/1, then agnt5d retry r/1")
	})
}

// NOTE is written whole where nobody reads it at a terminal, and cut to the width of one.
func TestTheNoteOfAListIsCutToTheTerminal(t *testing.T) {
	long := strings.Repeat("no such customer, ", 10) + "the end"
	rows := func() [][]string {
		return [][]string{{"RUN", "STATE", "NOTE"}, {"run-1", "failed", long}, {"run-2", "failed", "short"}}
	}
	if got := fit(rows(), 0)[1][2]; got != long {
		t.Errorf("without a terminal: %q", got)
	}
	for _, width := range []int{40, 100, 300} {
		for _, r := range fit(rows(), width) {
			if n := len("run-1  failed  " + r[2]); n > width {
				t.Errorf("%d columns for %d: %q", n, width, r)
			}
		}
	}
	if got := fit(rows(), 10)[1][2]; len(got) != leastNote {
		t.Errorf("a narrow terminal: %q", got)
	}
	path := filepath.Join(t.TempDir(), "runs.db")
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Handle(eng, "svc", "bad", func(context.Context, struct{}) (string, error) { return "", flow.NonRetryable(errors.New(long)) }); err != nil {
		t.Fatal(err)
	}
	if err := eng.Register("bad", flow.Definition{Steps: []flow.Step{flow.Task("a", "svc", "bad")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Start(t.Context(), "bad", nil, engine.WithID("r")); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("COLUMNS", "60")
	if code, out, errs := agnt5d(t, "list", "--file", path); code != 0 || !strings.Contains(out, long) {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}
