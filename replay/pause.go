package replay

import (
	"github.com/agnt5/agnt5d/internal/event"
	"github.com/agnt5/agnt5d/internal/pack"
)

// Pause is why a run is paused. No task of it is handed out, and no time comes for which it waits: what is overdue comes when it is resumed.
// All else goes on: attempts that workers have are answered, signals are taken, and what becomes ready waits. A pause ends with the run.
type Pause struct {
	At      int64 // Unix ms
	By, Why string
}

// Pause pauses the run.
func (t *Turn) Pause(why string) {
	t.add(event.Event{Kind: event.RunPaused, Message: why, By: t.By})
}

// Resume ends a pause.
func (t *Turn) Resume(why string) {
	t.add(event.Event{Kind: event.RunResumed, Message: why, By: t.By})
}

func (s *State) pause(at int64, e *event.Event) string {
	if s.Pause != nil {
		return "it is paused"
	}
	s.Pause = &Pause{At: at, By: e.By, Why: e.Message}
	return ""
}

func (s *State) resume() string {
	if s.Pause == nil {
		return "it is not paused"
	}
	s.Pause = nil
	return ""
}

// MatchPause says what a wish to pause the run, or to resume it, means: nil and true, it is as wished. Otherwise err is why it cannot be.
func (s *State) MatchPause(paused bool) (is bool, err error) {
	if err := s.closed(); err != nil {
		return false, err
	}
	return (s.Pause != nil) == paused, nil
}

// appendPause writes why the run is paused, and says whether it is.
func (s *State) appendPause(f *fields) bool {
	if s.Pause == nil {
		return false
	}
	f.key(kPause)
	f.buf = pack.AppendInt(pack.AppendArray(f.buf, 3), s.Pause.At)
	f.buf = pack.AppendString(pack.AppendString(f.buf, s.Pause.By), s.Pause.Why)
	return true
}

func (s *State) readPause(r *pack.Reader) {
	r.Array()
	s.Pause = &Pause{At: r.Int(), By: r.String(), Why: r.String()}
}
