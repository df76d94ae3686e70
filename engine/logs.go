package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
)

// LogPlace is an attempt's place among the logs of a run.
type LogPlace struct {
	Step    string
	Attempt uint32
}

// hasStep says whether a run has a step, or an item of a step (fetch[3]), of that name.
func hasStep(st *Status, name string) bool {
	if _, known := st.Steps[name]; known {
		return true
	}
	begin := strings.LastIndexByte(name, '[')
	if begin < 0 {
		return false
	}
	of := st.Steps[name[:begin]]
	n, err := strconv.Atoi(strings.TrimSuffix(name[begin+1:], "]"))
	return err == nil && of.Items != nil && n >= 0 && n < of.Items.Total && name == flow.ItemName(name[:begin], n)
}

// Logs gives what the attempts of a run wrote to their logs (worker.Log), of one step or ("") of all, after a place, by step and
// attempt: the last 64 KiB of each. It gives whole attempts until limit bytes are reached (0: 4 MiB); after the last one there is
// nothing more when less than that came.
func (e *Engine) Logs(ctx context.Context, run, step string, after LogPlace, limit int) ([]AttemptLog, error) {
	if limit <= 0 {
		limit = answerBytes
	}
	h, _, err := e.lastOf(ctx, run)
	if err != nil {
		return nil, err
	}
	out, err := archive.Logs(e.j, h.Run, step, journal.SaidMark(after), limit)
	if err != nil {
		return nil, err
	}
	if len(out) == 0 && step != "" {
		st, err := e.Status(ctx, run)
		if err != nil {
			return nil, err
		}
		if !hasStep(st, step) {
			return nil, refusal.OfRun(run, fmt.Errorf("step %q: %w", step, refusal.ErrStepNotFound))
		}
	}
	return out, nil
}
