package flow_test

import (
	"fmt"
	"time"

	"github.com/agnt5/agnt5d/flow"
)

// A document is published when it was approved in time, or by whoever it was escalated to.
func Example() {
	d := &flow.Definition{Steps: []flow.Step{
		flow.Task("submit", "docs", "submit", flow.Input(map[string]string{"priority": "normal"})),
		flow.WaitSignal("approval", "approved", flow.After("submit"), flow.Timeout(48*time.Hour, "escalate")),
		flow.Task("escalate", "docs", "escalate"),
		flow.WaitSignal("second_approval", "approved_by_manager", flow.After("escalate"), flow.Timeout(24*time.Hour)),
		flow.WaitTimer("window", "maintenance", flow.Cron("0 3 * * *"), flow.TimeZone("Europe/Berlin"), flow.After("approval", "second_approval")),
		flow.Task("publish", "docs", "publish", flow.After("window"), flow.Keys("site"), flow.WithRetry(flow.Retry{MaxAttempts: 5})),
	}}
	g, err := flow.NewGraph(d)
	if err != nil {
		fmt.Println(err)
		return
	}
	window := g.Index["window"]
	fmt.Println(len(g.Deps), "steps; window joins the branches of", d.Steps[g.Joins[window][0].Wait].Name)
	// Output: 6 steps; window joins the branches of approval
}

func ExampleRead() {
	_, problems := flow.Read([]byte(`
steps:
  - name: extract
    service_name: etl
    handler: extract_data
  - name: load
    service_name: etl
    handler_name: load_data
    dependencies: [transform]
`))
	for _, p := range problems {
		fmt.Printf("line %d, %s: %s (%s)\n", p.Line, p.Step, p.Detail, p.Code)
	}
	// Output:
	// line 3, extract: a task needs a handler_name (handler_missing)
	// line 5, extract: the step has an unknown key "handler"; did you mean "handler_name"? (unknown_key)
	// line 9, load: dependency "transform" names no step of this workflow (dependency_unknown)
}
