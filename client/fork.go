package client

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/model"
	"github.com/oklog/ulid/v2"
)

// Fork says how a run is forked: a new run takes over from one that has ended, and does the rest anew.
type Fork struct {
	From    string         // the step from which it runs again, with everything after it
	Set     map[string]any // outputs, by step: these steps count as completed
	Input   any            // of the new run; nil: that of the run forked from
	Version uint32         // of the workflow; 0: that of the run forked from
	ID      string         // of the new run; "": one is made
	Reason  string         // why; history shows it
}

// Fork forks a run that has ended. The same fork with the same ID gives the run that exists, with Created false.
func (c *Client) Fork(ctx context.Context, run string, f Fork) (*model.Fork, error) {
	if f.ID == "" {
		f.ID = ulid.Make().String() // so that a repeat of the request makes no second run
	}
	return c.fork(ctx, run, f, false)
}

// PlanFork says what Fork would do with each step, and does nothing.
func (c *Client) PlanFork(ctx context.Context, run string, f Fork) (*model.Fork, error) {
	return c.fork(ctx, run, f, true)
}

func (c *Client) fork(ctx context.Context, run string, f Fork, plan bool) (*model.Fork, error) {
	body := map[string]any{"from": f.From}
	if f.ID != "" {
		if err := ids.Check(f.ID); err != nil {
			return nil, refuse(fmt.Errorf("the run id %w", err))
		}
		body["workflow_id"] = f.ID
	}
	if plan {
		body["plan"] = true
	}
	if f.Reason != "" {
		body["reason"] = f.Reason
	}
	if f.Version != 0 {
		body["version"] = f.Version
	}
	if len(f.Set) > 0 {
		set := map[string]json.RawMessage{}
		for step, v := range f.Set {
			raw, err := payload(v)
			if err != nil {
				return nil, err
			}
			set[step] = raw
		}
		body["set"] = set
	}
	if f.Input != nil {
		raw, err := payload(f.Input)
		if err != nil {
			return nil, err
		}
		body["input_data"] = raw
	}
	out := &model.Fork{}
	if err := c.post(ctx, path("v1", "runs", run, "fork"), body, out); err != nil {
		return nil, err
	}
	return out, nil
}
