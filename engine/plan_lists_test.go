package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

const plannedLists = `{"steps": [
	{"name": "pre", "service_name": "svc", "handler_name": "h", "for_each": [1, 2]},
	{"name": "a", "service_name": "svc", "handler_name": "h", "retry": {"max_attempts": 1}, "dependencies": ["pre"]}],
"finally": [
	{"name": "each", "service_name": "svc", "handler_name": "h", "for_each": [1, 2, 3], "retry": {"max_attempts": 1}},
	{"name": "one", "service_name": "svc", "handler_name": "h"}]}`

// What a plan says may happen twice is what handlers are called for that were called for it before: the items of a list of finally run anew
// with each end, whether they completed or failed, and do not when an operator ends their step.
func TestAPlanSaysWhichItemsOfFinallyMayRepeat(t *testing.T) {
	items := []string{"each[0]", "each[1]", "each[2]", "one"}
	all := append([]string{"a"}, items...)
	for name, c := range map[string]struct {
		bad   string // the step that fails
		deeds []engine.Deed
		want  [][]string
	}{
		"items that completed": {"a", []engine.Deed{{Do: "retry"}, {Do: "retry"}}, [][]string{all, all}},
		"items that failed":    {"each", []engine.Deed{{Do: "retry"}, {Do: "complete", Step: "each"}}, [][]string{items, {"one"}}},
		"a step that is ended": {"each", []engine.Deed{{Do: "skip", Step: "each"}}, [][]string{{"one"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var calls []string
			eng, _ := open(t, engine.Options{})
			handle(t, eng, "h", func(_ context.Context, task *worker.Task) (json.RawMessage, error) {
				mu.Lock()
				calls = append(calls, task.Step)
				mu.Unlock()
				if strings.HasPrefix(task.Step, c.bad) {
					return nil, errors.New("no")
				}
				return nil, nil
			})
			take := func() (taken []string) {
				mu.Lock()
				defer mu.Unlock()
				taken, calls = calls, nil
				slices.Sort(taken)
				return taken
			}
			d, problems := flow.Parse([]byte(plannedLists))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if err := eng.Register("w", *d); err != nil {
				t.Fatal(err)
			}
			runs := func(id string) {
				t.Helper()
				if _, err := eng.Wait(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := eng.Start(t.Context(), "w", nil, engine.WithID("r")); err != nil {
				t.Fatal(err)
			}
			runs("r")
			take()
			for k, deed := range c.deeds {
				plan, err := eng.Plan(t.Context(), "r", deed)
				if err != nil {
					t.Fatal(err)
				}
				switch deed.Do {
				case "retry":
					err = eng.Retry(t.Context(), "r", "")
				case "complete":
					err = eng.CompleteStep(t.Context(), "r", deed.Step, nil, "")
				case "skip":
					err = eng.SkipStep(t.Context(), "r", deed.Step, "")
				}
				if err != nil {
					t.Fatal(err)
				}
				runs("r")
				slices.Sort(plan.MayRepeat)
				if called := take(); !slices.Equal(plan.MayRepeat, called) || !slices.Equal(called, c.want[k]) {
					t.Errorf("%+v: %q may repeat; %q were called, want %q", deed, plan.MayRepeat, called, c.want[k])
				}
			}
		})
	}
}
