package client

import (
	"context"
	"fmt"

	"github.com/agnt5/agnt5d/model"
)

// Deed is something that can be done to a run by hand; see Client.Plan.
type Deed = model.Deed

// Plan says what CompleteStep, SkipStep, FailStep, Retry, Cancel or CancelNow would do to a run now, and does nothing. It is refused as the deed
// would be, but for a full disk.
func (c *Client) Plan(ctx context.Context, run string, d Deed) (*model.Plan, error) {
	body, at := map[string]any{"plan": true}, path("v1", "runs", run, d.Do)
	switch d.Do {
	case model.DeedComplete, model.DeedSkip, model.DeedFail:
		at = path("v1", "runs", run, "steps", d.Step, d.Do)
		if d.Do == model.DeedComplete {
			raw, err := payload(d.Output)
			if err != nil {
				return nil, err
			}
			body["output"] = raw
		}
	case model.DeedRetry:
	case model.DeedCancel:
		body["force"] = d.Force
	default:
		return nil, refuse(fmt.Errorf("a plan of %q: want complete, skip, fail, retry or cancel", d.Do))
	}
	if d.Reason != "" {
		body["reason"] = d.Reason
	}
	out := &model.Plan{}
	if err := c.post(ctx, at, body, out); err != nil {
		return nil, err
	}
	return out, nil
}
