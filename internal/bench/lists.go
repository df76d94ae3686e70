package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"github.com/agnt5/agnt5d/client"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/listing"
	"github.com/agnt5/agnt5d/worker"
)

// lists makes a file of many runs, asks for a page with each filter, and then does w1 beside somebody who asks all the time.
func lists(ctx context.Context, o *Options) (*Result, error) {
	dir, err := o.dir("lists")
	if err != nil {
		return nil, err
	}
	m, err := fill(ctx, o, filepath.Join(dir, "bench.db"), max(o.Count, 1_000))
	if err != nil {
		return nil, err
	}
	began := time.Now()
	t, err := o.target("lists")
	if err != nil {
		return nil, err
	}
	defer t.close()
	times := map[string]float64{"open": time.Since(began).Seconds()}
	for _, q := range m.questions() {
		if times[q.name], err = worst(ctx, t, q.f); err != nil {
			return nil, fmt.Errorf("%s: %w", q.name, err)
		}
	}
	ask := func(all []question, every time.Duration) func(context.Context) (func(), error) {
		return func(ctx context.Context) (func(), error) {
			return several(ctx, 1, func(ctx context.Context) {
				tick := time.NewTicker(every)
				defer tick.Stop()
				for i := 0; ctx.Err() == nil; i++ {
					_, _ = t.list(ctx, all[i%len(all)].f)
					select {
					case <-tick.C:
					case <-ctx.Done():
					}
				}
			}), nil
		}
	}
	r, err := beside(ctx, o, t, "lists", []disturbance{{name: "10_plain_lists_a_second", begin: ask(plain, 100*time.Millisecond)},
		{name: "a_list_a_second_with_each_filter", begin: ask(m.questions(), time.Second)}})
	if err != nil {
		return nil, err
	}
	r.Runs, r.Times = m.runs, times
	return r, nil
}

// plain are the lists that people and the page look at.
var plain = []question{{"none", client.Filter{}}, {"failed", client.Filter{State: "failed"}}, {"workflow", client.Filter{Workflow: "common"}}, {"by_end", client.Filter{Sort: "end"}}}

// worst gives the longest of ten times, in seconds, that a first page took, after one that warms the pages of the file up.
func worst(ctx context.Context, t target, f client.Filter) (float64, error) {
	var most time.Duration
	for i := range 11 {
		began := time.Now()
		if _, err := t.list(ctx, f); err != nil {
			return 0, err
		}
		if took := time.Since(began); i > 0 && took > most {
			most = took
		}
	}
	return most.Seconds(), nil
}

// made is what stands in the file: of each hundred runs one failed, one was cancelled and one waits; one of a thousand is of the
// workflow "rare".
type made struct {
	runs   int
	middle time.Time // when half of the runs had been started
}

// fill makes the runs, with an engine of its own.
func fill(ctx context.Context, o *Options, path string, n int) (*made, error) {
	codec, err := o.codec(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	e, err := newEmbedded(path, codec)
	if err != nil {
		return nil, err
	}
	m := &made{runs: n}
	err = m.fill(ctx, o, e)
	return m, errors.Join(err, e.close())
}

func (m *made) fill(ctx context.Context, o *Options, e *embedded) error {
	if err := engine.HandleRaw(e.eng, "bench", "fails", func(_ context.Context, t *worker.Task) (json.RawMessage, error) {
		no := false
		return nil, &worker.Error{Code: "code_" + t.WorkflowID[len(t.WorkflowID)-3:], Message: "no such customer: " + t.WorkflowID, Retryable: &no}
	}); err != nil {
		return err
	}
	for name, step := range map[string]flow.Step{"common": flow.Task("a", "bench", "noop"), "rare": flow.Task("a", "bench", "noop"),
		"fails": flow.Task("a", "bench", "fails"), "waits": flow.WaitSignal("a", "go")} {
		if err := e.eng.Register(name, flow.Definition{Steps: []flow.Step{step}}); err != nil {
			return err
		}
	}
	for slice := range 100 {
		if err := many(m.runs/100, 512, func(i int) error { return m.one(ctx, e, slice*m.runs/100+i) }); err != nil {
			return err
		}
		if slice == 49 {
			m.middle = time.Now()
		}
		o.say("runs", float64(slice+1)/100)
	}
	return nil
}

// one makes the i-th run.
func (m *made) one(ctx context.Context, e *embedded, i int) error {
	name := "common"
	switch {
	case i%1000 == 7:
		name = "rare"
	case i%100 == 1:
		name = "fails"
	case i%100 == 2 || i%100 == 3:
		name = "waits"
	}
	id, err := e.eng.Start(ctx, name, nil, engine.WithID("run-"+strconv.Itoa(i)))
	switch {
	case err != nil:
		return err
	case i%100 == 3:
		return e.eng.Cancel(ctx, id, "")
	case name == "waits":
		return nil
	}
	_, err = e.eng.Wait(ctx, id)
	return err
}

type question struct {
	name string
	f    client.Filter
}

// questions have each filter, and those together that are hard: what is rare, old, or not there at all.
func (m *made) questions() []question {
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
	middle, soon := at(m.middle), at(m.middle.Add(100*time.Millisecond))
	early := at(m.middle.Add(-24 * time.Hour))
	return []question{
		{"none", client.Filter{}},
		{"by_end", client.Filter{Sort: "end"}},
		{"workflow", client.Filter{Workflow: "common"}},
		{"workflow_rare", client.Filter{Workflow: "rare"}},
		{"workflow_rare_by_end", client.Filter{Workflow: "rare", Sort: "end"}},
		{"state_completed", client.Filter{State: "completed"}},
		{"state_failed", client.Filter{State: "failed"}},
		{"state_running", client.Filter{State: "running"}},
		{"state_two", client.Filter{State: "failed,cancelled"}},
		{"state_quarantined", client.Filter{State: "quarantined"}},
		{"workflow_and_state_never", client.Filter{Workflow: "rare", State: "failed"}},
		{"common_and_failed_never", client.Filter{Workflow: "common", State: "failed"}},
		{"id_prefix_one", client.Filter{IDPrefix: "run-424242"}},
		{"id_prefix_many", client.Filter{IDPrefix: "run-"}},
		{"id_prefix_and_state", client.Filter{IDPrefix: "run-9", State: "failed"}},
		{"id_prefix_never", client.Filter{IDPrefix: "nobody"}},
		{"since_middle", client.Filter{Since: middle}},
		{"until_middle", client.Filter{Until: middle}},
		{"between", client.Filter{Since: middle, Until: soon}},
		{"before_all", client.Filter{Until: early}},
		{"ended_since_middle", client.Filter{EndedSince: middle}},
		{"ended_between", client.Filter{EndedSince: middle, EndedUntil: soon}},
		{"ended_until_early", client.Filter{EndedUntil: early}},
		{"ended_between_by_start", client.Filter{EndedSince: middle, EndedUntil: soon, Sort: "start"}},
		{"error_code", client.Filter{ErrorCode: "code_301"}},
		{"error_code_never", client.Filter{ErrorCode: "nothing"}},
		{"text", client.Filter{Text: "customer: run-5"}},
		{"text_never", client.Filter{Text: "nothing like it"}},
		{"stuck_for", client.Filter{StuckFor: time.Second}},
		{"stuck_for_signals", client.Filter{StuckFor: time.Millisecond, Signals: true}},
		{"reasons", client.Filter{State: "running", Reasons: true}},
	}
}

func (e *embedded) list(ctx context.Context, f client.Filter) (int, error) {
	want, err := listing.Read(f.Values())
	if err != nil {
		return 0, err
	}
	page, err := e.eng.ListPage(ctx, want)
	if err == nil && f.Reasons {
		err = e.eng.AddReasons(ctx, page.Runs)
	}
	return len(page.Runs), err
}

func (r *remote) list(ctx context.Context, f client.Filter) (int, error) {
	runs, _, err := r.c.List(ctx, f, 100, "")
	return len(runs), err
}
