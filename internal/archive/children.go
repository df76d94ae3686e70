package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

// parentOf is a parent as it is shown; nil: there is none.
func parentOf(p *event.Parent) *model.Parent {
	if p == nil {
		return nil
	}
	out := &model.Parent{WorkflowID: p.ID, Step: p.Name, Abandon: p.Abandon}
	if at := strings.LastIndexByte(p.Name, '['); at > 0 && strings.HasSuffix(p.Name, "]") {
		if index, err := strconv.Atoi(p.Name[at+1 : len(p.Name)-1]); err == nil {
			out.Step, out.Index = p.Name[:at], &index
		}
	}
	return out
}

// ParentJSON is a parent as expressions see it, which is less than is shown; nil: there is none.
func ParentJSON(p *event.Parent) json.RawMessage {
	shown := parentOf(p)
	if shown == nil {
		return nil
	}
	b, _ := json.Marshal(struct { // texts and a number
		WorkflowID string `json:"workflow_id"`
		Step       string `json:"step"`
		Index      *int   `json:"index,omitempty"`
	}{shown.WorkflowID, shown.Step, shown.Index})
	return b
}

// Over gives a run that has ended, by its number or (0) its id, and what it gave if it completed. The error is refusal.ErrRunOpen of one
// that has not ended, and refusal.ErrRunQuarantined of one that is damaged: nothing of whoever asks is.
func (a *Archive) Over(run uint64, id string) (s *replay.State, output json.RawMessage, err error) {
	defer func() {
		var damage *journal.DamageError
		if errors.As(err, &damage) {
			err = fmt.Errorf("%w (%v)", refusal.ErrRunQuarantined, err)
		}
	}()
	if run == 0 {
		if run, err = a.Find(id, 0); err != nil {
			return nil, nil, err
		}
	}
	h, err := a.Head(run)
	if err != nil {
		return nil, nil, err
	}
	switch st := replay.RunState(h.State); {
	case st == replay.Quarantined:
		return nil, nil, refusal.ErrRunQuarantined
	case !st.Ended():
		return nil, nil, refusal.ErrRunOpen
	}
	if s, err = a.Ended(h); err != nil || s.Status != replay.Completed {
		return s, nil, err
	}
	output, err = a.output(s)
	return s, output, err
}
