package archive

import (
	"bytes"
	"strings"

	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/model"
)

// Sayings is a journal that has what attempts wrote to their logs.
type Sayings interface {
	Said(run uint64, step string, after journal.SaidMark, limit int) ([]journal.Said, error)
}

// Logs gives what attempts of a run wrote to their logs, each in one piece: see journal.Log.Said.
func Logs(j Sayings, run uint64, step string, after journal.SaidMark, limit int) ([]model.AttemptLog, error) {
	pieces, err := j.Said(run, step, after, limit)
	if err != nil {
		return nil, err
	}
	out := []model.AttemptLog{}
	for i := range pieces {
		p := &pieces[i]
		if n := len(out); n == 0 || out[n-1].Step != p.Step || out[n-1].Attempt != p.Attempt {
			out = append(out, model.AttemptLog{Step: p.Step, Attempt: p.Attempt, From: p.At, To: p.At})
		}
		join(&out[len(out)-1], p)
	}
	for i := range out {
		cutLog(&out[i])
	}
	return out, nil
}

// join puts a piece behind what is there of its attempt's log. Some of it may be there already.
func join(l *model.AttemptLog, p *journal.Said) {
	text := p.Text
	if p.At < l.To {
		text = text[min(l.To-p.At, uint64(len(text))):]
	}
	l.Text += string(text)
	l.To = max(l.To, p.At+uint64(len(p.Text)))
}

// cutLog cuts a log to its last bytes, at a line's end.
func cutLog(l *model.AttemptLog) {
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
