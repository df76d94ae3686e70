package engine

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/agnt5/agnt5d/internal/refusal"
	"github.com/agnt5/agnt5d/journal"
)

// LogPlace is an attempt's place among the logs of a run.
type LogPlace struct {
	Step    string
	Attempt uint32
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
	pieces, err := e.j.Said(h.Run, step, journal.SaidMark(after), limit)
	if err != nil {
		return nil, err
	}
	out := []AttemptLog{}
	for i := range pieces {
		p := &pieces[i]
		if n := len(out); n == 0 || out[n-1].Step != p.Step || out[n-1].Attempt != p.Attempt {
			out = append(out, AttemptLog{Step: p.Step, Attempt: p.Attempt, From: p.At, To: p.At})
		}
		join(&out[len(out)-1], p)
	}
	for i := range out {
		cutLog(&out[i])
	}
	if len(out) == 0 && step != "" {
		st, err := e.Status(ctx, run)
		if err != nil {
			return nil, err
		}
		if _, known := st.Steps[step]; !known {
			return nil, refusal.OfRun(run, fmt.Errorf("step %q: %w", step, refusal.ErrStepNotFound))
		}
	}
	return out, nil
}

// join puts a piece behind what is there of its attempt's log. Some of it may be there already.
func join(l *AttemptLog, p *journal.Said) {
	text := p.Text
	if p.At < l.To {
		text = text[min(l.To-p.At, uint64(len(text))):]
	}
	l.Text += string(text)
	l.To = max(l.To, p.At+uint64(len(p.Text)))
}

// cutLog cuts a log to its last bytes, at a line's end.
func cutLog(l *AttemptLog) {
	b := []byte(l.Text)
	if over := len(b) - journal.MaxSaid; over > 0 {
		if end := bytes.IndexByte(b[over:], '\n') + 1; end > 0 && over+end < len(b) {
			over += end
		}
		b = b[over:]
	}
	l.Text = strings.ToValidUTF8(string(b), "\uFFFD")
	l.From = l.To - min(l.To, uint64(len(b)))
}
